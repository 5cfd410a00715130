"""The study of script 0: its units of work, and the annotation of each run from their results."""

import io
import zipfile
from functools import cache, partial
from pathlib import Path

from neuroface.face_study.film_report import plot_run
from neuroface.face_study.settings import FaceSettings
from neuroface.film import (
    CONTENTS,
    DETECTOR,
    HEIGHT,
    FaceFinder,
    FaceRules,
    Film,
    Part,
    box_of,
    clock,
    complement,
    counts,
    detector_versions,
    doubt,
    faces_of_samples,
    regressors_of_samples,
    run_clock,
    scan,
    stretches_of_samples,
    task_of,
    write_annotation,
    write_correction_page,
    write_regressors,
)
from neuroface.pipeline import (
    Step,
    Study,
    UnitName,
    atomic,
    fingerprint,
    read_json,
    replaced,
    sha256,
    write_json,
    write_table,
)

import numpy as np
import pandas as pd

CHUNK_S = 60  # of film: a unit of work
DOUBTFUL = 0.5  # from this doubt on a stretch is counted as doubtful
FILMS = Study(
    name="NeuroFaceCNN, annotation of films",
    steps=(
        Step(0, "stimuli", "0-annotate_film.py"),
        Step(
            1, "1-windows", "1-preprocess_naturalistic_fmri.py"
        ),  # what comes next; it writes elsewhere
    ),
    settings=FaceSettings,
    title=lambda _: "When is a face on the screen?",
    lead="Found in the films by NeuroFaceCNN.",
    caution="A detector errs. Check the doubtful stretches on the page <run>_check.html before you use the annotation.",
)


def film_settings(script: str) -> FaceSettings:
    """Settings of script 0: films are annotated once for all experiments, so results lie in FILM_DIR, whatever RUN_NAME."""
    cfg = FILMS.load_settings(script)
    folder = Path(cfg.FILM_DIR)
    return replaced(cfg, DATASET="films", DATA_DIR=str(folder.parent), RUN_NAME=folder.name)


def rules_of(cfg: FaceSettings) -> FaceRules:
    return FaceRules(cfg.FACE_SCORE, cfg.MIN_FACE_HEIGHT, cfg.BRIDGE_GAPS_S, cfg.SHORTEST_FACE_S)


# ---------------------------------------------------------------- units of work


def samples_folder(folder: Path, film: Film) -> Path:
    """Where the samples of a film lie.

    Another cut of a film with the same name has a folder of its own, and so has another detector,
    whose scores mean something else.
    """
    name = f"{task_of(film.path)}-{fingerprint(film.path)[-8:]}_{DETECTOR}"
    return folder / "samples" / name


def chunks_of(film: Film, rate_hz: float) -> list[range]:
    """The samples of a film in parts of :data:`CHUNK_S`."""
    n, size = int(np.ceil(film.duration_s * rate_hz - 1e-6)), max(1, round(CHUNK_S * rate_hz))
    return [range(start, min(start + size, n)) for start in range(0, n, size)]


def chunk_file(folder: Path, film: Film, samples: range) -> Path:
    return samples_folder(folder, film) / f"{samples.start:07d}.json"


def pictures_file(folder: Path, film: Film, samples: range) -> Path:
    return samples_folder(folder, film) / f"{samples.start:07d}.zip"


def name_of_chunk(rate_hz: float, unit: tuple[Film, range]) -> UnitName:
    """What a part of a film is called while it is scanned."""
    film, samples = unit
    minute = round(samples.start / rate_hz / 60) + 1
    return UnitName(film.path.name, f"{film.path.name}, minute {minute}")


def scan_chunk(folder: Path, rate_hz: float, unit: tuple[Film, range]) -> None:
    """Write the pictures and the samples of a part of a film."""
    film, samples = unit
    contents, pictures = scan(film, samples, rate_hz, _face_finder(), HEIGHT)
    target = pictures_file(folder, film, samples)
    with atomic(target) as unfinished, zipfile.ZipFile(unfinished, "w") as file:
        for number, picture in pictures.items():  # a fixed date: same film, same bytes
            file.writestr(zipfile.ZipInfo(f"{number}.webp", (1980, 1, 1, 0, 0, 0)), picture)
    write_json(chunk_file(folder, film, samples), contents)


@cache
def _face_finder() -> FaceFinder:
    return FaceFinder()


def digest_file(folder: Path, film: Film) -> Path:
    return samples_folder(folder, film) / "film.json"


def write_digest(folder: Path, film: Film) -> None:
    """Write what the sidecars say of a film file."""
    about = {
        "File": film.path.name,
        "SHA256": sha256(film.path),
        "DurationS": round(film.duration_s, 3),
    }
    about |= {
        "FramesPerSecond": round(film.frame_rate, 4),
        "Codec": film.codec,
        "Size": [film.width, film.height],
    }
    write_json(digest_file(folder, film), about | {"FirstTimeStampS": round(film.start_s, 6)})


# ---------------------------------------------------------------- from samples to files


def samples_of_run(
    folder: Path, films: dict[str, Film], parts: list[Part], cfg: FaceSettings
) -> tuple[pd.DataFrame, np.ndarray]:
    """Samples of a run, a row each; and the (part, sample of its film) that each row shows, (n, 2), −1 without film."""
    which, sample = run_clock(parts, cfg.ANNOTATION_HZ)
    table = pd.DataFrame({"time_s": np.round(np.arange(len(which)) / cfg.ANNOTATION_HZ, 6)})
    for number, part in enumerate(parts):
        film = _film_table(folder, films[part.file], cfg)
        rows = np.flatnonzero(which == number)
        for name in film:
            if name not in table:
                table[name] = np.nan
            table.loc[rows, name] = film[name].to_numpy(float)[
                np.minimum(sample[rows], len(film) - 1)
            ]
    table["n_faces"] = table["n_faces"].fillna(0).astype(int)
    return table, np.column_stack([which, sample])


def _film_table(folder: Path, film: Film, cfg: FaceSettings) -> pd.DataFrame:
    """All samples of a film: faces that count by the rules, and its contents."""
    chunks = [
        read_json(chunk_file(folder, film, samples))
        for samples in chunks_of(film, cfg.ANNOTATION_HZ)
    ]
    joined = {
        name: [value for chunk in chunks for value in chunk[name]] for name in ("faces", *CONTENTS)
    }
    faces = faces_of_samples(joined.pop("faces"), rules_of(cfg))
    return pd.DataFrame(
        faces | {name: np.array(values, dtype=float) for name, values in joined.items()}
    )


def annotate_run(
    folder: Path, films: dict[str, Film], name: str, parts: list[Part], cfg: FaceSettings
) -> None:
    """Write a run's annotation, samples, regressors, figure and the page to correct it."""
    rate_hz, rules = cfg.ANNOTATION_HZ, rules_of(cfg)
    table, shown = samples_of_run(folder, films, parts, cfg)
    length_s = round(max(part.onset_s + part.end_s - part.start_s for part in parts), 3)
    faces = stretches_of_samples(table["n_faces"] > 0, rate_hz, rules)
    pauses = complement(
        np.array(sorted((part.onset_s, part.end_s - part.start_s) for part in parts)), 0.0, length_s
    )  # fmt: skip
    taken = np.concatenate([faces, pauses])
    rest = complement(
        taken[np.argsort(taken[:, 0], kind="stable")],
        0.0,
        max(length_s, taken.sum(axis=1).max(initial=0.0)),
    )
    about = _sidecar(folder, films, parts, length_s, cfg)
    write_table(folder / f"{name}_samples.tsv", table)
    regressors = regressors_of_samples(table, rate_hz, cfg.TR_S)
    write_regressors(
        folder, name, regressors, cfg.TR_S, {"Films": about["Films"], "Parts": about["Parts"]}
    )
    score = table["score"].fillna(0).to_numpy()
    marked = [(on, *row, d) for on, stretches in ((True, faces), (False, rest))
              for row, d in zip(stretches.tolist(), doubt(stretches, score, rate_hz, on, rules))]  # fmt: skip
    about["DoubtfulStretches"] = int(sum(row[3] > DOUBTFUL for row in marked))
    write_annotation(folder, name, {"face": faces, "noface": rest}, about)
    has_picture, picture_of = _pictures(folder, films, parts, shown, cfg)
    write_correction_page(
        folder / f"{name}_check.html", name, "face", sorted(marked, key=lambda row: row[1]), length_s, rate_hz,
        has_picture, picture_of, _boxes(folder, films, parts, shown, cfg), partial(place_in_film, parts),
    )  # fmt: skip
    plot_run(table, faces, name, folder / f"{name}_samples.png")


def _sidecar(
    folder: Path, films: dict[str, Film], parts: list[Part], length_s: float, cfg: FaceSettings
) -> dict:
    names = dict.fromkeys(part.file for part in parts)
    return {
        "onset": {"Description": "second of the run", "Units": "s"},
        "duration": {"Units": "s"},
        "trial_type": {
            "Levels": {"face": "a face is on the screen", "noface": "film without a face"}
        },
        **detector_versions(),
        "SmallestScore": cfg.FACE_SCORE,
        "SmallestHeight": cfg.MIN_FACE_HEIGHT,
        "BridgedGapsS": cfg.BRIDGE_GAPS_S,
        "ShortestStretchS": cfg.SHORTEST_FACE_S,
        "SamplesPerSecond": cfg.ANNOTATION_HZ,
        "LengthS": length_s,
        "Films": [read_json(digest_file(folder, films[name])) for name in names],
        "Parts": [part._asdict() for part in parts],
    }


def place_in_film(parts: list[Part], second: float) -> str:
    """Where a second of a run is in a film file, such as "film.mp4 at 0:12:03.4"; empty if both clocks agree."""
    for part in parts:
        if part.onset_s - 1e-6 <= second < part.onset_s + part.end_s - part.start_s:
            in_film = second - part.onset_s + part.start_s
            if len(parts) == 1 and abs(in_film - second) < 1e-6:
                return ""
            return f"{part.file} at {clock(in_film)}"
    return ""


def _boxes(
    folder: Path, films: dict[str, Film], parts: list[Part], shown: np.ndarray, cfg: FaceSettings
):
    """A function row of a run → (whether it counts, left, top, width, height) of each candidate in its picture."""
    rules = rules_of(cfg)
    faces = {
        name: [
            candidates
            for samples in chunks_of(films[name], cfg.ANNOTATION_HZ)
            for candidates in read_json(chunk_file(folder, films[name], samples))["faces"]
        ]
        for name in {part.file for part in parts}
    }

    def boxes_of(row: int) -> list[tuple[bool, float, float, float, float]]:
        part, sample = shown[row]
        return [
            (counts(candidate, rules), *box_of(candidate))
            for candidate in faces[parts[part].file][sample]
        ]

    return boxes_of


def _pictures(
    folder: Path, films: dict[str, Film], parts: list[Part], shown: np.ndarray, cfg: FaceSettings
):
    """Rows of a run that have a small picture, and a function row → WebP."""
    where: dict[tuple[int, int], Path] = {}
    for number, part in enumerate(parts):
        for samples in chunks_of(films[part.file], cfg.ANNOTATION_HZ):
            archive = pictures_file(folder, films[part.file], samples)
            with zipfile.ZipFile(archive) as file:
                where |= {
                    (number, int(name.removesuffix(".webp"))): archive for name in file.namelist()
                }
    rows = np.array(
        [row for row, key in enumerate(map(tuple, shown.tolist())) if key in where], dtype=int
    )

    @cache
    def opened(archive: Path) -> zipfile.ZipFile:
        return zipfile.ZipFile(io.BytesIO(archive.read_bytes()))

    return rows, lambda row: opened(where[tuple(shown[row].tolist())]).read(f"{shown[row][1]}.webp")
