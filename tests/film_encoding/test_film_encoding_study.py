"""Film and brain: the eight scripts on a tiny study, made once; what they leave, resume, refuse and say."""

import io
import os
import runpy
import shutil
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from types import SimpleNamespace

from neuroface.pipeline import read_json, read_table, write_json

import nibabel as nib
import numpy as np
import pytest
from browser import check_in_print, check_on_a_phone
from conftest import FULL, ROOT, bids_errors, differing, write_config
from PIL import Image

pytest.importorskip("av", reason="films need PyAV: make film-encoding")
pytest.importorskip("himalaya", reason="ridge regression needs himalaya: make film-encoding")
pytest.importorskip("moten", reason="motion energy needs pymoten: make film-encoding")

from film_encoding import demo  # noqa: E402
from film_encoding.film_clock import middle_frame, sample_times_s  # noqa: E402
from film_encoding.film_frames import SampledFilm  # noqa: E402
from film_encoding.network_files import load_network  # noqa: E402
from film_encoding.ridge import fit_frames, inner_blocks  # noqa: E402
from film_encoding.study import STUDY  # noqa: E402

FOLDER = ROOT / "studies" / "film_encoding"
SCRIPTS = {step.number: FOLDER / step.script for step in STUDY.steps}
FILMS = {"alpha": 56, "beta": 50, "gamma": 46}
SETTINGS = dict(
    RUN_NAME="tiny-film", FRAMES_PER_TR=4, FRAME_PX=16, ENCODER_FILTERS=(2, 2, 2, 2), DECODER_FILTERS=2, EPOCHS=2,
    N_SEEDS=2, N_FOLDS=2, EMBARGO_TRS=3, INNER_SHARE=0.2, BATCH_SIZE=8, N_SHIFTS=20, N_IMAGE_SHIFTS=2,
    MIN_SHIFT_S=5.0, BLOCK_S=6.0, N_RIDGE_TRIES=2, N_COMPONENTS=8, IG_STEPS=3, N_RANDOM_REGIONS=20, N_RANDOM_SETS=20,
    N_RANDOM_CONCEPTS=20, N_STRIP=4, CLIP_S=(0.0, 4.0), ABLATIONS=("encoder", "lags 2"),
    FEATURES=("brightness", "faces", "own"), EACH_PERSON=True,
    SUBJECTS=("mean", "sub-02") if FULL else ("mean",), N_JOBS=1, INFERENCE_BATCH=16,
)  # fmt: skip


def run(number: int, config) -> SimpleNamespace:
    """A script in this process: its exit code and what it said."""
    code, out, err = 0, io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setenv("NEUROFACE_CONFIG", str(config))
        patch.setattr(sys, "argv", [str(SCRIPTS[number])])
        try:
            runpy.run_path(str(SCRIPTS[number]), run_name="__main__")
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
            print("" if isinstance(end.code, int) else end.code, file=err)
    return SimpleNamespace(code=code, out=out.getvalue(), err=err.getvalue())


def write_own_features(folder) -> None:
    """Two features of noise at 2 Hz for every film."""
    folder.mkdir(parents=True)
    for number, (film, n_trs) in enumerate(FILMS.items()):
        values = np.random.default_rng(number).standard_normal((int(n_trs * 1.3 * 2), 2))
        np.save(folder / f"{film}.npy", values)
        write_json(folder / f"{film}.json", {"SamplingFrequency": 2.0, "StartTime": 0.0})


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The finished study: its folder, config, settings, data set, and what each script printed."""
    folder = tmp_path_factory.mktemp("film-study")
    demo.write_demo(folder / "dataset", 42, FILMS, n_people=3)
    write_own_features(folder / "dataset" / "features" / "own")
    settings = SETTINGS | {"DATASET_DIR": str(folder / "dataset"), "DATA_DIR": str(folder)}
    config, printed = write_config(folder / "tiny.py", **settings), {}
    for number in SCRIPTS:
        done = run(number, config)
        assert done.code == 0, done.err
        printed[number] = done.out
    return SimpleNamespace(
        root=folder / "tiny-film",
        config=config,
        settings=settings,
        dataset=folder / "dataset",
        printed=printed,
    )


def copy_of(tiny, folder, *without: int, **changed):
    """A copy of the study in which some scripts have not run, and its config."""
    shutil.copytree(tiny.root, folder / "tiny-film")
    for number in without:
        shutil.rmtree(folder / "tiny-film" / STUDY.step(number).folder)
    settings = tiny.settings | {"DATA_DIR": str(folder)} | changed
    return folder / "tiny-film", write_config(folder / "copy.py", **settings)


# ---------------------------------------------------------------- what is made


def test_every_script_names_the_next_and_the_report_has_their_sections(tiny):
    for number, script in list(SCRIPTS.items())[1:]:
        assert (
            f"next: NEUROFACE_CONFIG={tiny.config} python {script.name}" in tiny.printed[number - 1]
        )
    assert "that was the last script" in tiny.printed[8]
    page = (tiny.root / "report.html").read_text()
    for words in (
        "Films",
        "Voxels",
        "Networks",
        "Scores",
        "Saliency",
        "Perturbations",
        "Figures",
        "Feature spaces",
        "Methods text",
    ):
        assert f">{words}<" in page
    assert "himalaya" in page and "Settings that differ from the paper" in page


def test_results_are_a_valid_bids_derivative(tiny):
    assert bids_errors(tiny.root) == []
    assert len(list(tiny.root.glob("tpl-*/*/*concept*_statmap.nii.gz"))) == 3


def test_chunks_are_the_frames_on_the_screen(tiny):
    film = SampledFilm(tiny.dataset / "stimuli" / "beta.mp4")
    chunks = np.load(tiny.root / "1-chunks" / "beta.npy")
    assert (
        chunks.shape == (49, 4, 16, 16, 3) and chunks.dtype == np.uint8
    )  # the last frame of 50 TRs is missing
    frames = np.stack(list(film.frames_at(sample_times_s(49, 4, 1.3), 16)))
    np.testing.assert_array_equal(chunks.reshape(-1, 16, 16, 3), frames)
    table = read_table(tiny.root / "1-chunks" / "films.tsv").set_index("film")
    assert (
        table.loc["alpha", "sound_tail_s"] > 3
        and table["frames_broken"].sum() == table["frames_missing"].sum() == 0
    )
    assert "sound goes on after the picture has ended in alpha (4." in tiny.printed[1]
    assert "left out" not in tiny.printed[1]  # nothing of the picture is


def volumes(tiny, subject: str, film: str) -> np.ndarray:
    """A person's BOLD (n_volumes, n_voxels) from the first volume of the film, as nibabel reads it."""
    mask = np.asarray(nib.load(tiny.root / "2-voxels" / "mask.nii.gz").dataobj) > 0
    stem = tiny.dataset / subject / "func" / f"{subject}_task-{film}"
    values = np.asarray(nib.load(f"{stem}_bold.nii.gz").dataobj)[mask].T.astype(float)
    onset = float(read_table(stem.with_name(f"{stem.name}_events.tsv"))["onset"][0])
    return values[round(onset / 1.3) :]


def test_the_mean_over_people_is_on_the_films_clock(tiny):
    mean = np.load(tiny.root / "2-voxels" / "alpha_mean.npy")
    people = [volumes(tiny, f"sub-0{person}", "alpha")[: len(mean)] for person in (1, 2, 3)]
    scored = np.stack([(values - values.mean(0)) / values.std(0) for values in people])
    np.testing.assert_allclose(mean, scored.mean(axis=0), atol=1e-3)
    if FULL:
        np.testing.assert_allclose(
            np.load(tiny.root / "2-voxels" / "alpha_sub-02.npy"), scored[1], atol=1e-3
        )
    np.testing.assert_allclose(
        np.load(tiny.root / "2-voxels" / "alpha_variance.npy"), scored.var(0, ddof=1), atol=1e-3
    )


def test_voxels_are_chosen_on_training_volumes_only(tiny):
    folds = read_table(tiny.root / "2-voxels" / "folds.tsv")
    for (split, number), fold in folds.groupby(["split", "fold"]):
        values = []
        for film, rows in fold[fold["part"].isin(["train", "inner"])].groupby("film"):
            volume = rows["chunk"].to_numpy() + 4
            mean, variance = (
                np.load(tiny.root / "2-voxels" / f"{film}_{kind}.npy")[volume]
                for kind in ("mean", "variance")
            )
            values.append(mean.var(axis=0, dtype=float) / variance.mean(axis=0, dtype=float))
        chosen = np.load(tiny.root / "2-voxels" / f"chosen_{split}_fold-{number}.npy")
        best = np.argsort(-np.mean(values, axis=0))[: int(0.6 * len(values[0]))]
        assert set(chosen) == set(best)


def test_predictions_are_the_networks_own(tiny):
    folder = tiny.root / "3-networks" / "network" / "published_fold-1_seed-2"
    test = read_table(tiny.root / "2-voxels" / "folds.tsv").query(
        "split == 'published' and part == 'test'"
    )
    chosen = np.load(tiny.root / "2-voxels" / "chosen_published_fold-1.npy")
    network = load_network(folder / "network.keras", len(chosen))
    row, film = test.iloc[[-1]], test["film"].iloc[-1]
    chunk = np.load(tiny.root / "1-chunks" / f"{film}.npy")[row["chunk"]]
    voxels, frame = network.predict_on_batch(chunk)
    np.testing.assert_allclose(np.load(folder / "predicted.npy")[-1:], voxels, atol=1e-4)
    np.testing.assert_allclose(np.load(folder / "from_predicted.npy")[-1:], frame, atol=2e-3)
    measured = np.load(tiny.root / "2-voxels" / f"{film}_mean.npy")[row["chunk"] + 4][:, chosen]
    made = network.get_layer("decoder").predict_on_batch(measured)
    np.testing.assert_allclose(np.load(folder / "from_measured.npy")[-1:], made, atol=2e-3)


def test_every_variant_is_trained_and_scored(tiny):
    table = read_table(tiny.root / "3-networks" / "trainings.tsv")
    counts = table.groupby(["variant", "split"]).size().unstack()
    # Two film folds; two seeds of the published split.
    assert counts.loc["network"].tolist() == counts.loc["encoder"].tolist() == [2, 2]
    assert not FULL or counts.loc["sub-02"].tolist() == [2, 1]
    scores = read_table(tiny.root / "4-scores" / "voxels.tsv")
    assert counts.loc["lags-2"].tolist() == [2, 1]
    models = {"network", "encoder", "lags-2", "ridge", "ridge one chunk"}
    models |= {"sub-02", "ridge sub-02", "ridge one chunk sub-02"} if FULL else set()
    for _, part in scores.groupby(["split", "test_set"]):
        assert set(part["model"]) == models
    assert read_json(tiny.root / "4-scores" / "regulariser.json")[0]["n_seeds"] == 2


def test_every_rival_has_the_interval_of_its_difference(tiny):
    table = read_table(tiny.root / "4-scores" / "comparison.tsv")
    for _, part in table.groupby(["split", "test_set"]):
        voxels, frames = (part[part["of"] == what] for what in ("voxels", "frames"))
        pairs = list(zip(voxels["model"], voxels["rival"], voxels["score"]))
        rivals = [("lags-2", "ridge"), ("network", "ridge one chunk"), ("network", "ridge")]
        assert pairs == [(*pair, score) for pair in rivals for score in ("r", "two_way")]
        assert frames[frames["rival"] == "ridge"]["score"].tolist() == [
            "two_way",
            "pixel_r",
            "psnr_db",
            "ssim",
        ]
    assert (table["low"] < table["difference"]).all() and (
        table["difference"] < table["high"]
    ).all()
    assert (table["n_blocks"] > 1).all() and set(table["n_seeds"]) == {1, 2}
    clear = (table["low"] > 0) | (table["high"] < 0)
    assert (clear == (table["network_is"] != "not different")).all()


def test_ridge_regression_learns_from_the_chunks_of_the_networks_weights(tiny):
    """Its frames are refitted on "train" alone, and not on the chunks that choose the epoch."""
    folds = read_table(tiny.root / "2-voxels" / "folds.tsv").query("split == 'film' and fold == 1")
    chosen = np.load(tiny.root / "2-voxels" / "chosen_film_fold-1.npy")
    bold = {film: np.load(tiny.root / "2-voxels" / f"{film}_mean.npy")[:, chosen] for film in FILMS}
    frames = {
        film: np.load(tiny.root / "1-chunks" / f"{film}.npy")[:, middle_frame(4)] for film in FILMS
    }
    train, test = (
        folds[folds["part"] == part].reset_index(drop=True) for part in ("train", "test")
    )
    given = [
        np.stack([bold[row.film][row.chunk + 4] for row in part.itertuples()])
        for part in (train, test)
    ]
    wanted = np.stack([frames[row.film][row.chunk] for row in train.itertuples()]) / np.float32(255)
    made = fit_frames(given[0], wanted, given[1], inner_blocks(train), 8, 42)
    stored = np.load(tiny.root / "4-scores" / "ridge" / "film_fold-1_from_measured.npy")
    np.testing.assert_allclose(stored.astype(float), made.astype(float), atol=5e-3)


def test_the_smallest_possible_p_stands_beside_p(tiny):
    scores = read_table(tiny.root / "4-scores" / "voxels.tsv").set_index(
        ["model", "split", "test_set"]
    )
    row = scores.loc[("network", "published", "unseen film")]  # 46 chunks less those without BOLD
    assert (
        row["p_smallest"] == pytest.approx(1 / 21) and row["p"] >= row["p_smallest"]
    )  # 20 shifts of N_SHIFTS
    last = scores.loc[("network", "published", "last part")]  # 22 chunks: too few lags for p < 0.05
    assert last["p_smallest"] > 0.05 and np.isnan(last["significant_share"])
    page = (tiny.root / "report.html").read_text()
    assert "not possible (smallest" in page and "not tested: too few shifts" in page


def test_r_is_that_of_the_stored_predictions(tiny):
    test = read_table(tiny.root / "2-voxels" / "folds.tsv").query(
        "split == 'published' and part == 'test'"
    )
    unseen = (test["test_set"] == "unseen film").to_numpy()
    chosen = np.load(tiny.root / "2-voxels" / "chosen_published_fold-1.npy")
    measured = np.load(tiny.root / "2-voxels" / "gamma_mean.npy")[test["chunk"][unseen] + 4][
        :, chosen
    ]
    r = []
    for seed in (1, 2):
        file = (
            tiny.root / "3-networks" / "encoder" / f"published_fold-1_seed-{seed}" / "predicted.npy"
        )
        predicted = np.load(file)[unseen]
        r.append([np.corrcoef(a, b)[0, 1] for a, b in zip(measured.T, predicted.T)])
    stored = np.load(tiny.root / "4-scores" / "units" / "encoder_published_unseen-film.r.npy")
    np.testing.assert_allclose(stored[chosen], np.mean(r, axis=0), atol=1e-4)
    row = read_table(tiny.root / "4-scores" / "voxels.tsv").query(
        "model == 'encoder' and split == 'published' and test_set == 'unseen film'"
    )
    assert row["r"].item() == pytest.approx(np.mean(r), abs=1e-4)
    image = nib.load(tiny.root / "4-scores" / "maps" / "encoder_published_unseen-film_r.nii.gz")
    mask = np.asarray(nib.load(tiny.root / "2-voxels" / "mask.nii.gz").dataobj) > 0
    np.testing.assert_allclose(
        np.asarray(image.dataobj)[mask][chosen, 0], np.mean(r, axis=0), atol=1e-4
    )


def test_frames_are_scored_against_the_middle_ones_and_the_mean_frame_stands_beside_them(tiny):
    frames = (
        read_table(tiny.root / "4-scores" / "frames.tsv")
        .query("model == 'network' and split == 'film'")
        .set_index("given")
    )
    assert set(frames.index) == {"from_predicted", "from_measured", "mean frame"}
    folds = read_table(tiny.root / "2-voxels" / "folds.tsv").query("split == 'film'")
    errors = []
    for _, fold in folds.groupby("fold"):
        target = {
            film: np.load(tiny.root / "1-chunks" / f"{film}.npy")[:, middle_frame(4)] / 255
            for film in FILMS
        }
        learned, tested = (
            np.stack(
                [target[row.film][row.chunk] for row in fold[fold["part"].isin(parts)].itertuples()]
            )
            for parts in (["train"], ["test"])
        )
        errors += np.mean((tested - learned.mean(axis=0)) ** 2, axis=(1, 2, 3)).tolist()
    assert frames.loc["mean frame", "psnr_db"] == pytest.approx(
        np.mean(-10 * np.log10(errors)), abs=1e-3
    )


def test_frames_are_identified_and_their_order_is_tested(tiny):
    frames = read_table(tiny.root / "4-scores" / "frames.tsv")
    rows = frames[frames["given"] != "mean frame"]
    assert rows["two_way_null"].between(0.4, 0.6).all() and rows["order_p"].notna().any()
    # Of 50 candidates: the smaller fold's film is too short, so the split has no such number.
    assert rows["among_10"].notna().any() and rows["among_50"].isna().any()
    shots = [np.load(tiny.root / "4-scores" / "features" / f"{film}_shots.npy") for film in FILMS]
    assert [len(numbers) for numbers in shots] == [
        len(np.load(tiny.root / "1-chunks" / f"{film}.npy", mmap_mode="r")) for film in FILMS
    ]
    page = (tiny.root / "report.html").read_text()
    assert page.index("Which moment was seen?") < page.index("Does motion come from the brain?")
    assert "the seen moment is identified against another one" in page


def test_the_localizer_is_what_the_encoder_predicts_for_the_pictures(tiny):
    chosen = np.load(tiny.root / "2-voxels" / "chosen_published_fold-1.npy")
    folder = tiny.root / "3-networks" / "network" / "published_fold-1_seed-1"
    network = load_network(folder / "network.keras", len(chosen))
    means = []
    for kind in ("faces", "places"):
        files = sorted((tiny.dataset / "localizer" / kind).glob("*.png"))
        pictures = [Image.open(file).resize((16, 16), Image.Resampling.BOX) for file in files]
        still = np.repeat(np.stack(pictures)[:, None], 4, axis=1)
        means.append(np.asarray(network.predict_on_batch(still)[0]).mean(axis=0))
    table = read_table(tiny.root / "6-perturbations" / "localizer.tsv")
    names = read_table(tiny.dataset / "atlas.tsv").set_index("name")["index"]
    labels = np.load(tiny.root / "2-voxels" / "parcels.npy")[chosen]
    for row in table.itertuples():
        here = labels == names[row.region]
        assert row.difference == pytest.approx((means[0] - means[1])[here].mean(), abs=1e-4)
        assert row.low < row.difference < row.high and row.n_voxels == here.sum()
    assert "Virtual localizer" in (tiny.root / "report.html").read_text()


def test_the_clip_plays_as_long_as_asked_and_shows_the_brain(tiny):
    clip = SampledFilm(tiny.root / "7-figures" / "clip.mp4")
    assert clip.end_s == pytest.approx(4 * 1.3, abs=0.2) and len(clip.times_s) > 30
    assert (tiny.root / "7-figures" / "clip.html").read_text().count("data:video/mp4;base64,") == 1
    (frame,) = clip.frames_at([1.0], 64)
    assert frame.std() > 20


# ---------------------------------------------------------------- resuming and refusing


def times_of(folder) -> dict:
    return {
        path: path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file() and path.suffix in (".npy", ".keras")
    }


def test_a_second_run_makes_nothing_again(tiny, tmp_path):
    root, config = copy_of(tiny, tmp_path)
    before = times_of(root)
    for number in SCRIPTS:
        done = run(number, config)
        assert done.code == 0, done.err
        # Tables and maps are written again; later scripts refuse to go on if their content differs.
        step = STUDY.step(number).folder
        assert differing(root / step, tiny.root / step) == []
    assert times_of(root) == before


def test_a_training_that_is_missing_is_made_again_and_the_others_stay(tiny, tmp_path):
    root, config = copy_of(tiny, tmp_path)
    lost = root / "3-networks" / "network" / "published_fold-1_seed-1"
    expected, before = np.load(lost / "predicted.npy"), times_of(root / "3-networks")
    shutil.rmtree(lost)
    done = run(3, config)
    assert (
        done.code == 0
        and f"trainings: {13 if FULL else 10} of {14 if FULL else 11} already there" in done.out
    ), done.out + done.err
    np.testing.assert_allclose(
        np.load(lost / "predicted.npy"), expected, atol=1e-4
    )  # the same seed
    after = times_of(root / "3-networks")
    assert {path for path in before if before[path] != after[path]} == {
        path for path in before if path.parent == lost
    }


@pytest.mark.parametrize(
    "number, changed",
    [(1, {"FRAME_PX": 24}), (2, {"VOXEL_SHARE": 0.5}), (3, {"EPOCHS": 3}), (4, {"N_SHIFTS": 30}), (5, {"IG_STEPS": 4}),
     (6, {"PERTURBATIONS": ("zero",)}), (7, {"N_STRIP": 5})],
)  # fmt: skip
def test_results_of_other_settings_are_refused(tiny, tmp_path, number, changed):
    (name,) = changed
    config = write_config(tmp_path / "other.py", **tiny.settings | changed)
    done = run(number, config)
    assert (
        done.code == 1
        and f"was made with {name} = " in done.err
        and len(done.err.strip().splitlines()) == 1
    )
    if reader := {1: 2, 2: 3, 3: 4, 4: 7}.get(number):  # a script that reads these results
        later = run(reader, config)
        assert later.code == 1 and name in later.err


@pytest.mark.skipif(not FULL, reason="NEUROFACE_FULL=1: trains more networks")
def test_more_ablations_and_seeds_add_to_what_is_there(tiny, tmp_path):
    root, config = copy_of(
        tiny, tmp_path, ABLATIONS=("encoder", "lags 2", "frames 2", "all voxels"), N_SEEDS=3
    )
    for number, said in (
        (1, "3 of 3 already there"),
        (2, "3 of 3 already there"),
        (3, "14 of 22 already there"),
    ):
        done = run(number, config)
        assert done.code == 0 and said in done.out, done.out + done.err
    assert read_table(root / "3-networks" / "trainings.tsv")["variant"].nunique() == 6
    done = run(4, config)
    assert done.code == 1 and "was made from an earlier 3-networks" in done.err
    shutil.rmtree(root / "4-scores")
    assert run(4, config).code == 0
    assert {"frames-2", "all-voxels"} <= set(read_table(root / "4-scores" / "voxels.tsv")["model"])


# ---------------------------------------------------------------- bad input


def fails(number: int, config, *words: str) -> None:
    done = run(number, config)
    assert done.code == 1 and len(done.err.strip().splitlines()) == 1, done.out + done.err
    for word in words:
        assert word in done.err, done.err


def test_films_that_are_not_there_or_twice_are_one_line(tiny, tmp_path):
    films = tmp_path / "films"
    settings = tiny.settings | {"DATA_DIR": str(tmp_path), "FILM_DIR": str(films)}
    fails(1, write_config(tmp_path / "a.py", **settings), "FILM_DIR = ", "is not there")
    films.mkdir()
    fails(
        1,
        write_config(tmp_path / "b.py", **settings),
        "holds no film that people saw: alpha, beta, gamma",
    )
    shutil.copy(tiny.dataset / "stimuli" / "alpha.mp4", films / "Alpha.mp4")
    fails(
        1,
        write_config(tmp_path / "c.py", **settings | {"FILMS": ("alpha", "beta")}),
        "FILMS names 'beta'",
    )
    fails(
        1,
        write_config(tmp_path / "d.py", **settings | {"FILMS": ("delta",)}),
        "no BOLD file has task-delta",
    )
    shutil.copy(films / "Alpha.mp4", films / "alpha.mkv")
    fails(1, write_config(tmp_path / "e.py", **settings), "Remove one of the two")
    (films / "alpha.mkv").unlink()
    (films / "beta.mp4").write_text("no film")
    fails(1, write_config(tmp_path / "f.py", **settings), "beta.mp4 cannot be opened as a film")
    assert not list((tmp_path / "tiny-film" / "1-chunks").glob("beta*"))


def test_headers_and_events_that_do_not_fit_are_one_line(tiny, tmp_path):
    settings = tiny.settings | {"DATA_DIR": str(tmp_path)}
    fails(1, write_config(tmp_path / "tr.py", **settings | {"TR_S": 2.0}), "TR_S")
    config = write_config(tmp_path / "event.py", **settings | {"FILM_EVENT": "movie"})
    fails(1, config, "has no event 'movie'", "FILM_EVENT")


def test_bold_that_does_not_fit_is_one_line(tiny, tmp_path):
    root, config = copy_of(tiny, tmp_path, 2, 3, 4, 5, 6, 7, 8)
    for name, (changed, words) in {
        "atlas": ({"ATLAS_FILE": "gone.nii.gz"}, ("ATLAS_FILE", "is not there")),
        "parcels": ({"PARCELS": ((90, 99),)}, ("PARCELS = ((90, 99),)", "labels go from 0 to 12")),
        "subject": ({"SUBJECTS": ("sub-99",)}, ("SUBJECTS = ('sub-99',)",)),
        "held out": ({"HELD_OUT_FILM": "delta"}, ("HELD_OUT_FILM = 'delta'", "alpha, beta, gamma")),
        "folds": ({"N_FOLDS": 9}, ("N_FOLDS = 9",)),
    }.items():
        shutil.rmtree(root / "2-voxels", ignore_errors=True)
        settings = tiny.settings | {"DATA_DIR": str(tmp_path)} | changed
        fails(2, write_config(tmp_path / f"{name}.py", **settings), *words)


def test_a_run_that_ends_early_is_left_out_and_named(tiny, tmp_path):
    dataset = tmp_path / "dataset"
    shutil.copytree(tiny.dataset, dataset)
    file = dataset / "sub-03" / "func" / "sub-03_task-alpha_bold.nii.gz"
    image = nib.load(file)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj)[..., :30], image.affine, image.header), file)
    root, config = copy_of(tiny, tmp_path, 2, 3, 4, 5, 6, 7, 8, DATASET_DIR=str(dataset))
    shutil.rmtree(root / "1-chunks")
    assert run(1, config).code == 0
    done = run(2, config)
    assert done.code == 0, done.err
    assert "left out: sub-03_task-alpha: its run holds 27 of the 56 volumes of the film" in done.out
    assert read_json(root / "2-voxels" / "alpha.json")["people"] == 2


def test_regions_and_annotations_that_are_not_there_are_one_line(tiny, tmp_path):
    settings = tiny.settings | {"DATA_DIR": str(tmp_path)}
    root, _ = copy_of(tiny, tmp_path, 5, 6, 7)
    (tmp_path / "bare.tsv").write_text("index\tlabel\n1\tx\n")
    for number, changed, words in (
        (5, {"REGIONS_TABLE": "gone.tsv"}, ("REGIONS_TABLE", "is not there")),
        (5, {"REGIONS_TABLE": str(tmp_path / "bare.tsv")}, ("lacks the column 'name'",)),
        (
            6,
            {"PERTURBED_REGIONS": ("amygdala",)},
            ("PERTURBED_REGIONS names 'amygdala'", "left calcarine"),
        ),
        (6, {"THING": "house"}, ("task-alpha_house-annotation.1D is not there",)),
    ):
        fails(number, write_config(tmp_path / "bad.py", **settings | changed), *words)
    network = root / "3-networks" / "network" / "published_fold-1_seed-1" / "network.keras"
    network.write_bytes(network.read_bytes()[:1000])
    fails(
        5,
        write_config(tmp_path / "cut.py", **settings),
        "network.keras",
        "Delete it, then: python 3-train",
    )


def test_from_another_folder_in_a_process_of_its_own(tiny, tmp_path):
    root, config = copy_of(tiny, tmp_path)
    environment = {n: v for n, v in os.environ.items() if n != "PYTHONPATH"} | {
        "NEUROFACE_CONFIG": str(config)
    }
    done = subprocess.run(
        [sys.executable, SCRIPTS[1]], env=environment, cwd="/", capture_output=True, text=True
    )
    assert done.returncode == 0 and "films: 3 of 3 already there" in done.stdout, done.stderr


def test_without_the_extra_packages_one_line_names_the_command():
    code = (
        "import importlib.util as u, sys\nfind = u.find_spec\n"
        "u.find_spec = lambda name, *more: None if name == 'av' else find(name, *more)\n"
        f"sys.argv = ['1-cut_film.py']\nsys.path.insert(0, {str(FOLDER)!r})\nimport film_encoding\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and len(done.stderr.strip().splitlines()) == 1
    assert "has no package av" in done.stderr and "make film-encoding" in done.stderr


# ---------------------------------------------------------------- the long way


@pytest.mark.skipif(not FULL, reason="NEUROFACE_FULL=1: kills scripts, minutes")
@pytest.mark.parametrize("number, after_s", [(1, 4.0), (2, 4.0), (3, 14.0), (4, 10.0)])
def test_a_killed_script_goes_on(tiny, tmp_path, number, after_s):
    root, config = copy_of(tiny, tmp_path, *range(number, 9))
    process = subprocess.Popen(
        [sys.executable, SCRIPTS[number]],
        env=os.environ | {"NEUROFACE_CONFIG": str(config)},
        stdout=subprocess.DEVNULL,
    )
    time.sleep(after_s)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert run(number, config).code == 0
    name = STUDY.step(number).folder
    made, wanted = (
        sorted(str(p.relative_to(r)) for p in (r / name).rglob("*.npy")) for r in (root, tiny.root)
    )
    assert made == wanted and not list((root / name).rglob("partial-*"))


@pytest.mark.skipif(
    not FULL, reason="NEUROFACE_FULL=1: the demo as make demo-film runs it, minutes"
)
def test_the_demo_finds_what_was_planted(tmp_path):
    config = write_config(
        tmp_path / "demo.py", DATASET_DIR=str(tmp_path / "dataset"), DATA_DIR=str(tmp_path)
    )
    for script in SCRIPTS.values():
        environment = os.environ | {"NEUROFACE_CONFIG": str(config)}
        done = subprocess.run(
            [sys.executable, script], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    root = tmp_path / "film-demo"
    scores = read_table(root / "4-scores" / "voxels.tsv").query("model == 'network'")
    assert (scores["p"] <= scores["p_smallest"]).all() and (scores["r"] < scores["ceiling"]).all()
    regulariser = read_json(root / "4-scores" / "regulariser.json")
    assert all(
        row["n_seeds"] == 2 and row["interval"][0] < row["effect"] < row["interval"][1]
        for row in regulariser
    )
    table = read_table(root / "6-perturbations" / "perturbations.tsv").set_index(
        ["region", "perturbation"]
    )
    for kind in ("zero", "mean", "noise"):
        fusiform = table.loc[("posterior fusiform", kind)]
        assert fusiform["p_thing_over_others"] < 0.05 and fusiform["p_over_random"] < 0.05
        assert fusiform["p_thing_over_each"] < 0.05 and fusiform["random_median_p"] > 0.05


# ---------------------------------------------------------------- script 8


def test_script_8_scores_every_person_and_region(tiny):
    folder = tiny.root / "8-encoding"
    mask = np.asarray(nib.load(folder / "mask.nii.gz").dataobj) > 0
    table = read_table(folder / "regions.tsv")
    assert table["n_voxels"].sum() == mask.sum()
    for subject in ("mean", "sub-01", "sub-02", "sub-03"):
        r = np.load(folder / "scores" / f"{subject}_r.npy")
        product = np.load(folder / "scores" / f"{subject}_product.npy")
        assert r.shape == (mask.sum(),) and product.shape == (3, mask.sum())
        r2 = np.load(folder / "scores" / f"{subject}_r2.npy")
        np.testing.assert_allclose(product.sum(axis=0), r2, atol=1e-4)
    labels = np.load(tiny.root / "2-voxels" / "parcels.npy")
    left_fusiform = (
        labels
        == read_table(tiny.dataset / "atlas.tsv")
        .query("name == 'left posterior fusiform'")["index"]
        .item()
    )
    row = table[table["region"] == "left posterior fusiform"].iloc[0]
    assert row["r"] == pytest.approx(
        np.load(folder / "scores" / "mean_r.npy")[left_fusiform].mean(), abs=1e-5
    )
    each = [
        np.load(folder / "scores" / f"sub-0{person}_unique.npy")[1, left_fusiform].mean()
        for person in (1, 2, 3)
    ]
    assert row["faces people unique"] == pytest.approx(np.mean(each), abs=1e-5)
    half = 4.302653 * np.std(each, ddof=1) / np.sqrt(3)  # Student's t, 2 degrees of freedom
    assert row["faces high"] - row["faces low"] == pytest.approx(2 * half, rel=1e-3)
    unique = np.asarray(nib.load(folder / "maps" / "unique_faces.nii.gz").dataobj)[mask].ravel()
    np.testing.assert_allclose(unique, np.load(folder / "scores" / "mean_unique.npy")[1], atol=1e-6)
    assert not list(folder.glob("scores/*spaces.npy"))  # predictions are not kept


def test_script_8_needs_no_film_for_own_features(tiny, tmp_path):
    root, config = copy_of(
        tiny, tmp_path, 1, 2, 3, 4, 5, 6, 7, 8,
        FEATURES=("own",), EACH_PERSON=False, FILM_DIR=str(tmp_path), N_RIDGE_TRIES=1,
    )  # fmt: skip
    done = run(8, config)
    assert done.code == 0, done.err
    before = np.load(tiny.root / "2-voxels" / "beta_mean.npy")
    found = np.load(root / "8-encoding" / "bold" / "beta_mean.npy")
    n = min(len(before), len(found))
    assert np.corrcoef(before[:n, 3], found[:n, 3])[0, 1] > 0.99


def test_script_8_refuses_features_of_another_film(tiny, tmp_path):
    folder = tmp_path / "features" / "own"
    write_own_features(folder)
    shutil.copy(folder / "alpha.npy", folder / "beta.npy")
    _, config = copy_of(tiny, tmp_path, 8, FEATURE_DIR=str(tmp_path / "features"))
    done = run(8, config)
    assert done.code == 1 and "holds the same numbers as" in done.err


def test_script_8_names_own_features_that_changed_after_they_were_used(tiny, tmp_path):
    folder = tmp_path / "features" / "own"
    write_own_features(folder)
    _, config = copy_of(tiny, tmp_path, 8, FEATURE_DIR=str(tmp_path / "features"))
    assert run(8, config).code == 0
    np.save(folder / "beta.npy", np.load(folder / "beta.npy") + 1)
    done = run(8, config)
    assert done.code == 1 and "beta.npy has changed since" in done.err, done.err


def test_the_report_fits_a_phone_and_the_paper(tiny):
    check_on_a_phone(tiny.root / "report.html")
    check_in_print(tiny.root / "report.html")
