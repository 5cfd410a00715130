"""1. From films to chunks of frames, one per TR.

Decodes each film once, front to back, and stores the frames that are on the screen at evenly spaced
times of every TR. Counts the frames that are missing or cannot be decoded, and says where sound
goes on after the picture has ended.

Reads     the films in FILM_DIR. DATASET = "demo" writes its data set first.
Writes    1-chunks/<film>.npy (n_chunks, frames, FRAME_PX, FRAME_PX, 3) uint8, RGB; frames is
            FRAMES_PER_TR, or more where an ablation needs more
          1-chunks/<film>_range.npy (n_chunks, frames, 2) uint8, darkest and brightest value of each
            frame before FRAME_CONTRAST = "frame" stretched it
          1-chunks/films.tsv, a row per film: times and counts
Settings  FILMS, TR_S, FRAMES_PER_TR, FRAME_PX, FRAME_CONTRAST, ABLATIONS, EXCLUDE, INCLUDE,
          BIDS_FILTER, FILM_EVENT, FILM_RUNS
Takes     as long as decoding the films (a film of 2 hours: 1 to 3 minutes); memory: a few frames;
          disk: 1.2 MB per TR at full size
``--check``: says what the data set holds and what would stop scripts 1 to 3; writes nothing
"""

from functools import partial
from pathlib import Path

from film_encoding.check import check_study
from film_encoding.demo import write_demo
from film_encoding.film_clock import count_chunks, sample_times_s
from film_encoding.film_contrast import range_file, stretch_each
from film_encoding.film_files import find_films
from film_encoding.film_frames import SampledFilm, store_frames
from film_encoding.study import STUDY
from film_encoding.variants import frames_to_cut
from film_encoding.viewings import find_viewings, shown_s
from neuroface import NeuroFaceError
from neuroface.film import open_film
from neuroface.pipeline import (
    PARTIAL,
    Checklist,
    Rules,
    Section,
    Stage,
    all_exist,
    open_npy,
    read_json,
    run_script,
    write_json,
    write_npy,
    write_table,
)  # fmt: skip

import numpy as np
import pandas as pd
from PIL import Image

TAIL_S = 1.0  # sound that goes on for longer than this after the picture is named in the report


def main():
    cfg = STUDY.load_settings(__file__)
    stage = Stage(STUDY, 1, cfg, __doc__, rules=Rules(growing={"ABLATIONS": same_frames(cfg)}))
    if cfg.DATASET == "demo" and write_demo(Path(cfg.DATASET_DIR), cfg.SEED):
        print(f"  wrote the demo data set to {cfg.DATASET_DIR}")
    viewings, left_out = find_viewings(cfg)
    assert cfg.FILM_DIR is not None  # FilmSettings.complete names one
    for item, why in left_out:
        stage.leave_out(item, why)
    files = find_films(Path(cfg.FILM_DIR), sorted(viewings), stage, bool(cfg.FILMS))
    written = partial(files_of_film, stage.folder, cfg)
    stage.take_files(files.values(), [files[film] for film in files if all_exist(written(film))])

    ends_s = shown_ends(stage, files, viewings, cfg)
    cut = partial(cut_film, stage.folder, files, ends_s, cfg)
    stage.each(cut, list(files), "films", written)
    films = pd.DataFrame(
        [{"film": film} | read_json(stage.folder / f"{film}.json") for film in files]
    )
    write_table(stage.folder / "films.tsv", films)
    name_faults(stage, films)
    stage.finish(
        f"{films['chunks'].sum():,} chunks of {len(films)} films", describe_films(stage, films, cfg)
    )


def check():
    """``--check``: say what the data set holds, and what would stop scripts 1 to 3. Writes nothing."""
    cfg = STUDY.load_settings(__file__)
    if cfg.DATASET == "demo" and not Path(cfg.DATASET_DIR).exists():
        print("  The demo data set is written by this script; there is nothing to check yet.")
        return
    check_study(Checklist(STUDY, cfg), cfg, shown_ends)


def same_frames(cfg):
    """A rule: other ABLATIONS leave the chunks as they are if they need no more frames than were cut."""

    def holds(old, new, stamped: dict) -> bool:
        before = type(cfg)(**vars(cfg) | {"ABLATIONS": tuple(old)})
        return frames_to_cut(before) == frames_to_cut(cfg)

    return holds


def shown_ends(stage: Stage, files: dict[str, Path], viewings: dict, cfg) -> dict[str, float]:
    """Film → second at which the scanner's screen stopped to show it; what a file has beyond that is left out."""
    ends_s = {}
    for film, path in files.items():
        ends_s[film], beyond = shown_s(
            viewings[film], open_film(path).duration_s, cfg.TR_S, path.name
        )
        if beyond:
            stage.leave_out(film, beyond)
    return ends_s


def cut_film(
    folder: Path, files: dict[str, Path], ends_s: dict[str, float], cfg, film: str
) -> None:
    """Write a film's chunks, and what was found in it."""
    source, frames = SampledFilm(files[film]), frames_to_cut(cfg)
    n = count_chunks(min(source.end_s, ends_s[film]), cfg.TR_S)
    if not n:
        raise NeuroFaceError(
            f"{files[film]} shows a picture for {source.end_s:.2f} s, less than one TR. Is it the whole film?"
        )
    target = folder / f"{film}.npy"
    partial_file = target.with_name(PARTIAL + target.name)
    shown = source.frames_at(sample_times_s(n, frames, cfg.TR_S), cfg.FRAME_PX)
    ranges = np.empty((n * frames, 2), dtype=np.uint8)
    if cfg.FRAME_CONTRAST == "frame":
        shown = stretch_each(shown, ranges)
    store_frames(partial_file, (n, frames, cfg.FRAME_PX, cfg.FRAME_PX, 3), shown)
    if cfg.FRAME_CONTRAST == "frame":
        write_npy(range_file(folder, film), ranges.reshape(n, frames, 2))
    partial_file.rename(target)
    steps = np.diff(source.times_s)
    facts = {
        "chunks": n,
        "picture_s": round(source.end_s, 3),
        "sound_tail_s": round(source.file_end_s - source.end_s, 3),
        "frames": len(source.times_s),
        "frames_per_s": round(len(source.times_s) / source.end_s, 3),
        "longest_frame_s": round(float(steps.max(initial=0)), 3),
        "late_start_s": round(max(0.0, float(source.times_s[0])), 3),
        "frames_missing": max(source.n_stated, len(source.times_s)) - len(source.times_s),
        "frames_broken": len(source.times_s) - min(source.n_decoded, len(source.times_s)),
    }
    write_json(folder / f"{film}.json", facts)


def files_of_film(folder: Path, cfg, film: str) -> list[Path]:
    """The files that :func:`cut_film` writes."""
    files = [folder / f"{film}.npy", folder / f"{film}.json"]
    if cfg.FRAME_CONTRAST == "frame":
        files.append(range_file(folder, film))
    return files


def name_faults(stage: Stage, films: pd.DataFrame) -> None:
    """Warn about frames and sound that the files list but that are missing."""
    for row in films.itertuples():
        if row.frames_missing:
            stage.leave_out(
                row.film,
                f"{row.frames_missing:,} of its frames are missing from the file; the frames before them stay",
            )
        if row.frames_broken:
            stage.leave_out(
                row.film,
                f"{row.frames_broken:,} of its frames cannot be decoded; the frames before them stay",
            )
        if row.late_start_s > 0.5:
            stage.leave_out(
                row.film,
                f"no picture in its first {row.late_start_s:.2f} s; its first frame stands there",
            )


def name_tails(films: pd.DataFrame) -> str:
    """A sentence on films whose sound goes on after the picture: nothing of the picture is lost."""
    tails = [
        f"{row.film} ({row.sound_tail_s:.1f} s)"
        for row in films.itertuples()
        if row.sound_tail_s > TAIL_S
    ]
    if not tails:
        return ""
    return f" Whole pictures are used; sound goes on after the picture has ended in {', '.join(tails)}."


def describe_films(stage: Stage, films: pd.DataFrame, cfg) -> Section:
    frames, tails = frames_to_cut(cfg), name_tails(films)
    if tails:
        print(f" {tails}")
    section = Section(
        "Films",
        f"Each film was decoded once; every TR of {cfg.TR_S:g} s has a chunk of {frames} frames.{tails}",
    )
    section.numbers(
        {
            "films": f"{len(films)}",
            "chunks": f"{films['chunks'].sum():,}",
            "frames": f"{frames} × {cfg.FRAME_PX} × {cfg.FRAME_PX}",
        }
        | {
            "broken or missing frames": f"{films[['frames_missing', 'frames_broken']].to_numpy().sum():,}"
        }
    )
    seconds = ["picture_s", "sound_tail_s", "frames_per_s", "longest_frame_s"]
    rows = films[["film", "chunks", "frames", *seconds, "frames_missing", "frames_broken"]]
    section.table(
        list(rows), rows.to_numpy(), "Films as they were found; seconds on the film's own clock"
    )
    contact = np.concatenate(
        [
            np.concatenate(contact_row(open_npy(stage.folder / f"{film}.npy")), axis=1)
            for film in films["film"]
        ]
    )
    Image.fromarray(contact).save(stage.folder / "contact_sheet.png")
    section.figure(
        stage.folder / "contact_sheet.png",
        "Eight moments of each film, evenly spaced, as the network sees them.",
    )
    return section


def contact_row(chunks: np.ndarray, n: int = 8, pixels: int = 96) -> list[np.ndarray]:
    shown = chunks[np.linspace(0, len(chunks) - 1, n).astype(int), chunks.shape[1] // 2]
    return [np.asarray(Image.fromarray(frame).resize((pixels, pixels))) for frame in shown]


if __name__ == "__main__":
    run_script(main, check=check)
