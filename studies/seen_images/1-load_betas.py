"""1. From single-trial estimates to training and test patterns.

Reads the responses of early and higher visual cortex to each picture, session by session, and
standardises every voxel on the training trials. Trials of a test image are averaged; an image is
never in both sets, and with SPLIT = "kinds" no kind of image is.

Reads     the data set in DATASET_DIR: NSD, THINGS-fMRI or plain tables. DATASET = "demo" writes its
          data set first. SPLIT = "kinds": also the captions, and the text model in MODEL_DIR
Writes    1-betas/train.npy (n_trials, n_columns) float32; test.npy (n_test_images, n_columns)
            float32; test_trials.npy (n_test_trials, n_columns) float32
          1-betas/trials.tsv, a row per training trial; test.tsv, a row per test image;
            test_trials.tsv; voxels.tsv, a row per column
          1-betas/unmeasured.tsv, a row per column that is left out, with the sessions that did not
            measure it; unreliable.tsv, the columns that MIN_NCSNR leaves out
          1-betas/others/<subject>/, the same without test trials, of each of OTHER_SUBJECTS
          1-betas/kinds.tsv, with SPLIT = "kinds": a row per image, its kind and whether it is held
            out
          1-betas/space.nii.gz (x, y, z) uint8, the columns' voxels, where their positions are known
Settings  SEED, SUBJECT, OTHER_SUBJECTS, TRAINING_TRIALS, SESSIONS, BETAS, SPLIT, N_KINDS,
          HELD_OUT_KINDS, EARLY_ROIS, HIGHER_ROIS, STANDARDIZE, MIN_NCSNR, SPACE_FILE
Takes     the time of reading the files once; memory: a session's trials, and all patterns on the
          disk twice, with MIN_NCSNR three times
``--check``: says what the data set holds and what would stop scripts 1 to 3; writes nothing
"""

from functools import partial
from pathlib import Path

from neuroface.pipeline import (
    Checklist,
    Section,
    Stage,
    all_exist,
    open_npy,
    run_script,
    write_table,
)
from seen_images.check import check_study
from seen_images.demo import write_demo
from seen_images.generator import check_weights, model_of
from seen_images.kinds import kinds_of, split_by_kinds
from seen_images.people import (
    first_training_trials,
    folder_of_person,
    learn_from,
    naming,
    open_people,
)
from seen_images.sources import TEST, TRAIN, Source, check_sessions, check_trials
from seen_images.study import STUDY
from seen_images.trial_sets import (
    ALL_VOXELS,
    read_session,
    session_file,
    sessions_of,
    set_files,
    write_sets,
)
from seen_images.tsv import read_tsv

import numpy as np
import pandas as pd


def main():
    cfg = STUDY.load_settings(__file__)
    stage = Stage(STUDY, 1, cfg, __doc__)
    everybody = (cfg.SUBJECT, *cfg.OTHER_SUBJECTS) if cfg.OTHER_SUBJECTS else ()
    if cfg.DATASET == "demo" and write_demo(cfg.DATASET_DIR, cfg.SEED, people=everybody):
        print(f"  wrote the demo data set to {cfg.DATASET_DIR}")
    people = open_people(cfg)
    if cfg.SPLIT == "kinds":
        kinds = hold_out_kinds(stage, people, cfg)
        for source in people.values():
            source.trials = split_by_kinds(source.trials, kinds)
    source = people[cfg.SUBJECT]
    check_trials(source.trials)
    for remark in choose_trials(people, cfg):
        print(f"  {remark}")

    folder_of = {person: folder_of_person(stage.folder, person, cfg) for person in people}
    sets = partial(files_of_person, folder_of, cfg)
    files = {person: of_person.files for person, of_person in people.items()}
    read = [
        file
        for person in people
        for file in files[person]
        if all_exist(sets(person)) or is_used(folder_of[person], file)
    ]
    stage.take_files([file for of_person in files.values() for file in of_person], read)
    units = [
        (person, session) for person in people for session in sessions_of(people[person].trials)
    ]
    stage.each(
        partial(read_unit, folder_of, people),
        units,
        "sessions",
        lambda unit: session_file(folder_of[unit[0]], unit[1]),
        joined=lambda unit: sets(unit[0]),
    )
    stage.each(partial(join, folder_of, people, cfg), list(people), "sets of patterns", sets)
    for leftover in (*stage.folder.rglob("session-*.npy"), *stage.folder.rglob(ALL_VOXELS)):
        leftover.unlink()  # the sets are complete

    for person in people:
        name_left_out(stage, folder_of[person], person, cfg)
    train, test = open_npy(stage.folder / "train.npy"), open_npy(stage.folder / "test.npy")
    print(
        f"  {len(train):,} training trials of {trials_of(source, TRAIN)['image'].nunique():,} images, "
        f"{len(test):,} test images"
    )
    voxels = read_tsv(stage.folder / "voxels.tsv")
    for (part, roi), n in voxels.groupby(["part", "roi"], sort=False).size().items():
        print(f"  {part} {roi}: {n:,} voxels")
    wrote = f"patterns of {len(train):,} trials and {len(test):,} test images, {train.shape[1]:,} voxels"
    stage.finish(wrote, describe_betas(stage.folder, people, voxels, train, test))


def trials_of(source: Source, split: str) -> pd.DataFrame:
    return source.trials[source.trials["split"] == split]


def choose_trials(people: dict[str, Source], cfg) -> list[str]:
    """Keep the training trials of SUBJECT that are wanted, and those of other people that show no test image; remarks."""
    source = people[cfg.SUBJECT]
    tested = set(trials_of(source, TEST)["image"])
    source.trials = first_training_trials(source.trials, cfg.TRAINING_TRIALS)
    remarks = [check_sessions(source.trials, cfg.STANDARDIZE)]
    remarks += [learn_from(person, people[person], tested, cfg) for person in cfg.OTHER_SUBJECTS]
    return [remark for remark in dict.fromkeys(remarks) if remark]


def files_of_person(folder_of: dict[str, Path], cfg, person: str) -> list[Path]:
    """The training and test patterns of a person."""
    return set_files(folder_of[person], is_tested=person == cfg.SUBJECT)


def read_unit(folder_of: dict[str, Path], people: dict[str, Source], unit: tuple[str, str]) -> None:
    """Write the responses of one person in one session."""
    person, session = unit
    with naming(person, people[person].cfg):
        read_session(folder_of[person], people[person], session)


def join(folder_of: dict[str, Path], people: dict[str, Source], cfg, person: str) -> None:
    """Write the training and test patterns of a person."""
    with naming(person, cfg):
        write_sets(folder_of[person], people[person], cfg, is_tested=person == cfg.SUBJECT)


def name_left_out(stage: Stage, folder: Path, person: str, cfg) -> None:
    """Name the voxels of a person that are left out, and those that count as 0."""
    whose = "" if person == cfg.SUBJECT else f" of {person}"
    lost, weak = (read_tsv(folder / f"{name}.tsv") for name in ("unmeasured", "unreliable"))
    for (roi, names), n in lost.groupby(["roi", "sessions"], sort=False).size().items():
        stage.leave_out(
            f"{n:,} voxels of {roi}{whose}",
            f"not measured in session {names}: their values do not change there",
        )
    for roi, n in weak.groupby("roi", sort=False).size().items():
        stage.leave_out(
            f"{n:,} voxels of {roi}{whose}", f"ncsnr below MIN_NCSNR = {cfg.MIN_NCSNR:g}"
        )
    if n := int(read_tsv(folder / "voxels.tsv")["constant"].sum()):
        stage.leave_out(
            f"{n} columns{whose}", "never change over the training trials and count as 0"
        )


def check():
    """``--check``: say what the data set holds, and what would stop scripts 1 to 3. Writes nothing."""
    cfg = STUDY.load_settings(__file__)
    if cfg.DATASET == "demo" and not Path(cfg.DATASET_DIR).exists():
        print("  The demo data set is written by this script; there is nothing to check yet.")
        return
    check_study(Checklist(STUDY, cfg), cfg)


def hold_out_kinds(stage: Stage, people: dict[str, Source], cfg) -> pd.DataFrame:
    """The table ``kinds.tsv``. Until the settings are stamped it is made again: they may have changed."""
    model, file = model_of(cfg, texts=True), stage.folder / "kinds.tsv"
    check_weights(stage.folder / "generator.json", model, ("text_encoder",), stage.folder)
    if not (file.exists() and stage.is_begun):
        images = pd.concat([source.trials["image"] for source in people.values()]).unique()
        write_table(file, kinds_of(images, people[cfg.SUBJECT], model, cfg))
    return read_tsv(file)


def session_of(file: Path) -> str:
    """``betas_session03.hdf5`` → ``03``."""
    return file.name.partition("session")[2].partition(".")[0]


def is_used(folder: Path, file: Path) -> bool:
    """Whether a session was read from a file of the data set; a file without a session's number holds all of them."""
    session = session_of(file)
    return (
        session_file(folder, session).exists()
        if session
        else any(folder.glob(session_file(folder, "*").name))
    )


def describe_betas(
    folder: Path,
    people: dict[str, Source],
    voxels: pd.DataFrame,
    train: np.ndarray,
    test: np.ndarray,
) -> Section:
    cfg = next(iter(people.values())).cfg
    source = people[cfg.SUBJECT]
    images, repeats = (
        trials_of(source, TRAIN)["image"].nunique(),
        trials_of(source, TEST).groupby("image").size(),
    )
    within = (
        " of each session"
        if source.cfg.STANDARDIZE == "session" and len(set(source.trials["session"])) > 1
        else ""
    )
    never = "No image is in both sets."
    if source.cfg.SPLIT == "kinds":
        never += (
            f" Test images are all images of {source.cfg.HELD_OUT_KINDS} of {source.cfg.N_KINDS} kinds (clusters of text "
            "embeddings), of which no image is among the training images."
        )
    section = Section(
        "Patterns",
        f"Responses to single trials, standardised on the training trials{within}. {never}",
    )
    section.numbers(
        {
            "training trials": f"{len(train):,}",
            "training images": f"{images:,}",
            "test images": f"{len(test):,}",
            "trials per test image": f"{repeats.min()} to {repeats.max()}"
            if repeats.min() < repeats.max()
            else f"{repeats.min()}",
        }
    )
    rows = []
    for (part, roi), group in voxels.groupby(["part", "roi"], sort=False):
        median = group["reliability"].median()
        ratio = group["ncsnr"].median()
        medians = ["n/a" if np.isnan(value) else f"{value:.2f}" for value in (median, ratio)]
        rows.append((part, roi, f"{len(group):,}", *medians))
    caption = (
        "Voxels per region, and two medians over voxels. Reliability: correlation over test images of the means of odd and "
        "of even trials. ncsnr: SD of the signal over SD of a trial's noise, of training images with several trials"
    )
    section.table(["part", "region", "voxels", "reliability", "ncsnr"], rows, caption)
    if cfg.OTHER_SUBJECTS:
        others = []
        for person in cfg.OTHER_SUBJECTS:
            place = folder_of_person(folder, person, cfg)
            n_voxels = len(read_tsv(place / "voxels.tsv"))
            trials = read_tsv(place / "trials.tsv")
            others.append(
                (person, f"{len(trials):,}", f"{trials['image'].nunique():,}", f"{n_voxels:,}")
            )
        section.table(
            ["person", "training trials", "images", "voxels"],
            others,
            f"Other people, for the decoder that is shared. None of their trials shows an image that {cfg.SUBJECT} is "
            "tested with",
        )
    return section


if __name__ == "__main__":
    run_script(main, check=check)
