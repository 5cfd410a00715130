"""``--check`` of script 1: what a data set holds, session by session, and what would stop scripts 1 to 3."""

from pathlib import Path

from neuroface.pipeline import Checklist, memory_of_processes
from seen_images.autoencoders import layout_of
from seen_images.drawings import conditions_of
from seen_images.features import clip_folder
from seen_images.generator import model_of
from seen_images.people import first_training_trials, learn_from, open_person
from seen_images.sources import TEST, UNUSED, Source, check_sessions, check_trials, open_source

import numpy as np
import pandas as pd

MAX_NAMED = 3  # of pictures or captions that are missing
GB_OF_A_PROCESS = 1.0  # Python and PyTorch
PIXELS_PER_LATENT, TEXT_WIDTH = 8, 768  # of Stable Diffusion v1


def check_study(checklist: Checklist, cfg) -> None:
    """Print the content of a data set, and the disk and memory that it needs.

    Raises
    ------
    NeuroFaceError
        If something is wrong: trials, regions, pictures, captions or the generator's files that are
        missing, damaged or do not fit together; too little disk or memory.
    """
    model = checklist.try_to(model_of, cfg, cfg.SPLIT == "kinds" or None)
    if model:
        checklist.say(f"generator: {model}, {layout_of(model).line}")
    if cfg.CLIP_DECODERS:
        checklist.try_to(clip_folder, cfg.SCORES_DIR, cfg.MODEL_DIR)
    source = checklist.try_to(open_source, cfg)
    if source:
        person = f"{cfg.SUBJECT}: " if has_people(cfg) else ""
        checklist.say(
            f"{person}{len(source.trials):,} trials in {source.trials['session'].nunique()} sessions"
        )
        if cfg.SPLIT == "given":
            checklist.try_to(check_trials, source.trials)
        else:
            checklist.say(
                f'SPLIT = "kinds": script 1 chooses the test images ({cfg.HELD_OUT_KINDS} of {cfg.N_KINDS} clusters of '
                "captions). Train and test below are the data set's own."
            )
        trials = source.trials
        if cfg.SPLIT == "given":
            trials = checklist.try_to(first_training_trials, trials, cfg.TRAINING_TRIALS)
        if trials is not None:
            if remark := checklist.try_to(check_sessions, trials, cfg.STANDARDIZE):
                checklist.say(remark)
        others = check_others(checklist, source, cfg)
        columns = checklist.try_to(lambda: source.columns)
        if columns is not None:
            rows = columns.groupby(["part", "roi"], sort=False).size()
            checklist.table(
                [
                    {"part": part, "region": roi, "voxels": int(n)}
                    for (part, roi), n in rows.items()
                ],
                keys=3,
            )
            print_sessions(checklist, source, int(columns["voxel"].iloc[0]))
        check_images(checklist, source, others)
        if columns is not None and model:
            check_machine(checklist, [source, *others], model, cfg)
    checklist.finish()


def has_people(cfg) -> bool:
    """Whether the data set names people."""
    return cfg.DATASET in ("nsd", "things") or bool(cfg.OTHER_SUBJECTS)


def check_others(checklist: Checklist, source: Source, cfg) -> list[Source]:
    """Open the data of each of OTHER_SUBJECTS, and say how many trials and voxels there are.

    Parameters
    ----------
    source : the data of SUBJECT.

    Returns
    -------
    Those that can be read, with the trials that are learned from; with SPLIT = "kinds" with all.
    """
    tested, others = set(source.trials["image"][source.trials["split"] == TEST]), []
    for person in cfg.OTHER_SUBJECTS:
        other = checklist.try_to(open_person, person, cfg)
        columns = None if other is None else checklist.try_to(lambda other=other: other.columns)
        if columns is None:
            continue
        checklist.say(f"{person}: {len(other.trials):,} trials, {len(columns):,} voxels")
        if cfg.SPLIT == "given":
            checklist.try_to(learn_from, person, other, tested, cfg)
            other.trials = other.trials[other.trials["split"] != UNUSED]
        others.append(other)
    return others


def print_sessions(checklist: Checklist, source: Source, voxel: int) -> None:
    """The table of sessions. Of each, one voxel is read: its file is whole, and has as many trials as the tables say."""
    rows = []
    for session, trials in source.trials.groupby("session", sort=False):
        betas = checklist.try_to(source.betas, session, np.array([voxel]))
        if betas is not None and len(betas) != len(trials):
            checklist.wrong(
                f"Session {session} has {len(betas)} responses and {len(trials)} trials. Correct the tables."
            )
        of_split = {name: trials[trials["split"] == name]["image"] for name in ("train", "test")}
        rows.append(
            {
                "session": session,
                "training trials": len(of_split["train"]),
                "training images": of_split["train"].nunique(),
                "test trials": len(of_split["test"]),
                "test images": of_split["test"].nunique(),
            }
        )
    checklist.table(rows, keys=5)


def check_images(checklist: Checklist, source: Source, others: list[Source]) -> None:
    """Read every picture and its captions; those that are missing or damaged are noted as wrong.

    Parameters
    ----------
    others : data of other people, whose pictures are read too.
    """
    shown = pd.concat([of_person.trials["image"] for of_person in (source, *others)])
    images = list(shown.unique())
    for split, part in source.trials.groupby("split"):
        repeats = part.groupby("image").size()
        often = (
            f"{repeats.min()}"
            if repeats.min() == repeats.max()
            else f"{repeats.min()} to {repeats.max()}"
        )
        checklist.say(f"{split}: {len(repeats):,} images, {often} trials each")
    for what, read in (("pictures", source.picture), ("captions", source.captions)):
        known = len(checklist.problems)
        results = [checklist.try_to(read, image) for image in images]
        lacking = sum(result is None for result in results)
        checklist.say(f"{what}: {len(images) - lacking:,} of {len(images):,} images have them")
        if len(checklist.problems) > known + MAX_NAMED:
            del checklist.problems[known + MAX_NAMED :]
            checklist.wrong(
                f"{what} of {lacking - MAX_NAMED:,} more images are missing or damaged."
            )


def check_machine(checklist: Checklist, people: list[Source], model: Path, cfg) -> None:
    """Compare what the seven scripts need with what this machine has.

    Parameters
    ----------
    people : data of SUBJECT, then of others.
    """
    trials = people[0].trials
    n_images = pd.concat([source.trials["image"] for source in people]).nunique()
    n_test = trials["image"][trials["split"] == "test"].nunique()
    sizes = [4 * len(source.trials) * len(source.columns) for source in people]
    # The sessions' files go when the joined ones are there; MIN_NCSNR has a person's trials once more.
    patterns = 2 * sum(sizes) + max(sizes) * (cfg.MIN_NCSNR > 0)
    embeddings = (
        n_images
        * 4
        * (
            layout_of(model).channels * (cfg.ENCODE_PIXELS / PIXELS_PER_LATENT) ** 2
            + cfg.N_TOKENS * TEXT_WIDTH * bool(cfg.TEXT_DECODERS)
        )
    )
    n_pictures = cfg.N_DRAWS * len(conditions_of(cfg)) + 1
    drawings = n_test * n_pictures * cfg.DRAW_PIXELS**2 * 3
    weights_gb = sum(file.stat().st_size for file in model.rglob("*.safetensors")) / 1e9
    largest = max(
        4e-9 * source.trials.groupby("session").size().max() * len(source.columns)
        for source in people
    )
    own_gb = {"script 1 (a session's trials)": 2 * largest, "script 4 (the generator)": weights_gb}
    memory = memory_of_processes(own_gb, cfg.N_JOBS, GB_OF_A_PROCESS)
    checklist.machine((patterns + embeddings + drawings) / 1e9, *memory)
