"""Study "seen images": several people, a new person with few trials, voxels chosen by reliability, noise ceilings."""

import shutil
from pathlib import Path
from types import SimpleNamespace

from neuroface import NeuroFaceError
from neuroface.pipeline.stage import distinct_names

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, script_here, write_config

torch = pytest.importorskip("torch", reason="needs the extras of seen images: make images-test")
for extra in ("diffusers", "transformers", "himalaya", "skimage"):
    pytest.importorskip(extra, reason="needs the extras of seen images: make images-test")

from seen_images import demo, patterns, shared, trial_sets  # noqa: E402
from seen_images.networks import Linear  # noqa: E402
from seen_images.people import (  # noqa: E402
    PersonTrials,
    first_training_trials,
    learn_from,
    without_tested,
)
from seen_images.sources import check_sessions  # noqa: E402
from seen_images.table_source import Tables  # noqa: E402
from seen_images.training import fit_ridge, inner_folds, predict  # noqa: E402

FOLDER = ROOT / "studies" / "seen_images"
SCRIPTS = {int(path.name[0]): path for path in sorted(FOLDER.glob("[1-3]-*.py"))}
PEOPLE = ("sub-01", "sub-02", "sub-03")
torch.set_num_threads(1)


def table(path):
    return pd.read_csv(path, sep="\t", na_values=["n/a"], keep_default_na=False)


# ---------------------------------------------------------------- shared ridge regression


def planted_people(rng, n_people=4, n_images=150, n_outputs=60, n_voxels=80, rank=4):
    """People whose voxels hold ``rank`` directions of the latents, each in a way of its own, and noise; single trials."""
    directions = np.linalg.qr(rng.standard_normal((n_outputs, rank)))[0]
    people = []
    targets = rng.standard_normal((n_people * n_images, n_outputs)).astype(np.float32)
    for number in range(n_people):
        rows = np.arange(number * n_images, (number + 1) * n_images)  # no image in common
        weights = rng.standard_normal((rank, n_voxels))
        noise = 2 * rng.standard_normal((n_images, n_voxels))
        voxels = (targets[rows] @ directions @ weights + noise).astype(np.float32)
        people.append(PersonTrials(voxels, np.array([f"i{row}" for row in rows]), rows, targets))
    return people, directions


def test_a_new_person_is_decoded_better_with_other_people():
    """40 trials. The others teach which four directions of sixty can be decoded at all; no image is common."""
    people, directions = planted_people(np.random.default_rng(3))
    whole = people[0]
    own = PersonTrials(whole.voxels[:40], whole.images[:40], whole.of_trial[:40], whole.targets)
    cfg = SimpleNamespace(
        N_FOLDS=5, SEED=1, ALPHAS=(1.0, 10.0, 100.0, 1e3, 1e4), INFERENCE_BATCH=64
    )
    mean = whole.targets[own.of_trial].mean(axis=0)
    device = torch.device("cpu")
    together, chosen = shared.fit_shared(own, people[1:], mean, cfg, device)
    folds = inner_folds(own.images, 5, 1)
    alone, _ = fit_ridge(own.voxels, own.targets[own.of_trial], folds, cfg.ALPHAS, device)
    truth, tests = whole.targets[whole.of_trial[40:]], whole.voxels[40:]
    error = {
        name: np.mean((predict(network, tests, 64) - truth) ** 2)
        for name, network in (("alone", alone), ("shared", together))
    }
    variance = np.mean((truth - mean) ** 2)
    assert error["shared"] < error["alone"] and error["shared"] < variance
    gain = (variance - error["shared"]) / (variance - error["alone"])
    assert gain > 1.3 or error["alone"] > variance
    inside = {}  # share of the decoded variance along the 4 directions of 60
    for name, network in (("alone", alone), ("shared", together)):
        decoded = predict(network, tests, 64)
        decoded = decoded - decoded.mean(axis=0)
        inside[name] = np.sum((decoded @ directions) ** 2) / np.sum(decoded**2)
    assert inside["shared"] > 0.5 and inside["shared"] > 1.5 * inside["alone"]
    assert sum(chosen["shared_alphas"].values()) == 60


def test_the_joined_network_is_one_after_the_other():
    rng = np.random.default_rng(1)
    components = np.linalg.qr(rng.standard_normal((6, 3)))[0].T.astype(np.float32)
    first, second, mean = Linear(5, 6), Linear(3, 3), rng.standard_normal(6).astype(np.float32)
    x = rng.standard_normal((4, 5)).astype(np.float32)
    between = (predict(first, x, 4) - mean) @ components.T
    expected = mean + predict(second, between, 4) @ components
    made = predict(shared.joined(first, second, components, mean), x, 4)
    assert np.allclose(made, expected, atol=1e-5)


def test_a_person_who_plays_the_new_one_decodes_unseen_images_alone(monkeypatch):
    people, _ = planted_people(np.random.default_rng(2), n_people=1, n_images=30)
    fitted = []
    monkeypatch.setattr(
        shared, "fit_ridge", lambda voxels, *rest: (fitted.append(voxels), (Linear(80, 60), {}))[1]
    )
    cfg = SimpleNamespace(N_FOLDS=5, SEED=1, ALPHAS=(1.0,), INFERENCE_BATCH=64)
    for n_trials, n_fitted in ((10, 10), (1000, 24)):  # at most 80 % of the images
        decoded, true, rows = shared.play_new_person(people[0], n_trials, [1], cfg, None)
        assert fitted[-1].shape == (n_fitted, 80) and len(decoded) == 30 - n_fitted
        kept = {tuple(row) for row in fitted[-1]}
        unseen = np.array([tuple(row) not in kept for row in people[0].voxels])
        assert np.array_equal(true, people[0].targets[people[0].of_trial[unseen]])
        assert np.array_equal(rows, people[0].of_trial[unseen])


@pytest.mark.parametrize(("n_images", "n_trials"), [(10, 1000), (10, 1), (30, 3)])
def test_few_images_and_few_trials_make_a_shared_decoder(n_images, n_trials):
    """One other person, whose images have three trials each: the first of them would all show one image."""
    people, _ = planted_people(np.random.default_rng(2), n_people=2, n_images=n_images)
    thrice = [
        PersonTrials(*(np.repeat(rows, 3, axis=0) for rows in one[:3]), one[3]) for one in people
    ]
    few = PersonTrials(*(rows[: max(n_trials, 6)] for rows in thrice[0][:3]), thrice[0].targets)
    cfg = SimpleNamespace(N_FOLDS=5, SEED=1, ALPHAS=(1.0, 100.0), INFERENCE_BATCH=64)
    device = torch.device("cpu")
    decoded, _, rows = shared.play_new_person(thrice[1], n_trials, [1], cfg, device)
    assert len(decoded) == len(rows) == n_images - min(max(2, -(-n_trials // 3)), 0.8 * n_images)
    network, _ = shared.fit_shared(few, thrice[1:], np.zeros(60, np.float32), cfg, device)
    assert np.isfinite(predict(network, few.voxels, 64)).all()


@pytest.mark.parametrize("n_images", [0, 1, 4, 9])
def test_a_person_with_fewer_than_ten_images_is_refused(n_images):
    """With four images all would be fitted and none decoded; with nine, one: no folds for the second regression."""
    trials = pd.DataFrame({"image": [f"i{n}" for n in range(n_images)] * 3, "session": "1"})
    source = SimpleNamespace(trials=trials.assign(split="train"))
    cfg = SimpleNamespace(SUBJECT="a", OTHER_SUBJECTS=("b",), STANDARDIZE="voxel")
    with pytest.raises(NeuroFaceError, match=f"b has training trials of {n_images} images .* 10"):
        learn_from("b", source, set(), cfg)


def test_latents_that_never_change_are_decoded_as_their_mean():
    """As text latents where all pictures have one caption."""
    people, _ = planted_people(np.random.default_rng(2), n_people=2, n_images=20)
    flat = [PersonTrials(*one[:3], np.full_like(one.targets, 0.3)) for one in people]
    cfg = SimpleNamespace(N_FOLDS=3, SEED=1, ALPHAS=(1.0, 100.0), INFERENCE_BATCH=64)
    mean = np.full(60, 0.3, np.float32)
    network, _ = shared.fit_shared(flat[0], flat[1:], mean, cfg, torch.device("cpu"))
    assert np.allclose(predict(network, people[0].voxels, 64), 0.3, atol=1e-6)


def test_with_one_other_person_an_image_is_in_one_fold_of_the_second_regression(monkeypatch):
    """Five draws decode an image more than once: in two folds, it would choose a penalty on what it was fitted to."""
    people, _ = planted_people(np.random.default_rng(5), n_people=2, n_images=30)
    fits = []

    def noted(x, y, folds, *rest):
        fits.append((y, folds))
        return fit_ridge(x, y, folds, *rest)

    monkeypatch.setattr(shared, "fit_ridge", noted)
    cfg = SimpleNamespace(N_FOLDS=3, SEED=1, ALPHAS=(1.0, 100.0), INFERENCE_BATCH=64)
    shared.fit_shared(people[0], people[1:], np.zeros(60, np.float32), cfg, torch.device("cpu"))
    latents, folds = fits[-1]
    of_image = pd.DataFrame({"image": latents[:, 0], "fold": folds}).groupby("image")["fold"]
    assert of_image.size().max() > 1 and of_image.nunique().max() == 1 and len(set(folds)) == 3


# ---------------------------------------------------------------- through the scripts


@pytest.fixture(scope="module")
def three_people(tmp_path_factory):
    """Scripts 1 to 3 on the demo of three people: the first has 24 training trials."""
    folder = tmp_path_factory.mktemp("people")
    demo.write_demo(folder / "dataset", 42, 40, 24, noise_sd=0.7, people=PEOPLE)
    settings = dict(
        DATASET_DIR=str(folder / "dataset"), DATA_DIR=str(folder), RUN_NAME="people", SPLIT="given", N_JOBS=1,
        SUBJECT="sub-01", OTHER_SUBJECTS=PEOPLE[1:], TRAINING_TRIALS=24, N_BOOTSTRAP=100, N_SHUFFLES=20,
        IMAGE_DECODERS=("ridge", "shared"), IMAGE_DECODER="shared", TEXT_DECODERS=("ridge", "shared"),
        TEXT_DECODER="ridge", CLIP_DECODERS=(), ALPHAS=(10.0, 1000.0),
    )  # fmt: skip
    config = write_config(folder / "people.py", **settings)
    for script in SCRIPTS.values():
        done = script_here(script, config)
        assert done.returncode == 0, done.stderr
    return SimpleNamespace(root=folder / "people", folder=folder, settings=settings, config=config)


def test_no_trial_of_another_person_shows_a_tested_image(three_people):
    betas = three_people.root / "1-betas"
    tested = set(table(betas / "test.tsv")["image"])
    assert len(tested) == 24 and len(np.load(betas / "train.npy")) == 24
    stored = table(three_people.folder / "dataset" / "trials.tsv")
    for person in PEOPLE[1:]:
        trials = table(betas / "others" / person / "trials.tsv")
        of_person = stored[stored["subject"] == person]
        assert not set(trials["image"]) & tested
        assert len(trials) == (of_person["split"] == "train").sum() == 120
        train = np.load(betas / "others" / person / "train.npy")
        assert train.shape == (120, 830) and np.allclose(train.mean(axis=0), 0, atol=1e-4)
        assert not (betas / "others" / person / "test.npy").exists()
    tests = table(betas / "test_trials.tsv")["session"].to_numpy()  # read as a number
    trained = set(table(betas / "trials.tsv")["session"])
    values = np.load(betas / "test_trials.npy")
    assert trained == {1} and set(tests) == {1, 2, 3, 4}
    for session in (2, 3, 4):  # without training trials: by the tests' own mean and SD
        assert np.allclose(values[tests == session].mean(axis=0), 0, atol=1e-4)
    split = table(three_people.root / "2-embeddings" / "images.tsv")["split"].value_counts()
    own = table(betas / "trials.tsv")["image"].nunique()
    assert split.to_dict() == {"test": 24, "train": own, "other": 40 - own}


def test_the_first_of_several_people_is_the_demos_only_one(three_people, tmp_path):
    demo.write_demo(tmp_path / "one", 42, 40, 24, noise_sd=0.7)
    alone = np.load(tmp_path / "one" / "betas.npy")
    assert np.array_equal(alone, np.load(three_people.folder / "dataset" / "betas_sub-01.npy"))
    assert not np.allclose(alone, np.load(three_people.folder / "dataset" / "betas_sub-02.npy"))


def test_the_shared_decoder_is_a_row_of_the_table_and_has_a_ceiling(three_people):
    rows = table(three_people.root / "3-decoders" / "text.tsv").set_index("decoder")
    assert rows.index.tolist()[1:3] == ["ridge", "shared"]
    assert rows.loc["shared", "mse"] < rows["mse"].iloc[0]
    for name in ("ridge", "shared"):
        assert rows.loc[name, "correlation"] < rows.loc[name, "ceiling"] <= 1
    page = (three_people.root / "report.html").read_text()
    assert "ridge shared across people" in page and "Other people, for the decoder" in page


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"SUBJECT": "sub-1"}, "no row with subject 'sub-1' (did you mean sub-01?)"),
        ({"OTHER_SUBJECTS": ("sub-01",)}, "names SUBJECT = 'sub-01'"),
        ({"OTHER_SUBJECTS": ()}, "names nobody to share with"),
        ({"TRAINING_TRIALS": 500}, "there are 120 training trials"),
        ({"TRAINING_TRIALS": 4}, "session 01 has 4 training trials"),
        ({"MIN_NCSNR": 90.0}, "MIN_NCSNR = 90 leaves no voxel of V1: its largest ncsnr is"),
    ],
)
def test_people_and_trials_that_there_are_not_are_one_line(
    three_people, tmp_path, settings, message
):
    changed = three_people.settings | {"DATA_DIR": str(tmp_path)} | settings
    refused = script_here(SCRIPTS[1], write_config(tmp_path / "c.py", **changed))
    assert refused.returncode == 1 and message in refused.stderr, refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_the_check_names_what_other_people_lack(three_people, tmp_path):
    """A picture that only another person saw, and a person whose trials all show tested images."""
    dataset = tmp_path / "dataset"
    shutil.copytree(three_people.settings["DATASET_DIR"], dataset)
    trials = table(dataset / "trials.tsv")
    second, third = (trials["subject"] == name for name in PEOPLE[1:])
    shown = (second & (trials["split"] == "train")).idxmax()
    trials.loc[shown, "image"] = "unseen-by-others"
    trials.loc[third, "split"] = "test"
    trials.to_csv(dataset / "trials.tsv", sep="\t", index=False)
    changed = three_people.settings | {"DATASET_DIR": str(dataset), "DATA_DIR": str(tmp_path)}
    checked = script_here(SCRIPTS[1], write_config(tmp_path / "c.py", **changed), "--check")
    assert checked.returncode == 1
    assert "unseen-by-others" in checked.stdout and "pictures: 64 of 65 images" in checked.stdout
    assert "OTHER_SUBJECTS: sub-03 has training trials of 0 images" in checked.stdout


def test_tables_of_one_person_are_not_taken_as_those_of_others(three_people, tmp_path):
    trials = table(Path(three_people.settings["DATASET_DIR"]) / "trials.tsv")
    trials.drop(columns="subject").to_csv(tmp_path / "trials.tsv", sep="\t", index=False)
    (tmp_path / "voxels.tsv").write_text("roi\nV1\n")
    cfg = SimpleNamespace(DATASET_DIR=str(tmp_path), SUBJECT="a", OTHER_SUBJECTS=("b",))
    with pytest.raises(NeuroFaceError, match=r"\('b',\) names people, .* has no column subject"):
        Tables(cfg)


def test_unreliable_voxels_are_left_out_by_training_trials_and_named(three_people, tmp_path):
    changed = {"DATA_DIR": str(tmp_path), "MIN_NCSNR": 0.4, "TRAINING_TRIALS": None}
    changed |= {"OTHER_SUBJECTS": (), "IMAGE_DECODERS": ("ridge",), "TEXT_DECODERS": ("ridge",)}
    changed |= {"IMAGE_DECODER": "ridge"}
    config = write_config(tmp_path / "c.py", **three_people.settings | changed)
    done = script_here(SCRIPTS[1], config)
    assert done.returncode == 0, done.stderr
    betas = tmp_path / "people" / "1-betas"
    kept, weak = (table(betas / f"{name}.tsv") for name in ("voxels", "unreliable"))
    assert len(kept) + len(weak) == 830 and kept["ncsnr"].min() >= 0.4 > weak["ncsnr"].max()
    assert (
        np.load(betas / "train.npy").shape[1] == len(kept) == np.load(betas / "test.npy").shape[1]
    )
    truth = table(three_people.folder / "dataset" / "truth" / "voxels.tsv")
    truth = truth[truth["subject"] == "sub-01"]["answers_to"].to_numpy()
    assert (truth[kept["voxel"]] == "none").mean() < 0.1 < (truth == "none").mean()
    expected = patterns.signal_to_noise(
        np.load(betas / "train.npy"), table(betas / "trials.tsv")["image"].to_numpy()
    )
    assert np.allclose(kept["ncsnr"], expected, atol=1e-5)  # no test trial had a part in it
    assert "ncsnr below MIN_NCSNR = 0.4" in done.stdout
    assert not list(betas.glob("session-*")) and not (betas / trial_sets.ALL_VOXELS).exists()


# ---------------------------------------------------------------- rules


def test_a_threshold_without_repeats_stops():
    columns = pd.DataFrame({"part": ["early"], "roi": ["V1"], "ncsnr": [np.nan]})
    assert trial_sets.reliable(columns, 0).all()
    with pytest.raises(NeuroFaceError, match="no training image has two trials"):
        trial_sets.reliable(columns, 0.1)


def test_a_session_without_training_trials_is_standardised_by_its_tests():
    trials = pd.DataFrame(
        {"image": [f"i{n}" for n in range(40)], "session": ["1"] * 20 + ["2"] * 20}
    )
    trials["split"] = (["train"] * 10 + ["test"] * 10) * 2
    few = first_training_trials(trials, 10)
    assert few["split"].value_counts().to_dict() == {"train": 10, "unused": 10, "test": 20}
    assert check_sessions(few, "session") is None
    with pytest.raises(NeuroFaceError, match="session 2 has 5 training trials"):
        check_sessions(first_training_trials(trials, 15), "session")
    assert without_tested(trials, {"i0"})["split"].value_counts().to_dict() == {
        "unused": 21,
        "train": 19,
    }


def test_the_noise_ceiling_is_the_correlation_with_the_planted_signal():
    """Three trials an image, signal and noise of SD 1: √(1 / (1 + 1/3)); noise alone counts a little above 0."""
    rng, images = np.random.default_rng(4), np.tile(np.arange(3000), 3)
    signal = rng.standard_normal((3000, 2)) * [1, 0]
    trials = signal[images] + rng.standard_normal((9000, 2))
    means = trials.reshape(3, 3000, 2).mean(axis=0)
    reached = np.corrcoef(means[:, 0], signal[:, 0])[0, 1]
    assert patterns.noise_ceiling(np.array([1.0]), np.full(9, 3)) == pytest.approx(np.sqrt(3 / 4))
    ceiling = patterns.ceiling_of_latents(trials[:, :1], images, np.full(3000, 3))
    assert ceiling == pytest.approx(reached, abs=0.01) == pytest.approx(np.sqrt(3 / 4), abs=0.01)
    half = patterns.ceiling_of_latents(trials, images, np.full(3000, 3))
    assert np.sqrt(3 / 4) / 2 < half < np.sqrt(3 / 4) / 2 + 0.1  # noise alone counts a little
    assert patterns.ceiling_of_latents(trials[:3000], images[:3000], np.ones(3000)) is None


def test_files_of_the_same_name_of_several_people_are_told_apart():
    """NSD: each person has ``…/<person>/func1pt8mm/<betas>/betas_session01.hdf5``."""
    files = [Path("p") / person / "grid" / "betas_session01.hdf5" for person in ("a", "b")]
    files.append(Path("p/table.tsv"))
    names = ["a/grid/betas_session01.hdf5", "b/grid/betas_session01.hdf5", "table.tsv"]
    assert list(distinct_names(files).values()) == names
