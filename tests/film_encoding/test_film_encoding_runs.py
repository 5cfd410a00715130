"""Film and brain: repeats, parts of a film, and several films in a run, from the scripts' first to their last table.

Films are grey, with another brightness in every TR. The first region follows the brightness after DELAY_TRS, the
second nothing.
"""

from types import SimpleNamespace

from neuroface.bold import write_nifti
from neuroface.pipeline import read_table, write_table

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, script_here, write_config
from film_files import grey, write_film

pytest.importorskip("av", reason="films need PyAV: make film-encoding")
pytest.importorskip("himalaya", reason="ridge regression needs himalaya: make film-encoding")
pytest.importorskip("moten", reason="motion energy needs pymoten: make film-encoding")

from film_encoding.study import STUDY  # noqa: E402

FOLDER = ROOT / "studies" / "film_encoding"
SCRIPTS = {step.number: FOLDER / step.script for step in STUDY.steps}
USED = (1, 2, 3, 4, 8)
TR_S, N_TRS, DELAY, LEAD, TAIL, GAP = 2.0, 40, 4, 2, 6, 5  # TRs but for the first
NOISE_SD, PEOPLE = 0.8, ("sub-01", "sub-02")
SHAPE, AFFINE = (6, 5, 4), np.diag([3.0, 3, 3, 1])
FOLLOWS = np.arange(6)[:, None, None] < 3  # the first region is one half of the brain
# FILM_RUNS → film → file of the film; run → films that it shows.
LAYOUTS = {
    "repeats": (
        {"alpha": "alpha", "beta": "beta"},
        {f"task-{film}_run-{number}": (film,) for film in ("alpha", "beta") for number in (1, 2)},
    ),
    "parts": (
        {"movierun1": "movie_run-1", "movierun2": "movie_run-2"},
        {f"task-movie_run-{number}": (f"movierun{number}",) for number in (1, 2)},
    ),
    "several": ({"alpha": "alpha", "beta": "beta"}, {"task-films": ("alpha", "beta")}),
}
SETTINGS = dict(
    DATASET="bids", TR_S=TR_S, RUN_NAME="r", PARCELS=((1, 2),), VOXEL_SHARE=0.5, DENOISE="none", SPLITS=("film",),
    EXPLAINED_SPLIT="film", N_FOLDS=2, EMBARGO_TRS=2, INNER_SHARE=0.2, FRAMES_PER_TR=2, FRAME_PX=16, FRAME_CONTRAST="none",
    ENCODER_FILTERS=(2, 2, 2, 2), DECODER_FILTERS=2, EPOCHS=1, BATCH_SIZE=8, ABLATIONS=(), RIDGE_FEATURES=("frames",),
    RIDGE_DELAYS_TRS=(0,), FEATURES=("brightness",), FEATURE_RESPONSE="delays", N_RIDGE_TRIES=1, N_COMPONENTS=4,
    N_SHIFTS=20, N_IMAGE_SHIFTS=2, MIN_SHIFT_S=10.0, BLOCK_S=16.0, N_JOBS=1,
)  # fmt: skip


def levels_of(film: str) -> np.ndarray:
    """Brightness (N_TRS,) of a film."""
    return np.random.default_rng(sum(map(ord, film))).integers(40, 216, N_TRS)


def response_to(film: str) -> np.ndarray:
    """What the first region does from the film's first volume on (N_TRS + DELAY,), with SD 1 but for the delay."""
    levels = levels_of(film)
    return np.append(np.zeros(DELAY), (levels - levels.mean()) / levels.std())


def write_run(folder, person: str, name: str, films: tuple[str, ...], rng) -> None:
    """A run that shows films after each other, and its log: the event is "film", or the film's name if there are two."""
    n = LEAD + len(films) * (N_TRS + GAP) + TAIL
    signal, events = np.zeros(n), []
    for number, film in enumerate(films):
        first = LEAD + number * (N_TRS + GAP)
        signal[first : first + N_TRS + DELAY] += response_to(film)
        event = film if len(films) > 1 else "film"
        events.append({"onset": first * TR_S, "duration": N_TRS * TR_S, "trial_type": event})
    noise = NOISE_SD * rng.standard_normal((*SHAPE, n))
    volumes = 100 + np.where(FOLLOWS[..., None], signal, 0) + noise
    stem = folder / person / "func" / f"{person}_{name}"
    write_nifti(
        stem.with_name(f"{stem.name}_bold.nii.gz"), volumes.astype(np.float32), AFFINE, TR_S
    )
    write_table(stem.with_name(f"{stem.name}_events.tsv"), pd.DataFrame(events))


@pytest.fixture(scope="module", params=LAYOUTS)
def study(request, tmp_path_factory):
    """Scripts 1 to 4 and 8 on a study of two people: its layout, results, and what was printed."""
    folder = tmp_path_factory.mktemp(request.param)
    files, runs = LAYOUTS[request.param]
    dataset, rng = folder / "dataset", np.random.default_rng(0)
    times_s = np.arange(int(N_TRS * TR_S * 4)) / 4
    for film, file in files.items():
        levels = levels_of(film)
        path = dataset / "stimuli" / f"{file}.mp4"
        write_film(
            path, times_s, lambda s, levels=levels: grey(int(levels[int(s / TR_S)]), 24, 32), rate=4
        )
    for person in PEOPLE:
        for name, films in runs.items():
            write_run(dataset, person, name, films, rng)
    atlas = np.broadcast_to(np.where(FOLLOWS, 1, 2), SHAPE).astype(np.int16)
    write_nifti(dataset / "atlas.nii.gz", atlas, AFFINE)
    write_table(dataset / "atlas.tsv", pd.DataFrame({"index": [1, 2], "name": ["bright", "other"]}))
    named = tuple(files) if request.param == "several" else ()
    settings = SETTINGS | {"FILM_RUNS": request.param, "FILMS": named}
    paths = {"DATASET_DIR": str(dataset), "DATA_DIR": str(folder)}
    config = write_config(folder / "c.py", **settings | paths)
    printed = {0: script_here(SCRIPTS[1], config, "--check").stdout}
    for number in USED:
        done = script_here(SCRIPTS[number], config)
        assert done.returncode == 0, done.stderr
        printed[number] = done.stdout
    return SimpleNamespace(
        kind=request.param, films=files, runs=runs, root=folder / "r", printed=printed
    )


def test_nothing_is_wrong_and_nothing_is_left_out(study):
    assert "nothing is wrong" in study.printed[0]
    assert not any("left out" in text for text in study.printed.values())


def test_every_viewing_is_on_the_films_clock(study):
    """A row per person, film and viewing; the mean over people has the response of the film, 0.5 chunks exact."""
    people = read_table(study.root / "2-voxels" / "people.tsv")
    n_viewings = len(PEOPLE) * sum(map(len, study.runs.values()))
    assert len(people) == n_viewings and set(people["film"]) == set(study.films)
    mask = np.asarray(nib.load(study.root / "2-voxels" / "mask.nii.gz").dataobj) > 0
    here = np.broadcast_to(FOLLOWS, SHAPE)[mask]
    for film in study.films:
        rows = np.load(study.root / "2-voxels" / f"{film}_mean.npy")[:, here].mean(axis=1)
        assert np.corrcoef(rows, response_to(film)[: len(rows)])[0, 1] > 0.98


def test_each_film_is_held_out_whole(study):
    folds = read_table(study.root / "2-voxels" / "folds.tsv")
    tested = folds[folds["part"] == "test"].groupby("fold")["film"].unique()
    assert sorted(films[0] for films in tested) == sorted(study.films)
    assert all(len(films) == 1 for films in tested)


def test_the_region_that_follows_brightness_is_found(study):
    table = read_table(study.root / "8-encoding" / "regions.tsv").set_index("region")
    assert table.loc["bright", "wins"] == "brightness" and table.loc["other", "wins"] == "none"
    assert table.loc["bright", "r"] > 0.7 > 0.3 > abs(table.loc["other", "r"])
    voxels = read_table(study.root / "4-scores" / "voxels.tsv").set_index("model")
    assert voxels.loc["ridge", "r"] > 0.6  # the chosen half of the voxels are those that follow


def test_repeats_state_the_ceiling_within_people(study):
    """Signal of variance v and noise of variance 0.64 in each viewing: a person's mean of two shares v / (v + 0.32)."""
    table = read_table(study.root / "8-encoding" / "regions.tsv").set_index("region")
    page = (study.root / "report.html").read_text()
    if study.kind != "repeats":
        assert "ceiling_within" not in table and "repeats" not in page
        return
    v = np.mean([response_to(film).var() for film in study.films])
    assert table.loc["bright", "ceiling_within"] == pytest.approx(np.sqrt(v / (v + 0.32)), abs=0.02)
    # Noise of 44 volumes correlates by chance, and a negative share counts as 0.
    assert table.loc["other", "ceiling_within"] < table.loc["bright", "ceiling_within"] / 2
    assert f"<td>{table.loc['bright', 'ceiling_within']:.3f}</td>" in page
    assert (
        "ceiling by repeats" in page and "Runs of a film that a person saw more than once" in page
    )
