"""The best model of each fold: chosen by inner validation windows alone, and stored like any other model."""

from functools import partial

from neuroface.decoding import choose_model
from neuroface.decoding.fold_files import Member, files_of, is_closed_form
from neuroface.decoding.folds import Fold
from neuroface.pipeline.files import read_table, write_json, write_table
from neuroface.pipeline.units import UnitFiles

import numpy as np
import pandas as pd
import pytest

N = 40
Y = np.arange(N) % 2
ROWS = {
    1: (range(0, 20), range(20, 30), range(30, 40)),
    2: (range(20, 40), range(10, 20), range(0, 10)),
}
FOLDS = {"movie": [Fold(k, *map(np.array, rows), "movie") for k, rows in ROWS.items()]}
LABELS = np.where(Y == 1, "face", "noface")
SAMPLES = pd.DataFrame({"label": LABELS, "event": [f"e{i}" for i in range(N)], "subject": "sub-1"})
MODELS = ["linear-mean", "linear", "linear_plus", "voxel_time_cnn"]


def write_model(folder, name, fold, quality, number=1, noise=1.0):
    """Files of a training whose inner logits are ``quality`` times the label, plus noise."""
    files = files_of(folder, Member(name, "movie", fold, number))
    files.cost.parent.mkdir(parents=True, exist_ok=True)
    rows = np.union1d(fold.train, fold.validation) if is_closed_form(name) else fold.validation
    random = np.random.default_rng([len(name), fold.number, number]).standard_normal(N)
    write_table(
        files.inner,
        pd.DataFrame({"row": rows, "logit": (quality * (2 * Y - 1) + noise * random)[rows]}),
    )
    files.model.write_text(f"{name} {fold.number} {number}")
    write_json(files.cost, {"seconds": 1.0})
    if files.history:
        write_table(files.history, pd.DataFrame({"epoch": [1]}))
    write_table(files.predictions, pd.DataFrame({"row": fold.test, "logit": 0.0}))
    return files


def write_models(folder, qualities, **more):
    for name, of_folds in qualities.items():
        for fold, quality in zip(FOLDS["movie"], of_folds):
            write_model(folder, name, fold, quality, **more)


def chosen(folder, models=MODELS):
    return [
        choose_model.choose(folder, "movie", fold, models, SAMPLES, "face")["model"]
        for fold in FOLDS["movie"]
    ]


def test_candidates_are_ordered_from_simple_to_complex():
    assert choose_model.candidates(("voxel_time_cnn", "linear_plus", "hybrid")) == [
        *MODELS,
        "hybrid",
    ]
    assert choose_model.candidates(("linear_plus",)) == MODELS[:3]


def test_each_fold_gets_the_model_that_its_inner_windows_prefer(tmp_path):
    write_models(
        tmp_path,
        {"linear-mean": (0, 4), "linear": (0, 0), "linear_plus": (4, 0), "voxel_time_cnn": (0, 0)},
    )
    assert chosen(tmp_path) == ["linear_plus", "linear-mean"]
    write_models(tmp_path, {"voxel_time_cnn": (9, 0)}, noise=0.1)
    assert chosen(tmp_path) == ["voxel_time_cnn", "linear-mean"]


def test_a_tie_goes_to_the_simpler_model(tmp_path):
    write_models(tmp_path, dict.fromkeys(MODELS, (3, 3)), noise=0.0)
    assert chosen(tmp_path) == ["linear-mean", "linear-mean"]


def test_losses_are_those_of_the_windows_that_all_models_predict(tmp_path):
    write_models(tmp_path, dict.fromkeys(MODELS, (1, 1)))
    fold = FOLDS["movie"][0]
    losses = choose_model.choose(tmp_path, "movie", fold, MODELS, SAMPLES, "face")["loss"]
    for name in MODELS:
        table = (
            read_table(files_of(tmp_path, Member(name, "movie", fold)).inner)
            .set_index("row")
            .loc[fold.validation]
        )
        sign = 2 * Y[fold.validation] - 1  # as many of each label, so all windows count the same
        assert losses[name] == pytest.approx(np.log1p(np.exp(-sign * table["logit"])).mean())


def test_the_mean_logit_of_several_seeds_is_judged(tmp_path):
    write_models(
        tmp_path, {"linear-mean": (1, 1), "linear": (0, 0), "voxel_time_cnn": (-6, -6)}, noise=0.0
    )
    write_models(tmp_path, {"voxel_time_cnn": (20, 20)}, number=2, noise=0.0)  # a mean of 7
    assert chosen(tmp_path, ["linear-mean", "linear", "voxel_time_cnn"]) == ["voxel_time_cnn"] * 2


def test_held_out_windows_play_no_part(tmp_path):
    write_models(
        tmp_path,
        {"linear-mean": (0, 0), "linear": (0, 0), "linear_plus": (4, 4), "voxel_time_cnn": (0, 0)},
    )
    for (
        name
    ) in MODELS:  # on held-out windows the others are perfect, and the chosen one is always wrong
        for fold in FOLDS["movie"]:
            logit = (2 * Y - 1)[fold.test] * (-9.0 if name == "linear_plus" else 9.0)
            file = files_of(tmp_path, Member(name, "movie", fold)).predictions
            write_table(file, read_table(file).assign(logit=logit))
    assert chosen(tmp_path) == ["linear_plus"] * 2


# ---------------------------------------------------------------- files


@pytest.fixture
def written(tmp_path):
    write_models(
        tmp_path,
        {"linear-mean": (0, 4), "linear": (0, 0), "linear_plus": (0, 0), "voxel_time_cnn": (9, 0)},
    )
    choose_model.write_best(tmp_path, FOLDS, MODELS, SAMPLES, "face", 1, "movie")
    return tmp_path


def is_chosen(folder, models=MODELS, n_seeds=1):
    files = partial(choose_model.best_files, folder, FOLDS)
    return UnitFiles(
        files, valid=partial(choose_model.is_chosen_among, folder, models, n_seeds)
    ).are_done("movie")


def test_the_chosen_models_files_are_there_under_the_name_best(written):
    choices = choose_model.read_choices(written, "movie")
    assert {fold: choice["model"] for fold, choice in choices.items()} == {
        "1": "voxel_time_cnn",
        "2": "linear-mean",
    }
    for fold in FOLDS["movie"]:
        name = choices[str(fold.number)]["model"]
        theirs, mine = (files_of(written, Member(which, "movie", fold)) for which in (name, "best"))
        for source, copy in zip(theirs, mine):
            assert copy.exists() == bool(source)
            assert not source or copy.read_bytes() == source.read_bytes()
    assert is_chosen(written)


def test_it_is_chosen_again_when_candidates_seeds_or_files_change(written):
    assert not is_chosen(written, [*MODELS, "hybrid"]) and not is_chosen(written, n_seeds=2)
    (written / "movie" / "best" / "fold-2.keras").unlink()
    assert not is_chosen(written)
    choose_model.write_best(written, FOLDS, MODELS, SAMPLES, "face", 1, "movie")
    assert is_chosen(written)


def test_a_choice_with_more_seeds_takes_all_of_them(written):
    write_models(written, {"voxel_time_cnn": (9, 0)}, number=2)
    choose_model.write_best(written, FOLDS, MODELS, SAMPLES, "face", 2, "movie")
    made = {file.name for file in (written / "movie" / "best").glob("*.keras")}
    assert made == {"fold-1.keras", "fold-1_seed-2.keras", "fold-2.keras"}
    assert is_chosen(written, n_seeds=2)


def test_a_model_that_is_trained_again_leaves_the_copy_alone(written):
    before = (written / "movie" / "best" / "inner-1.tsv").read_bytes()
    write_model(
        written, "voxel_time_cnn", FOLDS["movie"][0], 1
    )  # files are replaced, never changed
    assert (written / "movie" / "best" / "inner-1.tsv").read_bytes() == before


def test_people_count_once_in_the_choice(tmp_path):
    """The simpler model is 0.2 nats worse in one person, and 0.1 better in the other: too few people to say that."""
    y = Y[10:30]
    fold, person = FOLDS["movie"][0], np.repeat(["sub-1", "sub-2"], 10)
    for name, loss in {
        "linear-mean": np.where(person == "sub-1", 0.6, 0.3),
        "linear": np.full(20, 0.4),
    }.items():
        logit = -np.log(np.expm1(loss)) * (2 * y - 1)
        file = files_of(tmp_path, Member(name, "movie", fold)).inner
        file.parent.mkdir(parents=True, exist_ok=True)
        write_table(file, pd.DataFrame({"row": np.arange(10, 30), "logit": logit}))
    models = ["linear-mean", "linear"]
    alone = SAMPLES.assign(subject="sub-1")
    both = alone.assign(subject=np.repeat(["sub-1", "sub-2"], [20, 20]))
    assert choose_model.choose(tmp_path, "movie", fold, models, alone, "face")["model"] == "linear"
    assert (
        choose_model.choose(tmp_path, "movie", fold, models, both, "face")["model"] == "linear-mean"
    )
