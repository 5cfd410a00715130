"""Which chunks train, which choose the epoch, which are held out."""

from dataclasses import dataclass

from film_encoding.variants import reach_of
from neuroface import NeuroFaceError

import numpy as np
import pandas as pd

LEARNED_FROM = ("train", "inner")  # parts of a fold that a result may depend on
TRAINED_ON = (
    "train",
)  # chunks that the network's weights come from; its rivals learn from the same
FEWEST_TRAINED = 20  # chunks of a fold of script 8
PUBLISHED_EVERY = 5  # of SELECTION = "paper": every fifth chunk chooses the epoch


@dataclass(frozen=True)
class Fold:
    """Chunks of all films under one division.

    ``chunks`` has a row per chunk: film, chunk, part ("train", "inner", "test", or "embargo": left
    out), and test_set, which names what a test chunk tests ("last part", "unseen film").
    """

    split: str
    number: int  # from 1
    chunks: pd.DataFrame

    @property
    def name(self) -> str:
        return f"{self.split}_fold-{self.number}"

    def of(self, *parts: str) -> pd.DataFrame:
        """Rows of some parts, in order."""
        return self.chunks[self.chunks["part"].isin(parts)].reset_index(drop=True)


def make_folds(lengths: dict[str, int], split: str, cfg) -> list[Fold]:
    """The folds of a split.

    Parameters
    ----------
    lengths : film → chunks that have BOLD.
    split : "published": one fold; the last TEST_SHARE of each film is held out, and HELD_OUT_FILM
        whole. "film": N_FOLDS folds that hold whole films out.
    cfg : HELD_OUT_FILM, TEST_SHARE, N_FOLDS, SELECTION, INNER_SHARE, EMBARGO_TRS.

    Raises
    ------
    NeuroFaceError
        If there are too few films, or a part of a fold has no chunk.
    """
    films = sorted(lengths)
    if len(films) < 2:
        raise NeuroFaceError(
            f"Only the film {films[0]} has BOLD and frames; two are needed, one to train and one to test."
        )
    if split == "published":
        held_out = [{held_out_film(films, cfg)}]
    else:
        if cfg.N_FOLDS > len(films):
            raise NeuroFaceError(
                f"N_FOLDS = {cfg.N_FOLDS}, and there are {len(films)} films. Lower it to {len(films)}."
            )
        held_out = [set(films[k :: cfg.N_FOLDS]) for k in range(cfg.N_FOLDS)]
    folds = []
    for number, out in enumerate(held_out, 1):
        parts = [_parts(film, lengths[film], film in out, split, cfg) for film in films]
        folds.append(_checked(Fold(split, number, pd.concat(parts, ignore_index=True))))
    return folds


def held_out_film(films: list[str], cfg) -> str:
    """The film that the published split never trains on."""
    if cfg.HELD_OUT_FILM is None:
        return sorted(films)[-1]
    if cfg.HELD_OUT_FILM not in films:
        raise NeuroFaceError(
            f"HELD_OUT_FILM = {cfg.HELD_OUT_FILM!r} is none of the films: {', '.join(sorted(films))}."
        )
    return cfg.HELD_OUT_FILM


def _parts(film: str, n: int, is_out: bool, split: str, cfg) -> pd.DataFrame:
    """One film's chunks in a fold."""
    parts, test_set = np.full(n, "train", dtype=object), np.full(n, "", dtype=object)
    if is_out:
        parts[:], test_set[:] = "test", "unseen film"
        return pd.DataFrame(
            {"film": film, "chunk": np.arange(n), "part": parts, "test_set": test_set}
        )
    end = n
    if split == "published":
        end = int(n * (1 - cfg.TEST_SHARE))
        parts[end:], test_set[end:] = "test", "last part"
        parts[max(0, end - cfg.EMBARGO_TRS) : end] = "embargo"
        end = max(0, end - cfg.EMBARGO_TRS)
    if cfg.SELECTION == "paper":
        parts[:end:PUBLISHED_EVERY] = "inner"
    else:
        start = end - max(1, round(cfg.INNER_SHARE * end))
        parts[max(0, start) : end] = "inner"
        parts[max(0, start - cfg.EMBARGO_TRS) : max(0, start)] = "embargo"
    return pd.DataFrame({"film": film, "chunk": np.arange(n), "part": parts, "test_set": test_set})


def _checked(fold: Fold) -> Fold:
    counts = fold.chunks["part"].value_counts()
    for use, purpose in (
        ("train", "training"),
        ("inner", "the choice of the epoch"),
        ("test", "the test"),
    ):
        if counts.get(use, 0) < 2:
            raise NeuroFaceError(
                f"Split {fold.split!r}, fold {fold.number}: {counts.get(use, 0)} chunks are left for {purpose}. Lower "
                "EMBARGO_TRS, "
                f"INNER_SHARE or TEST_SHARE, or use longer films."
            )
    return fold


def encoding_folds(lengths: dict[str, int], cfg) -> list[Fold]:
    """The folds of script 8: whole films, or, where there is one film only, stretches of its time; parts are train,
    embargo and test.

    Parameters
    ----------
    lengths : film → chunks that have BOLD. cfg : N_FOLDS; EMBARGO_TRS, chunks left free on both
    sides of a stretch; FEATURE_RESPONSE and RIDGE_DELAYS_TRS, which must not reach beyond them.

    Raises
    ------
    NeuroFaceError
        If too few chunks are left to train on, or delays reach from training chunks into held-out
        ones.
    """
    films = sorted(lengths)
    split = "film" if len(films) > 1 else "time"
    reach = reach_of(cfg.RIDGE_DELAYS_TRS)
    if split == "time" and cfg.FEATURE_RESPONSE == "delays" and reach > cfg.EMBARGO_TRS:
        raise NeuroFaceError(
            f"There is one film, {films[0]}, so stretches of its time are held out. RIDGE_DELAYS_TRS = "
            f"{cfg.RIDGE_DELAYS_TRS} reach {reach} TRs, and EMBARGO_TRS = {cfg.EMBARGO_TRS} leaves only as many free: "
            f"features of held-out chunks would be trained on. Set EMBARGO_TRS to {reach} or more."
        )
    n_folds = min(cfg.N_FOLDS, len(films)) if split == "film" else cfg.N_FOLDS
    folds = []
    for number in range(n_folds):
        tables = []
        for film in films:
            n, chunk = lengths[film], np.arange(lengths[film])
            is_test = np.full(n, film in films[number::n_folds])
            is_near = is_test
            if split == "time":
                first, end = n * number // n_folds, n * (number + 1) // n_folds
                is_test = (chunk >= first) & (chunk < end)
                is_near = (chunk >= first - cfg.EMBARGO_TRS) & (chunk < end + cfg.EMBARGO_TRS)
            part = np.where(is_test, "test", np.where(is_near, "embargo", "train"))
            test_set = np.where(is_test, f"unseen {split}", "")
            tables.append(
                pd.DataFrame({"film": film, "chunk": chunk, "part": part, "test_set": test_set})
            )
        fold = Fold(split, number + 1, pd.concat(tables, ignore_index=True))
        if len(fold.of("train")) < FEWEST_TRAINED or not len(fold.of("test")):
            raise NeuroFaceError(
                f"Fold {number + 1} of {n_folds} has {len(fold.of('train'))} chunks to train on and "
                f"{len(fold.of('test'))} to test. Lower EMBARGO_TRS = {cfg.EMBARGO_TRS} or N_FOLDS = {cfg.N_FOLDS}."
            )
        folds.append(fold)
    return folds


def write_folds(folds: list[Fold]) -> pd.DataFrame:
    """All folds as one table: split, fold, and the columns of :attr:`Fold.chunks`."""
    return pd.concat(
        [fold.chunks.assign(split=fold.split, fold=fold.number) for fold in folds],
        ignore_index=True,
    )


def read_folds(table: pd.DataFrame) -> list[Fold]:
    """The folds of a table of :func:`write_folds`."""
    table = table.fillna({"test_set": ""})
    return [
        Fold(split, int(number), chunks.drop(columns=["split", "fold"]).reset_index(drop=True))
        for (split, number), chunks in table.groupby(["split", "fold"], sort=False)
    ]
