"""``--check`` of script 1: what a data set holds, session by session, and what would stop scripts 1 to 3."""

from pathlib import Path

from neuroface.pipeline import Checklist, memory_of_processes
from seen_images.autoencoders import layout_of
from seen_images.drawings import conditions_of
from seen_images.features import clip_folder
from seen_images.generator import model_of
from seen_images.kinds import kinds_of, split_by_kinds
from seen_images.people import first_training_trials, learn_from, open_person
from seen_images.sources import (
    PARTS,
    TEST,
    TRAIN,
    UNUSED,
    Source,
    check_sessions,
    check_trials,
    open_source,
)
from seen_images.training import ridge_gb

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
        others = open_others(checklist, cfg)
        if cfg.SPLIT == "given" or split_in_kinds(checklist, [source, *others], model, cfg):
            choose_trials(checklist, source, others, cfg)
        else:
            checklist.say(
                f'SPLIT = "kinds": the {cfg.HELD_OUT_KINDS} of {cfg.N_KINDS} clusters of captions that are tested are not '
                "known, for what is named below. Train and test are the data set's own."
            )
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


def open_others(checklist: Checklist, cfg) -> list[Source]:
    """The data of those of OTHER_SUBJECTS that can be read; how many trials and voxels there are."""
    others = []
    for person in cfg.OTHER_SUBJECTS:
        other = checklist.try_to(open_person, person, cfg)
        columns = None if other is None else checklist.try_to(lambda other=other: other.columns)
        if columns is not None:
            checklist.say(f"{person}: {len(other.trials):,} trials, {len(columns):,} voxels")
            others.append(other)
    return others


def split_in_kinds(checklist: Checklist, people: list[Source], model: Path | None, cfg) -> bool:
    """SPLIT = "kinds": split all people's trials as script 1 does; whether that is possible.

    Parameters
    ----------
    people : data of SUBJECT, then of others. model : the generator's folder; None: it is missing.
    """
    if model is None:
        return False
    images = pd.concat([source.trials["image"] for source in people]).unique()
    checklist.say(f"embedding the captions of {len(images):,} images, to find their kinds")
    kinds = checklist.try_to(kinds_of, images, people[0], model, cfg)
    if kinds is None:
        return False
    for source in people:
        source.trials = split_by_kinds(source.trials, kinds)
    checklist.say(
        f"test images: all {int(kinds['held_out'].sum()):,} images of {cfg.HELD_OUT_KINDS} of {cfg.N_KINDS} kinds"
    )
    return True


def choose_trials(checklist: Checklist, source: Source, others: list[Source], cfg) -> None:
    """Keep the trials that script 1 would keep.

    Parameters
    ----------
    source : the data of SUBJECT. others : of other people; only trials that are learned from stay.
    """
    checklist.try_to(check_trials, source.trials)
    tested = set(source.trials["image"][source.trials["split"] == TEST])
    trials = checklist.try_to(first_training_trials, source.trials, cfg.TRAINING_TRIALS)
    if trials is not None:
        source.trials = trials
        if remark := checklist.try_to(check_sessions, trials, cfg.STANDARDIZE):
            checklist.say(remark)
    for other in others:
        checklist.try_to(learn_from, other.cfg.SUBJECT, other, tested, cfg)
        other.trials = other.trials[other.trials["split"] != UNUSED]


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
    for split, trials in source.trials.groupby("split"):
        repeats = trials.groupby("image").size()
        often = (
            f"{repeats.min()}"
            if repeats.min() == repeats.max()
            else f"{repeats.min()} to {repeats.max()}"
        )
        checklist.say(f"{split}: {len(repeats):,} images, {often} trials each")
    for kind, read in (("pictures", source.picture), ("captions", source.captions)):
        known = len(checklist.problems)
        results = [checklist.try_to(read, image) for image in images]
        lacking = sum(result is None for result in results)
        checklist.say(f"{kind}: {len(images) - lacking:,} of {len(images):,} images have them")
        if len(checklist.problems) > known + MAX_NAMED:
            del checklist.problems[known + MAX_NAMED :]
            checklist.wrong(
                f"{kind} of {lacking - MAX_NAMED:,} more images are missing or damaged."
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
    n_latents = round(layout_of(model).channels * (cfg.ENCODE_PIXELS / PIXELS_PER_LATENT) ** 2)
    n_texts = cfg.N_TOKENS * TEXT_WIDTH * bool(cfg.TEXT_DECODERS)
    embeddings = n_images * 4 * (n_latents + n_texts)
    n_pictures = cfg.N_DRAWS * len(conditions_of(cfg)) + 1
    drawings = n_test * n_pictures * cfg.DRAW_PIXELS**2 * 3
    weights_gb = sum(file.stat().st_size for file in model.rglob("*.safetensors")) / 1e9
    largest = max(
        4e-9 * source.trials.groupby("session").size().max() * len(source.columns)
        for source in people
    )
    n_train = int((trials["split"] == TRAIN).sum())
    n_early, n_higher = ((people[0].columns["part"] == part).sum() for part in PARTS)
    ridges = [(n_early, n_latents), (n_higher, n_texts), (n_latents, n_early)]
    own_gb = {
        "script 1 (a session's trials)": 2 * largest,
        "scripts 3 and 5 (ridge regression)": max(ridge_gb(n_train, *sizes) for sizes in ridges),
        "script 4 (the generator)": weights_gb,
    }
    memory = memory_of_processes(own_gb, cfg.N_JOBS, GB_OF_A_PROCESS)
    checklist.machine((patterns + embeddings + drawings) / 1e9, *memory)
