"""``--check`` of script 1: what a data set holds, person by person and film by film, and what would stop scripts 1 to 3."""

from pathlib import Path

from film_encoding.cleaning import cleaning_in_words
from film_encoding.film_clock import count_chunks
from film_encoding.film_files import find_films
from film_encoding.film_frames import SampledFilm
from film_encoding.lagged import chunks_of_stretch, stretches_of_batch
from film_encoding.planning import plan_viewings, rows_and_pairs, visual_voxels
from film_encoding.responses import n_chosen
from film_encoding.splits import make_folds
from film_encoding.variants import Variant, frames_to_cut, largest_delay, variants_of
from film_encoding.viewings import find_viewings
from neuroface.bold import check_grid, check_runs, inspect_run, open_header
from neuroface.pipeline import Checklist, memory_of_processes

import numpy as np

GB_OF_A_PROCESS = 1.0  # Python and TensorFlow
# Of a gradient step in script 3 (benchmarks/check_memory.py): of each weight that joins features or
# frames with voxels, with its gradient and Adam's moments; of each chunk at the published size.
BYTES_PER_WEIGHT, GB_PER_CHUNK = 24, 0.4
BYTES_PER_VALUE = 30  # of a film's BOLD in script 2 (its docstring)


def check_study(checklist: Checklist, cfg, shown_ends) -> None:
    """Print the content of a data set, and the disk and memory that it needs.

    Parameters
    ----------
    checklist : takes the place of script 1's stage. shown_ends : a function of script 1.

    Raises
    ------
    NeuroFaceError
        If something is wrong: files that are damaged or do not fit together, films that nobody saw
        whole, a split that is not possible, an atlas without the parcels, too little disk or
        memory.
    """
    viewings, left_out = checklist.try_to(find_viewings, cfg) or ({}, [])
    files_of_runs = {viewing.run.bold: viewing.run for who in viewings.values() for viewing in who}
    check_runs(checklist, list(files_of_runs.values()), left_out)
    if viewings:
        print_viewings(checklist, viewings, cfg)
        files = (
            checklist.try_to(
                find_films, Path(cfg.FILM_DIR), sorted(viewings), checklist, bool(cfg.FILMS)
            )
            or {}
        )
        chunks = chunks_of_films(checklist, files, viewings, shown_ends, cfg)
        mask = checklist.try_to(mask_of, checklist, viewings, cfg)
        plan = checklist.try_to(plan_viewings, checklist, chunks, cfg) if chunks else None
        if plan:
            checklist.try_to(check_plan, checklist, plan, chunks, mask, cfg)
    checklist.finish()


def print_viewings(checklist: Checklist, viewings: dict, cfg) -> None:
    """The table of runs, with the volume at which each film begins and where its first chunk has its BOLD."""
    rows, whole = [], []
    for viewing in (viewing for who in viewings.values() for viewing in who):
        if (fields := checklist.try_to(inspect_run, viewing.run, cfg.TR_S)) is None:
            continue
        del fields["first volume shows second (film or run)"]  # here the other way round
        whole.append(viewing.run)
        fields["film begins at second"] = round(viewing.onset_s, 3)
        fields["volumes from there"] = viewing.n_rows
        fields["first chunk"] = f"0 → {(viewing.first + cfg.DELAY_TRS) * cfg.TR_S:g}"
        rows.append(fields)
    for line in checklist.try_to(cleaning_in_words, whole, cfg) or []:
        checklist.say(line)
    event = (
        f"the event {cfg.FILM_EVENT!r}"
        if cfg.FILM_EVENT
        else "FILM_EVENT = None: with the first volume"
    )
    checklist.say(f"film begins at second: of the scan, by {event} and the sidecar")
    checklist.say(
        f"first chunk: second of the film → second of the scan, DELAY_TRS = {cfg.DELAY_TRS} volumes after the one nearest "
        f"to it"
    )
    checklist.table(rows)


def chunks_of_films(
    checklist: Checklist, files: dict[str, Path], viewings: dict, shown_ends, cfg
) -> dict[str, int]:
    """Film → its chunks, as script 1 will cut them; times of frames are read, and no frame is decoded."""
    ends_s = checklist.try_to(shown_ends, checklist, files, viewings, cfg) or {}
    rows, chunks = [], {}
    for film, path in files.items():
        source = checklist.try_to(SampledFilm, path)
        if source is None:
            continue
        n = count_chunks(min(source.end_s, ends_s.get(film, np.inf)), cfg.TR_S)
        if n:
            chunks[film] = n
        else:
            checklist.wrong(
                f"{path} shows a picture for {source.end_s:.2f} s, less than one TR. Is it the whole film?"
            )
        rows.append(
            {
                "film": film,
                "file": path.name,
                "picture, s": round(source.end_s, 2),
                "sound after it, s": round(source.file_end_s - source.end_s, 2),
                "frames per s": round(len(source.times_s) / source.end_s, 2),
                f"chunks of {cfg.TR_S:g} s": n,
                "people": len(viewings[film]),
                "volumes from its start, fewest": min(viewing.n_rows for viewing in viewings[film]),
            }
        )
    checklist.table(rows, keys=8)
    return chunks


def mask_of(checklist: Checklist, viewings: dict, cfg) -> np.ndarray:
    """The voxels of PARCELS (x, y, z); runs on another grid than the first are noted as wrong."""
    first, *others = [viewing.run for who in viewings.values() for viewing in who]
    image, shape = open_header(first.bold)
    for run in others:
        other, its_shape = open_header(run.bold)
        checklist.try_to(check_grid, run.bold, its_shape, other.affine, shape[:3], image.affine)
    _, mask, resampled = visual_voxels(shape[:3], image.affine, cfg)
    how = ", resampled to the grid of the BOLD" if resampled else ""
    checklist.say(f"atlas: {int(mask.sum()):,} voxels of PARCELS in {cfg.ATLAS_FILE}{how}")
    return mask


def check_plan(
    checklist: Checklist, viewings: dict, chunks: dict[str, int], mask: np.ndarray | None, cfg
) -> None:
    """What scripts 2 and 3 make of the films: pairs of chunks and BOLD, folds, disk and memory."""
    rows, lengths = rows_and_pairs(viewings, chunks, largest_delay(cfg))
    for film, n in lengths.items():
        if n < chunks[film]:
            why = f"its last {chunks[film] - n} of {chunks[film]} chunks, whose BOLD was not measured to the end"
            checklist.leave_out(film, why)
    for split in cfg.SPLITS:
        for fold in checklist.try_to(make_folds, lengths, split, cfg) or []:
            counts = fold.chunks["part"].value_counts()
            parts = ", ".join(
                f"{counts.get(use, 0)} {use}" for use in ("train", "inner", "embargo", "test")
            )
            checklist.say(f"split {split}, fold {fold.number}: chunks {parts}")
    if mask is None:
        return
    n_voxels, frames = int(mask.sum()), frames_to_cut(cfg)
    per_film = 2 + sum(
        name != "mean" for name in cfg.SUBJECTS
    )  # mean and variance over people, single people
    disk = (
        sum(chunks.values()) * frames * cfg.FRAME_PX**2 * 3
        + sum(rows.values()) * n_voxels * 4 * per_film
    )
    gb = {"script 2": BYTES_PER_VALUE * max(rows.values()) * n_voxels / 1e9}
    for name, variant in variants_of(cfg).items():
        its_voxels = n_voxels if variant.all_voxels else n_chosen(n_voxels, cfg.VOXEL_SHARE)
        gb[f"script 3, {name}"] = gb_of_training(variant, its_voxels, cfg)
    checklist.machine(disk / 1e9, *memory_of_processes(gb, cfg.N_JOBS, GB_OF_A_PROCESS))


def gb_of_training(variant: Variant, n_voxels: int, cfg) -> float:
    """GB of a gradient step of a network, beside the process (benchmarks/check_memory.py).

    A network with several delays gets more chunks per step, and has weights for each delay.
    """
    n_chunks = cfg.BATCH_SIZE
    if variant.is_lagged:
        n_chunks = stretches_of_batch(cfg.BATCH_SIZE) * chunks_of_stretch(len(variant.lags))
    of_published = (
        (cfg.FRAME_PX / 112) ** 2 * (variant.frames_per_tr / 32) * (cfg.ENCODER_FILTERS[0] / 32)
    )
    weights = joining_weights(variant, n_voxels, cfg)
    return BYTES_PER_WEIGHT * weights / 1e9 + GB_PER_CHUNK * of_published * n_chunks


def joining_weights(variant: Variant, n_voxels: int, cfg) -> int:
    """Weights from features to voxels, for each delay, and from voxels to the decoder: most of a network's."""
    filters = cfg.ENCODER_FILTERS[3] * len(variant.lags)
    if variant.has_decoder:
        filters += cfg.DECODER_FILTERS
    return n_voxels * (cfg.FRAME_PX // 8) ** 2 * filters
