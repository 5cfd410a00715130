"""The test of group maps: refitted models against refits by hand, which test is possible, and peaks without a test."""

from dataclasses import replace
from types import SimpleNamespace

from neuroface import NeuroFaceError
from neuroface.bold import Labels
from neuroface.decoding.folds import FoldSettings, make_folds
from neuroface.decoding.linear import solve, solve_each
from neuroface.decoding.second_order import logits_of, parameters, solve_second_order
from neuroface.maps import relabelling
from neuroface.maps.group import Contrast, contrasts_of
from neuroface.maps.map_test import Explained, MapTest, choose_test
from neuroface.maps.people import test_of_contrast as of_contrast
from neuroface.maps.refits import Refits, second_path, swapped_labels
from neuroface.maps.relabelling import blocks_of_maps, explained_windows, group_statistics
from neuroface.maps.tables import order_of_peaks, scaled_values, smallest_p

import numpy as np
import pandas as pd
import pytest
from scipy import stats

N_VOXELS, N_TRS, NAMES = 15, 3, ("face", "noface")


def windows(
    n_films: int = 4, n_viewers: int = 2, n_events: int = 8
) -> tuple[np.ndarray, pd.DataFrame]:
    rng, rows = np.random.default_rng(0), []
    for film in range(n_films):
        labels = rng.permutation(["face", "noface"] * (n_events // 2))
        for viewer in range(n_viewers):
            rows += [
                {
                    "subject": f"sub-{film}-{viewer}",
                    "movie": f"{film}",
                    "run": "1",
                    "label": label,
                    "first_tr": 20 * event,
                }
                | {"event": f"{film} {event}"}
                for event, label in enumerate(labels)
            ]
    samples = pd.DataFrame(rows)
    return rng.standard_normal((len(samples), N_VOXELS, N_TRS)).astype(np.float32), samples


@pytest.fixture(scope="module")
def study():
    """Windows, their table with the fold that explains each, folds, five labellings, and the kernel of whole windows."""
    X, samples = windows()
    folds = make_folds(samples, "movie", FoldSettings(4, 0, N_TRS))
    for fold in folds:
        samples.loc[fold.test, "model"] = fold.number
    people = list(samples["subject"].unique())
    flat = X.reshape(len(X), -1).astype(np.float64)
    return SimpleNamespace(
        X=X, samples=samples, folds=folds, labels=swapped_labels(samples, people, 4, 1, "face"), people=people,
        kernel=flat @ flat.T,
    )  # fmt: skip


@pytest.fixture(scope="module")
def fits(study):
    return linear_fits(study, study.labels)


def linear_fits(study, labels):
    """Fold → its ridge regressions on whole windows, one per labelling."""
    zero, found = np.zeros(len(study.X)), {}
    for fold in study.folds:
        coefficients = np.stack(
            [one.coefficients for one in solve_each(study.kernel, labels, fold)]
        )
        found[fold.number] = Refits(
            coefficients, coefficients, None, [None] * labels.shape[1], zero
        )
    return found


def test_many_labellings_are_solved_as_one_is(study):
    for fold in study.folds[:2]:
        together = solve_each(study.kernel, study.labels, fold)
        for number, y in enumerate(study.labels.T):
            one = solve(study.kernel, y, fold)
            scale = np.abs(one.coefficients).max()
            np.testing.assert_allclose(
                together[number].coefficients, one.coefficients, atol=1e-8 * scale
            )
            assert together[number].intercept == pytest.approx(one.intercept, rel=1e-6, abs=1e-10)


def test_events_swap_labels_within_a_film_for_all_viewers_and_nobody_loses_a_label():
    X, samples = windows(n_events=4)
    lone = samples[samples["subject"] == "sub-0-0"].index[
        :2
    ]  # after this the person has two windows
    samples = samples.drop(lone).reset_index(drop=True)
    people = list(samples["subject"].unique())
    labels = swapped_labels(samples, people, 60, 0, "face")
    assert labels.shape == (len(samples), 61)
    np.testing.assert_array_equal(labels[:, 0], samples["label"] == "face")
    for _, event in samples.groupby("event"):
        assert (labels[event.index] == labels[event.index[0]]).all()
    for _, film in samples.drop_duplicates("event").groupby("movie"):
        assert (labels[film.index].sum(axis=0) == labels[film.index, 0].sum()).all()
    for _, mine in samples.groupby("subject"):
        has = set(labels[mine.index, 0])
        assert all(has <= set(labelling) for labelling in labels[mine.index].T)
    assert len(np.unique(labels, axis=1).T) > 20


@pytest.mark.parametrize("block_bytes", [1, 2**27])
def test_maps_of_people_are_means_of_weight_times_window(study, fits, block_bytes, monkeypatch):
    """Each window by a loop; the weights from another fit. Small blocks give the same maps."""
    monkeypatch.setattr(relabelling, "BLOCK_BYTES", block_bytes)
    blocks = blocks_of_maps(
        study.X, study.labels, NAMES, fits, explained_windows(study.samples), study.people
    )
    parts = [maps for _, maps in blocks]
    assert len(parts) == (N_VOXELS if block_bytes == 1 else 1)
    maps = {key: np.concatenate([part[key] for part in parts], axis=2) for key in parts[0]}
    flat = study.X.reshape(len(study.X), -1).astype(np.float64)
    for labelling in (0, 3):
        y = study.labels[:, labelling]
        weights = {
            fold.number: solve(study.kernel, y, fold).coefficients @ flat for fold in study.folds
        }
        for person, who in enumerate(study.people):
            rows = np.flatnonzero(study.samples["subject"] == who)
            each = np.stack([weights[study.samples["model"][row]] * flat[row] for row in rows])
            for name, number, sign in (("face", 1, 1), ("noface", 0, -1)):
                mine = each[y[rows] == number]
                for absolute, expected in (
                    (False, sign * mine.mean(axis=0)),
                    (True, np.abs(mine).mean(axis=0)),
                ):
                    got = maps[name, absolute][person, labelling].ravel()
                    np.testing.assert_allclose(
                        got, expected, rtol=2e-4, atol=1e-5 * np.abs(expected).max()
                    )


def test_maps_of_a_second_order_model_are_its_integrated_gradients(study):
    """Against the integral of numerical gradients of the logit, from the baseline, a mean of windows, to the window."""
    rng = np.random.default_rng(3)
    X = study.X.copy()
    samples, fold = study.samples, study.folds[0]
    X[:, :2] += (
        2.0
        * rng.standard_normal((len(X), 1, 1))
        * (samples["label"] == "face").to_numpy()[:, None, None]
    )
    means, flat = X.mean(axis=2, dtype=np.float64), X.reshape(len(X), -1).astype(np.float64)
    y, events = (samples["label"] == "face").to_numpy(np.int8), samples["event"].to_numpy(str)
    fit = solve_second_order(
        flat @ flat.T,
        means @ means.T,
        N_TRS,
        y,
        fold,
        (events, samples["subject"].to_numpy(str)),
        4,
    )
    fit = fit._replace(strengths=np.array([0.5, -0.3, 0.2, 0.1])[: len(fit.strengths)])
    directions = rng.standard_normal(fit.directions.shape) * 0.05
    outside = np.setdiff1d(np.arange(len(X)), fit.rows)
    directions[:, outside] = 0
    directions[:, fit.rows] -= directions[:, fit.rows].mean(
        axis=1, keepdims=True
    )  # as those of a fit
    fit = fit._replace(directions=directions)
    found = parameters(lambda: iter([(slice(0, len(X)), X)]), fit)
    baseline = np.zeros(len(X))
    baseline[fit.rows] = 1 / len(fit.rows)
    path = second_path(fit, means @ means.T, baseline, 0.5, N_TRS)
    fits = {
        k: Refits(fit.deviation[None], fit.mean[None], None, [path], baseline) for k in (1, 2, 3, 4)
    }
    who = samples["subject"][fold.test[0]]
    _, maps = next(
        blocks_of_maps(
            X, y[:, None], NAMES, fits, explained_windows(samples), [*samples["subject"].unique()]
        )
    )
    person = list(samples["subject"].unique()).index(who)

    start, expected = np.tensordot(baseline, X, axes=1), []
    for row in np.flatnonzero((samples["subject"] == who) & (y == 1)):
        gradients = []
        for step in (0.125, 0.375, 0.625, 0.875):
            point = start + step * (X[row] - start)
            moved = np.concatenate(
                [point + h * np.eye(point.size).reshape(-1, *point.shape) for h in (1e-4, -1e-4)]
            )
            logits = logits_of(moved, found)
            gradients.append((logits[: point.size] - logits[point.size :]) / 2e-4)
        expected.append(np.mean(gradients, axis=0).reshape(point.shape) * (X[row] - start))
    scale = np.abs(expected).max()
    np.testing.assert_allclose(
        maps["face", False][person, 0], np.mean(expected, axis=0), atol=2e-4 * scale
    )
    np.testing.assert_allclose(
        maps["face", True][person, 0], np.mean(np.abs(expected), axis=0), atol=2e-4 * scale
    )


def test_the_scale_of_a_fold_does_not_change_the_statistic(study, fits):
    contrasts = {
        name: (contrast, study.people) for name, contrast in contrasts_of(Labels(*NAMES)).items()
    }
    scaled = {
        k: f._replace(deviation=f.deviation * 10**k, mean=f.mean * 10**k) for k, f in fits.items()
    }
    before, after = (
        group_statistics(
            study.X, study.labels, NAMES, one, explained_windows(study.samples), contrasts
        )
        for one in (fits, scaled)
    )
    for name in contrasts:
        for one, other in zip(before[name], after[name]):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)


def test_a_labelling_whose_models_have_no_weights_is_no_evidence(study, fits):
    """Stacking may give both paths of a model the weight 0; its people then have maps of zeros, and never a NaN."""
    contrasts = {
        name: (contrast, study.people) for name, contrast in contrasts_of(Labels(*NAMES)).items()
    }
    empty = {
        k: f._replace(deviation=f.deviation.copy(), mean=f.mean.copy()) for k, f in fits.items()
    }
    empty[1].deviation[2], empty[1].mean[2] = 0, 0
    for f in empty.values():
        f.deviation[3], f.mean[3] = 0, 0
    statistics = group_statistics(
        study.X, study.labels, NAMES, empty, explained_windows(study.samples), contrasts
    )
    for name in contrasts:
        maps = np.array(list(statistics[name]))
        assert np.isfinite(maps).all() and maps[2].any() and not maps[3].any()
    zero = scaled_values(np.zeros((2, 3, 1)), np.array([0.0, 1.0]), False)
    np.testing.assert_array_equal(zero[:, 0, 0], [0, -1])


def test_statistics_of_refits_are_t_tests_of_the_scaled_maps(study, fits):
    contrasts = {"face": (Contrast(("face",), ""), study.people[:5])}
    statistics = group_statistics(
        study.X, study.labels, NAMES, fits, explained_windows(study.samples), contrasts
    )
    _, maps = next(
        blocks_of_maps(
            study.X, study.labels, NAMES, fits, explained_windows(study.samples), study.people
        )
    )
    for labelling, statistic in enumerate(statistics["face"]):
        values = maps["face", False][:5, labelling].astype(float)
        values = scaled_values(values, maps["face", True][:5, labelling].mean(axis=(1, 2)), True)
        np.testing.assert_allclose(
            statistic, stats.ttest_1samp(values, 0).statistic.ravel(), rtol=1e-3, atol=1e-4
        )


# ---------------------------------------------------------------- which test

EXPLAINED = Explained("held-out", baseline="zero", smooth_draws=0)
CLOSED, NETWORK = {1: "linear", 2: "linear_plus"}, {1: "linear", 2: "voxel_time_cnn"}


def choose(wanted="auto", method="ig", models=CLOSED, films=10, all_films=False, **changed):
    _, samples = windows(films, n_viewers=1, n_events=2)
    if all_films:
        samples["subject"] = "sub-" + (samples.index % 7).astype(str)
    people = list(samples["subject"].unique())
    return choose_test(wanted, method, models, samples, people, EXPLAINED._replace(**changed))


def test_the_observed_labels_are_treated_as_the_swapped_ones_are(study):
    """So each labelling is equally likely to give the largest statistic where labels mean nothing: p is exact.

    The rate of false positives of each map, absolute ones too, is then that of the smallest p,
    whatever BOLD is like.
    """
    contrasts = {
        name: (contrast, study.people) for name, contrast in contrasts_of(Labels(*NAMES)).items()
    }
    parts = explained_windows(study.samples)

    def statistics(labels):
        found = group_statistics(
            study.X, labels, NAMES, linear_fits(study, labels), parts, contrasts
        )
        return {name: np.stack(list(of_labellings)) for name, of_labellings in found.items()}

    order = [3, 1, 4, 2, 0]  # the third swapped labelling takes the place of the observed one
    before, after = statistics(study.labels), statistics(study.labels[:, order])
    assert {"face", "face-minus-noface", "face-absolute"} <= set(before)
    for name, expected in before.items():
        np.testing.assert_allclose(after[name], expected[order], rtol=1e-3, atol=1e-3)


def test_models_in_closed_form_are_refitted_whatever_people_saw():
    assert choose() == choose(films=4) == choose(all_films=True) == MapTest("relabel")
    assert choose(method="gradient-x-input", baseline="training mean").kind == "relabel"


def test_films_are_flipped_where_there_are_six_and_people_saw_one():
    assert (
        choose(models=NETWORK).kind == "flip films"
        and "voxel_time_cnn" in choose(models=NETWORK).why
    )
    assert choose(smooth_draws=3).kind == choose(method="occlusion").kind == "flip films"
    assert choose(baseline="other class").kind == "flip films"


def test_there_is_no_p_where_no_test_is_valid():
    four, all_films = choose(models=NETWORK, films=4), choose(models=NETWORK, all_films=True)
    assert (
        four.kind
        == all_films.kind
        == choose(explain="best fold").kind
        == choose("none").kind
        == "none"
    )
    assert (
        "6 films are needed, and people saw 4" in four.why
        and "each person must have seen one" in all_films.why
    )


def test_flipping_people_is_only_done_on_request_and_what_is_impossible_is_said():
    assert choose("flip people", models=NETWORK).kind == "flip people"
    with pytest.raises(
        NeuroFaceError,
        match='MAP_TEST = "flip people" is not possible: 6 people are needed.* are 4',
    ):
        choose("flip people", films=4)
    with pytest.raises(
        NeuroFaceError, match='"relabel" is not possible: voxel_time_cnn, which explains fold 2'
    ):
        choose("relabel", models=NETWORK)


def test_absolute_maps_are_tested_by_refits_only():
    absolute = Contrast(("face",), "", two_sided=False)
    assert of_contrast(MapTest("relabel"), absolute).kind == "relabel"
    assert of_contrast(MapTest("flip films", "x"), absolute).kind == "none"
    assert (
        of_contrast(MapTest("flip films", "x"), replace(absolute, two_sided=True)).kind
        == "flip films"
    )


# ---------------------------------------------------------------- tables


def test_with_few_people_the_first_peak_is_the_effect_and_not_the_largest_t():
    first_by_mean = first_by_t = 0
    for seed in range(40):
        values = np.random.default_rng(seed).standard_normal((5, 400, 2))
        values[:, 7, 1] += 3
        mean, t = values.mean(axis=0), stats.ttest_1samp(values, 0).statistic
        first_by_mean += np.unravel_index(
            order_of_peaks(mean, None, True).argmax(), mean.shape
        ) == (7, 1)
        first_by_t += np.unravel_index(np.abs(t).argmax(), t.shape) == (7, 1)
    assert first_by_mean > 35 and first_by_t < 20


def test_what_passes_comes_before_what_is_larger():
    logp = np.array([[0.0], [2.0], [0.5]])
    assert order_of_peaks(np.array([[3.0], [0.5], [-2.0]]), logp, True).argsort(axis=0)[
        ::-1
    ].ravel().tolist() == [1, 0, 2]


def test_the_smallest_p_of_many_values_is_corrected():
    """By hand for two values and three draws; and on noise 5 % of families have a corrected p of at most .05."""
    observed, null = np.array([3.0, 1.0]), np.array([[1.0, 5.0], [2.0, 4.0], [4.0, 0.0]])
    # p of the values: 2/4 and 3/4; smallest p of the draws: 1/4, 2/4 and 1/4.
    np.testing.assert_allclose(smallest_p(observed, null), [4 / 4, 4 / 4])
    # p of the values: 1/4 and 3/4; smallest p of the draws: 1/4, 2/4 and 2/4.
    np.testing.assert_allclose(smallest_p(np.array([9.0, 1.0]), null), [2 / 4, 4 / 4])
    rng, n = np.random.default_rng(0), 300
    families = [
        smallest_p(rng.standard_normal(8), rng.standard_normal((399, 8))).min() <= 0.05
        for _ in range(n)
    ]
    assert stats.binom.cdf(sum(families), n, 0.05) < 0.999 and sum(families) > 3
