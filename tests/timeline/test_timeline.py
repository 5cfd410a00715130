"""The film's clock, the rotated annotation and averages around faces, against brute force and planted truth."""

from neuroface.bold.annotations import on_screen
from neuroface.bold.labels import Labels
from neuroface.face_study.demo import draw_annotation
from neuroface.timeline import chance, clock
from neuroface.timeline.scores import interval_text, mean_and_interval

import numpy as np
import pytest
from scipy import ndimage, signal, stats
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

FACES = np.array([[4.0, 12.0], [17.0, 3.0], [40.0, 25.0], [90.0, 11.0], [103.0, 2.0]])


def rows(n_trs=120, at=0.5, others=None, tr_s=1.0, lag_s=4.0):
    logit = np.where(np.arange(n_trs) <= n_trs - 10, 0.3, np.nan)
    return clock.timeline(logit, FACES, others, tr_s, lag_s, 10, at, 10.0)


def test_a_row_speaks_for_its_moment_of_the_film():
    table = rows()
    names = ["tr", "stimulus_time_s", "probability", "logit", "truth", "in_window"]
    assert list(table) == names
    on_disk = list(clock.columns_of(Labels("face", "noface")))
    assert on_disk[:6] == ["face" if name == "truth" else name for name in names]
    assert table["stimulus_time_s"].tolist() == [tr - 4 + 5 for tr in range(120)]
    assert table["probability"].iloc[0] == pytest.approx(1 / (1 + np.exp(-0.3)))
    truth = [any(on <= t < on + d for on, d in FACES) for t in table["stimulus_time_s"]]
    assert table["truth"].tolist() == truth
    assert (
        rows(at=0.0)["truth"].isna().sum() == 4
    )  # volumes 0 to 3 speak for seconds before the film


def test_training_like_windows_lie_whole_in_one_long_stretch_or_gap():
    start = rows()["tr"].to_numpy() - 4
    # Long: faces 4–16, 40–65, 90–101; gaps 20–40, 65–90. A window of 10 s fits if it starts so:
    expected = [
        4 <= s <= 6 or 40 <= s <= 55 or 90 <= s <= 91 or 20 <= s <= 30 or 65 <= s <= 80
        for s in start
    ]
    assert rows()["in_window"].tolist() == expected
    own = rows(others=np.array([[70.0, 11.0], [22.0, 11.0]]))["in_window"].to_numpy()
    assert [s for s, inside in zip(start, own) if inside and 16 < s < 40] == [22, 23]


@pytest.mark.parametrize("shift_s", [-3.0, 0.0, 4.0])
def test_the_lag_sweep_finds_a_planted_shift(shift_s):
    rng = np.random.default_rng(0)
    time_s = np.arange(0, 130.0)
    score = on_screen(time_s + shift_s, FACES) + 0.3 * rng.standard_normal(len(time_s))
    offsets_s = np.arange(-10, 10.5, 1.0)
    auc = clock.lag_sweep(time_s, score, FACES, offsets_s)
    assert offsets_s[np.argmax(auc)] == shift_s
    at_zero = time_s >= 10  # the same moments at every offset
    expected = roc_auc_score(on_screen(time_s[at_zero], FACES), score[at_zero])
    assert auc[offsets_s == 0][0] == pytest.approx(expected)


def test_the_rotated_annotation_is_every_rotation_scored_by_sklearn():
    rng = np.random.default_rng(1)
    face, score = (
        (rng.random(60) < 0.4).astype(int),
        np.round(rng.standard_normal(60), 1),
    )  # with ties
    expected = [roc_auc_score(np.roll(face, shift), score) for shift in range(60)]
    np.testing.assert_allclose(chance.rotated_aucs(face, score), expected, atol=1e-9)
    assert chance.rotation_p(np.array(expected)) == np.mean(np.array(expected) >= expected[0])
    score[[0, 5, 6, 7, 40, 59]] = (
        np.nan
    )  # moments without a prediction: the film goes on, they are not scored
    there = np.isfinite(score)
    expected = [roc_auc_score(np.roll(face, shift)[there], score[there]) for shift in range(60)]
    np.testing.assert_allclose(chance.rotated_aucs(face, score), expected, atol=1e-9)


def test_the_smallest_p_of_a_run_is_as_rare_as_it_says():
    """Scores that do not follow faces. Without small rotations the smallest p came 4 to 7 times too often."""
    rng = np.random.default_rng(5)
    n, n_runs = 900, 2000
    truths = [
        on_screen(np.arange(n) + 0.5, draw_annotation(rng, n)).astype(int) for _ in range(100)
    ]
    noise = signal.lfilter([1], [1, -0.4], rng.standard_normal((n_runs, n)))
    score = ndimage.uniform_filter1d(noise, 10)  # windows of 10 volumes
    slow = ndimage.gaussian_filter1d(rng.standard_normal((n_runs, n)), 40)
    score = score / score.std() + slow / slow.std()
    p = [chance.rotation_p(chance.rotated_aucs(truths[i % 100], score[i])) for i in range(n_runs)]
    for level in (0.05, 0.01, 0.002):
        assert stats.binom.sf(np.sum(np.array(p) <= level) - 1, n_runs, level * 1.1) > 0.01


def test_viewers_of_one_film_are_rotated_together():
    auc = np.linspace(0.2, 0.8, 101)
    np.testing.assert_allclose(chance.mean_over_viewers([auc, 1 - auc]), 0.5)
    shorter = chance.mean_over_viewers([auc, auc[:100]])
    assert len(shorter) == 101 and shorter[0] == auc[0]


def test_p_values_of_films_that_say_the_same_combine_to_the_same():
    assert chance.combined_p([0.03]) == pytest.approx(0.03)
    assert chance.combined_p([0.03] * 10) == pytest.approx(0.03)  # they may be one film ten times
    t = np.mean(np.tan((0.5 - np.array([0.01, 0.4, 0.7])) * np.pi))  # Liu & Xie 2020, equation 3
    assert chance.combined_p([0.01, 0.4, 0.7]) == pytest.approx(0.5 - np.arctan(t) / np.pi)
    assert 0.01 < chance.combined_p([0.001, 1.0]) < 1  # 1 does not decide alone


def test_the_threshold_is_the_best_of_all():
    rng = np.random.default_rng(2)
    face = (rng.random(80) < 0.3).astype(int)
    probability = np.round(np.clip(0.25 * face + 0.6 * rng.random(80), 0, 1), 2)
    best = max(
        balanced_accuracy_score(face, probability >= cut) for cut in np.arange(-0.005, 1.02, 0.005)
    )
    threshold = clock.best_threshold(face, probability)
    assert balanced_accuracy_score(face, probability >= threshold) == pytest.approx(best)
    assert threshold not in probability, "halfway between two values"


def test_averages_around_events_of_a_ramp_are_the_ramp():
    time_s = np.arange(0, 100, 2.5)
    mean, n = clock.event_locked(
        time_s, 0.01 * time_s, np.array([1.0, 30.0, 51.0, 96.0]), np.arange(-5, 6.0)
    )
    assert n == 2  # the first and the last are too near the ends
    np.testing.assert_allclose(mean, 0.01 * (40.5 + np.arange(-5, 6.0)))
    mean, n = clock.event_locked(time_s, time_s, np.array([]), np.arange(3.0))
    assert n == 0 and np.isnan(mean).all()
    probability = np.where(
        (time_s > 26) & (time_s < 29), np.nan, 0.01 * time_s
    )  # a gap is not interpolated
    mean, n = clock.event_locked(time_s, probability, np.array([30.0, 51.0]), np.arange(-5, 6.0))
    assert n == 1
    np.testing.assert_allclose(mean, 0.01 * (51 + np.arange(-5, 6.0)))


def test_clean_events_by_hand():
    onsets_s, ends_s = clock.clean_events(FACES, 10.0)
    assert onsets_s.tolist() == [40, 90]  # 4 follows 4 s of an empty screen, 17 and 103 are short
    assert ends_s.tolist() == [65]  # another face follows 16 after 1 s, 101 after 2 s


def test_agreement_is_the_mean_correlation_at_common_moments():
    rng = np.random.default_rng(3)
    a, b, c = rng.standard_normal((3, 50))
    time_s = np.arange(50.0)
    found = clock.agreement([(time_s, a), (time_s, b), (time_s[10:], c[10:])])
    pairs = [
        np.corrcoef(a, b)[0, 1],
        np.corrcoef(a[10:], c[10:])[0, 1],
        np.corrcoef(b[10:], c[10:])[0, 1],
    ]
    assert found == pytest.approx(np.mean(pairs))
    assert np.isnan(clock.agreement([(time_s, a)]))


@pytest.mark.parametrize("trs", [1, 3, 7])
def test_smoothing_is_the_mean_of_the_known_volumes_around_each(trs):
    logit = np.random.default_rng(0).standard_normal(30)
    logit[[0, 9, 10, 27, 28, 29]] = np.nan
    smooth, reach = clock.smoothed(logit, trs), trs // 2
    for t, value in enumerate(logit):
        around = logit[max(0, t - reach) : t + reach + 1]
        np.testing.assert_allclose(smooth[t], np.nan if np.isnan(value) else np.nanmean(around))


def test_the_interval_is_over_films_and_not_over_their_viewers():
    values = np.array([0.6, 0.62, 0.8, 0.82, 0.7, 0.72, 0.71, np.nan])
    films, people = ["a", "a", "b", "b", "c", "c", "d", "d"], list("12345678")
    half = stats.t.ppf(0.975, 3) * np.sqrt(
        (1 / 4 + 1 / 3) * np.var([0.61, 0.81, 0.71, 0.71], ddof=1)
    )
    assert mean_and_interval(values, films, people) == pytest.approx(
        [0.71, 0.71 - half, 0.71 + half]
    )
    both = mean_and_interval(np.stack([values, 2 * values], axis=1), films, people)
    assert both[:, 0] * 2 == pytest.approx(both[:, 1])
    assert interval_text(films, people) == "over 4 films or runs"
    for few in (["a"] * 8, list("aaabbbcc")):  # script 3 needs as many films
        mean, low, high = mean_and_interval(values, few, people)
        assert mean == pytest.approx(0.71, abs=0.02) and np.isnan([low, high]).all()
        assert interval_text(few, people).startswith(f"none: {len(set(few))} film")
    assert np.isnan(mean_and_interval([np.nan], ["a"], ["1"])).all()


def test_the_interval_is_over_films_and_people_where_people_saw_all_films():
    """Two people differ, films do not: the variance is that over people, with one degree of freedom."""
    values, films, people = np.array([0.5, 0.9] * 4), list("aabbccdd"), ["1", "2"] * 4
    half = stats.t.ppf(0.975, 1) * np.sqrt((1 + 4 / 3) * np.var([0.5, 0.9], ddof=1) / 2)
    assert mean_and_interval(values, films, people) == pytest.approx(
        [0.7, 0.7 - half, 0.7 + half], rel=1e-6
    )
    assert interval_text(films, people) == "over 4 films or runs and 2 people"
