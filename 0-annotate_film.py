"""0. From film files to annotations: when is a face on the screen, and what are its other visual and auditory features?

Finds the faces in each film, writes them as stretches that script 1 reads, and a page per run on
which you check and correct them. Measures cuts, brightness, motion, loudness and speech too, as
regressors per TR. Only for films without annotation:

    python 0-annotate_film.py FILM…                      annotate films
    python 0-annotate_film.py FILM --compare OTHER.1D    and compare the result with another
                                                         annotation
    python 0-annotate_film.py ONE.1D --compare OTHER.1D  compare two annotations, of two people for
                                                         example

Reads     film files that FFmpeg can decode; FILM_PARTS
Writes    FILM_DIR/stimuli/task-<film>_face-annotation.1D, …_noface-annotation.1D: onset, duration
            in s; …_events.tsv, .json
          FILM_DIR/stimuli/task-<film>_samples.tsv, ANNOTATION_HZ rows per second; …_samples.png
          FILM_DIR/stimuli/task-<film>_film-regressors.tsv, .json, a row per TR
          FILM_DIR/stimuli/task-<film>_check.html, the page to correct the annotation;
            FILM_DIR/report.html
          FILM_DIR/comparisons/<one>_vs_<other>.tsv, .png
Settings  ANNOTATION_HZ, FACE_SCORE, MIN_FACE_HEIGHT, BRIDGE_GAPS_S, SHORTEST_FACE_S, FILM_PARTS,
          TR_S
Takes     a film of two hours: about half an hour on 2 cores; 0.4 GB per job, however long the
          film. It resumes
"""

import argparse
from collections import Counter
from functools import partial
from itertools import groupby
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold import read_1d
from neuroface.face_study import (
    FILMS,
    FaceSettings,
    annotate_run,
    chunk_file,
    chunks_of,
    describe_films,
    digest_file,
    film_settings,
    labels_of,
    name_of_chunk,
    pictures_file,
    scan_chunk,
    write_digest,
)
from neuroface.film import compare_annotations, open_film, parts_of, plot_agreement, read_parts
from neuroface.pipeline import Rules, Stage, read_json, run_script, write_table

PARSER = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
PARSER.add_argument(
    "films", nargs="+", metavar="FILM", type=Path, help="film files, or one .1D with --compare"
)
PARSER.add_argument(
    "--compare", metavar="OTHER.1D", type=Path, help="another annotation of the one film"
)
PARSER.add_argument(
    "--length",
    metavar="SECONDS",
    type=float,
    help="length of the film for --compare, if no sidecar states it",
)
# These settings concern only steps that every run of the script repeats, from the stored samples.
RULES = Rules(
    remade=(
        "FACE_SCORE",
        "MIN_FACE_HEIGHT",
        "BRIDGE_GAPS_S",
        "SHORTEST_FACE_S",
        "FILM_PARTS",
        "TR_S",
    )
)


def main(arguments: argparse.Namespace):
    cfg = film_settings(__file__)
    annotations = check_arguments(arguments)
    if not annotations:
        names = annotate(arguments.films, cfg)
        annotations = [
            Path(cfg.FILM_DIR) / "stimuli" / f"{name}_face-annotation.1D" for name in names
        ]
    if arguments.compare:
        compare(annotations, arguments.compare, arguments.length, cfg)


def annotate(paths: list[Path], cfg: FaceSettings) -> list[str]:
    """Scan the films, a minute at a time, and write what belongs to each run; returns the runs' names."""
    films = [open_film(path) for path in dict.fromkeys(paths)]
    table = read_parts(cfg.FILM_PARTS) if cfg.FILM_PARTS else None
    parts = parts_of(films, table)
    stage = Stage(FILMS, 0, cfg, __doc__, rules=RULES)
    if others := sorted({part.file for part in table or ()} - {film.path.name for film in films}):
        print(f"  FILM_PARTS also names {', '.join(others)}: not annotated now")
    for film in films:
        print(
            f"  {film.path.name}: {film.duration_s:.1f} s, {film.width} × {film.height}, {film.frame_rate:.5g} per second"
        )
        if not film.has_sound:
            stage.leave_out(film.path.name, "no sound track, so neither loudness nor speech")

    digest = partial(write_digest, stage.folder)
    stage.each(digest, films, "film files", partial(digest_file, stage.folder))
    chunks = [(film, samples) for film in films for samples in chunks_of(film, cfg.ANNOTATION_HZ)]
    stage.each(
        partial(scan_chunk, stage.folder, cfg.ANNOTATION_HZ),
        chunks,
        "minutes of film",
        lambda chunk: (pictures_file(stage.folder, *chunk), chunk_file(stage.folder, *chunk)),
        name_of=partial(name_of_chunk, cfg.ANNOTATION_HZ),
    )

    damaged: Counter[str] = Counter()
    for film, samples in chunks:
        damaged[film.path.name] += read_json(chunk_file(stage.folder, film, samples))["damaged"]
    for name, n in damaged.items():
        if n:
            stage.leave_out(
                name,
                f"{n} packets of picture or sound cannot be decoded; the previous frame is used instead",
            )
    by_name = {film.path.name: film for film in films}
    names = []
    for name, own in groupby(sorted(parts, key=lambda part: part.name), key=lambda part: part.name):
        annotate_run(stage.folder, by_name, name, list(own), cfg)
        names.append(name)
        if not (stage.folder / f"{name}_face-annotation.1D").exists():
            stage.leave_out(f"{name}_face-annotation.1D", "no face was found")
    stage.finish(f"annotations of {len(names)} runs", describe_films(stage.folder, cfg))
    return names


def check_arguments(arguments: argparse.Namespace) -> list[Path]:
    """The one annotation that is given in place of films, in a list; empty if films are given."""
    given = [path for path in arguments.films if path.suffix.lower() == ".1d"]
    if arguments.compare and len(arguments.films) != 1:
        raise NeuroFaceError(
            f"--compare takes one film or one .1D file; there are {len(arguments.films)}."
        )
    if given and not arguments.compare:
        raise NeuroFaceError(
            f"{given[0]} is an annotation. Name the one to compare it with: --compare OTHER.1D"
        )
    return given


def compare(
    annotations: list[Path], other: Path, length_s: float | None, cfg: FaceSettings
) -> None:
    """Print and write how far an annotation agrees with another one."""
    if len(annotations) != 1:
        raise NeuroFaceError(
            "The film is shown in several runs. Compare them one by one: 0-annotate_film.py ONE.1D --compare …"
        )
    annotation, paths = annotations[0], (annotations[0], other)
    for path in paths:
        if not path.is_file():
            raise NeuroFaceError(f"{path} is not there: no annotation to compare.")
    stretches, of_other = read_1d(annotation), read_1d(other)
    last_s = max(of_annotation.sum(axis=1).max() for of_annotation in (stretches, of_other))
    length_s = length_s or max([last_s, *(stated_length(path) for path in paths)])
    names = ("first", "second")
    if annotation.name != other.name:
        names = (annotation.name.split("_face-")[0], other.name.split("_face-")[0])
    windows = (cfg.MIN_STRETCH_S, cfg.TR_S, cfg.LAG_S)
    table = compare_annotations(
        stretches, of_other, length_s, cfg.ANNOTATION_HZ, windows, labels_of(cfg), names
    )
    target = Path(cfg.FILM_DIR) / "comparisons" / f"{annotation.stem}_vs_{other.stem}.tsv"
    write_table(target, table)
    plot_agreement(stretches, of_other, length_s, names, target.with_suffix(".png"))
    for row in table.itertuples():
        print(f"  {row.measure}: {row.value:.4g}" + (f"   ({row.meaning})" if row.meaning else ""))
    print(f"  wrote {target} and its figure")


def stated_length(annotation: Path) -> float:
    """Length of the run in seconds as the sidecar beside an annotation says it; 0 without one."""
    sidecar = annotation.with_name(annotation.name.rpartition("_")[0] + "_events.json")
    return float(read_json(sidecar).get("LengthS", 0)) if sidecar.is_file() else 0.0


if __name__ == "__main__":
    run_script(main, parser=PARSER)
