"""Film and brain: correlations, intervals, nulls, identification, ridge regression, film features."""

from itertools import combinations

from neuroface.decoding import p_value

import numpy as np
import pandas as pd
import pytest
from nilearn.glm.first_level import spm_hrf
from scipy import signal, stats
from sklearn.kernel_ridge import KernelRidge

pytest.importorskip("av", reason="films need PyAV: make film-encoding")
pytest.importorskip("himalaya", reason="ridge regression needs himalaya: make film-encoding")

from film_encoding import (
    blocks,
    correlations,
    demo_film,
    frame_order,
    identification,
    ridge,
    shifts,
)  # noqa: E402
from film_encoding.blocks import BlockScore  # noqa: E402
from film_encoding.film_features import MotionFilters, averaged, motion_energy, small_frames  # noqa: E402
from film_encoding.film_shots import shots_of_chunks  # noqa: E402
from film_encoding.frame_scores import means_over_blocks  # noqa: E402
from film_encoding.image_scores import image_scores, pixel_r, ssim, ssim_of_pairs, stretched  # noqa: E402

N_MASK = 12


def one_series(rng, n: int, voxels, r: float = 0.5, films=("x",)) -> correlations.Series:
    """White measurements and predictions with a true correlation r."""
    measured = rng.standard_normal((n, len(voxels)))
    predicted = r * measured + np.sqrt(1 - r**2) * rng.standard_normal(measured.shape)
    names = np.repeat(films, -(-n // len(films)))[:n]
    return correlations.series(measured, predicted, voxels, names, np.arange(n))


@pytest.fixture
def parts():
    rng = np.random.default_rng(0)
    return [one_series(rng, 90, [0, 3, 5]), one_series(rng, 60, [3, 5, 7], films=("y", "z"))]


def test_r_is_pearsons_over_the_folds_that_chose_a_voxel(parts):
    found = correlations.correlation(parts, N_MASK)
    assert np.isnan(found[[1, 2, 4, 6, 8, 9, 10, 11]]).all()
    np.testing.assert_allclose(
        found[0], stats.pearsonr(parts[0].measured[:, 0], parts[0].predicted[:, 0])[0], atol=1e-5
    )
    both = [np.concatenate([one.measured[:, k] for one, k in zip(parts, (1, 0))]),
            np.concatenate([one.predicted[:, k] for one, k in zip(parts, (1, 0))])]  # fmt: skip
    np.testing.assert_allclose(found[3], stats.pearsonr(*both)[0], atol=1e-5)


def test_films_are_z_scored_one_by_one():
    films = np.array(["a"] * 20 + ["b"] * 30)
    values = np.random.default_rng(1).normal(5, 3, (50, 2)) + (films == "b")[:, None] * 100
    values[:20, 1] = 7
    found = correlations.zscored(values, films)
    for film in "ab":
        np.testing.assert_allclose(found[films == film, 0].mean(), 0, atol=1e-5)
        np.testing.assert_allclose(found[films == film, 0].std(), 1, atol=1e-5)
    assert not found[:20, 1].any()


def test_blocks_stay_within_films_and_take_a_short_rest_along():
    films = np.array(["a"] * 23 + ["b"] * 9 + ["c"] * 4)
    found = blocks.blocks_of(films, 10)
    assert found.tolist() == [0] * 10 + [1] * 13 + [2] * 9 + [3] * 4


def test_r_without_a_block_is_pearsons_r_of_the_rest(parts):
    left_out, sizes = correlations.left_out_correlation(parts, N_MASK, 10)
    assert sizes.tolist() == [10] * 9 + [10] * 6  # films of 30 and 30 chunks in the second fold
    rest = np.arange(90) >= 10
    expected = stats.pearsonr(parts[0].measured[rest, 0], parts[0].predicted[rest, 0])[0]
    assert left_out[0, 0] == pytest.approx(expected, abs=1e-5)
    assert np.isnan(left_out[9:, 0]).all()  # the second fold did not choose voxel 0
    both = [np.concatenate([parts[0].measured[rest, 1], parts[1].measured[:, 0]]),
            np.concatenate([parts[0].predicted[rest, 1], parts[1].predicted[:, 0]])]  # fmt: skip
    assert left_out[0, 3] == pytest.approx(stats.pearsonr(*both)[0], abs=1e-5)


def test_the_jackknife_of_a_mean_of_equal_blocks_is_students_t_of_their_means():
    values, numbers = np.random.default_rng(5).normal(2, 1, 90), np.repeat(np.arange(9), 10)
    found = means_over_blocks([values], numbers).interval()
    means = values.reshape(9, 10).mean(axis=1)
    expected = stats.t.interval(0.95, 8, means.mean(), stats.sem(means))
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_one_block_gives_no_interval():
    assert np.isnan(means_over_blocks([np.arange(9.0)], np.zeros(9, dtype=int)).interval()).all()


def test_seeds_widen_the_interval_and_pairs_of_seeds_cancel():
    """Five seeds that differ by ±: over seeds alone the interval is Student's t with 4 degrees of freedom."""
    numbers, seeds = np.repeat(np.arange(9), 10), np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    of_seeds = means_over_blocks([np.full(90, value) for value in seeds], numbers)
    np.testing.assert_allclose(
        of_seeds.interval(), stats.t.interval(0.95, 4, 0, stats.sem(seeds)), rtol=1e-6
    )
    same = of_seeds.minus(means_over_blocks([np.full(90, value - 3) for value in seeds], numbers))
    np.testing.assert_allclose([same.value, *same.interval()], 3, atol=1e-9)
    moments = np.random.default_rng(6).normal(size=90)
    over_both = means_over_blocks([moments + value for value in seeds], numbers)
    over_time = means_over_blocks([moments], numbers)
    assert np.ptp(over_both.interval()) > 1.5 * np.ptp(over_time.interval())


def test_scores_on_other_blocks_are_not_compared():
    one, other = (
        means_over_blocks([np.zeros(20)], np.repeat([0, 1], sizes)) for sizes in ((10, 10), (5, 15))
    )
    with pytest.raises(ValueError, match="cannot be compared"):
        one.minus(other)


def smooth(rng, n: int, n_columns: int) -> np.ndarray:
    """Noise as slow as BOLD at a TR of 1.3 s, SD 1."""
    response = spm_hrf(1.3, oversampling=1)
    values = signal.lfilter(response, [1], rng.standard_normal((n + 60, n_columns)), axis=0)[60:]
    return values / np.sqrt((response**2).sum())


@pytest.mark.parametrize("films", [("a",), ("a", "b", "c")])
def test_intervals_over_few_blocks_cover_the_true_r(films):
    """180 chunks in 9 blocks, 114 in 3: percentiles of a bootstrap over blocks covered 86 and 83 % of the truths."""
    n, true, held = (180 if len(films) == 1 else 38), np.linspace(0.5, 0.95, 10), 0
    for sample in range(150):
        rng = np.random.default_rng([len(films), sample])
        shared, missed = (np.concatenate([smooth(rng, n, 1) for _ in films]) for _ in range(2))
        measured, predicted = (
            true * shared + np.sqrt(1 - true**2) * missed,
            np.repeat(shared, len(true), axis=1),
        )
        one = correlations.series(
            measured, predicted, np.arange(10), np.repeat(films, n), np.arange(len(shared))
        )
        left_out, sizes = correlations.left_out_correlation([one], 10, 20)
        r = correlations.correlation([one], 10)
        low, high = BlockScore(
            np.array([r.mean()]), left_out.mean(axis=1)[None], sizes, is_r=True
        ).interval()
        held += low <= true.mean() <= high
    assert 0.91 <= held / 150 <= 0.985


def test_shifts_are_numpys_roll_and_none_comes_twice(parts):
    lags = shifts.lags_of(90, 20)
    assert lags.min() == 20 and lags.max() == 70
    assert shifts.lags_of(20, 50).min() == 5  # a short film allows a quarter of itself
    found, _ = correlations.shifted_correlation(parts[:1], N_MASK, 20, 500, seed=3)
    assert len(found) == len(lags) == 51  # all of them, once, although 500 were asked for
    for row, lag in zip(found, lags):
        rolled = np.mean(np.roll(parts[0].predicted, lag, axis=0) * parts[0].measured, axis=0)
        np.testing.assert_allclose(row[[0, 3, 5]], rolled, atol=1e-5)
    assert shifts.smallest_p(len(found)) == pytest.approx(1 / 52)


def test_folds_are_shifted_each_by_itself_and_no_combination_comes_twice():
    few = shifts.distinct_shifts([12, 8], 3, 1000, 0)  # lags 3 … 9 and 2 … 6
    assert len(few) == 7 * 5 and len(np.unique(few, axis=0)) == 35
    many = shifts.distinct_shifts([180, 114], 23, 500, 0)
    assert len(many) == 500 and len(np.unique(many, axis=0)) == 500
    assert 23 <= many[:, 0].min() and many[:, 0].max() <= 157 and many[:, 1].max() <= 91
    almost_all = shifts.distinct_shifts([180], 23, 134, 0)  # of 135
    assert len(np.unique(almost_all)) == 134


def test_a_demo_film_of_180_chunks_cannot_give_a_smaller_p_than_its_lags_allow():
    one = one_series(np.random.default_rng(1), 180, [0, 1], r=0.9)
    null, _ = correlations.shifted_correlation([one], 2, 23, 500, seed=0)
    p = p_value(correlations.correlation([one], 2).mean(), null.mean(axis=1))
    assert p == pytest.approx(1 / 136) == shifts.smallest_p(len(null))


@pytest.mark.parametrize("films", [(180,), (38, 38, 38)])
def test_voxels_pass_the_fdr_in_at_most_5_percent_of_null_studies(films):
    """The normal distribution of the shifts let a voxel pass in 13 and 24 % of these studies."""
    n = sum(films)
    any_passes, small = [], []
    for sample in range(200):
        rng = np.random.default_rng([n, sample])
        signal, noise, other = (
            np.concatenate([smooth(rng, one, k) for one in films]) for k in (3, 60, 3)
        )
        measured = signal @ rng.standard_normal((3, 60)) + 0.7 * noise
        predicted = other @ rng.standard_normal((3, 60))
        one = correlations.series(
            measured, predicted, np.arange(60), np.repeat(range(len(films)), films), np.arange(n)
        )
        null, df = correlations.shifted_correlation(
            correlations.by_film([one]), 60, 23, 500, sample
        )
        p = correlations.voxel_p(correlations.correlation([one], 60), null, df)
        small.append((p <= 0.05).mean())
        any_passes.append((correlations.fdr(p) <= 0.05).any())
    error = np.std(small) / np.sqrt(len(small))
    assert np.mean(small) <= 0.05 + 3 * error and np.mean(any_passes) <= 0.05 + 3 * np.sqrt(
        0.05 * 0.95 / 200
    )


def test_p_of_voxels_is_uniform_without_a_relation_and_small_with_one():
    rng, null, true = np.random.default_rng(4), [], []
    for sample in range(60):
        for r, into in ((0.0, null), (0.6, true)):
            one = one_series(rng, 200, list(range(5)), r)
            shifted, df = correlations.shifted_correlation([one], 5, 20, 200, sample)
            into += correlations.voxel_p(correlations.correlation([one], 5), shifted, df).tolist()
    assert stats.kstest(null, "uniform").pvalue > 0.001 and max(true) < 1e-5


def test_lags_are_worth_as_many_values_as_their_autocorrelation_says():
    """White noise keeps all lags; an average over 5 has Σ ρ² = 1 + 2 (.8² + .6² + .4² + .2²) = 3.4."""
    white = np.random.default_rng(8).standard_normal((2004, 40))
    assert shifts.effective_lags(white) == pytest.approx(2004, rel=0.02)
    averaged_5 = np.mean([white[k : k + 2000] for k in range(5)], axis=0)
    assert shifts.effective_lags(averaged_5) == pytest.approx(2000 / 3.4, rel=0.05)


def test_fdr_is_benjamini_and_hochbergs_and_leaves_nan():
    p = np.array([0.01, np.nan, 0.04, 0.03, 0.005])
    known = np.sort(p[np.isfinite(p)])
    adjusted = np.minimum.accumulate((known * 4 / np.arange(1, 5))[::-1])[::-1]
    found = correlations.fdr(p)
    assert np.isnan(found[1])
    np.testing.assert_allclose(np.sort(found[np.isfinite(found)]), adjusted)


# ---------------------------------------------------------------- identification


def test_a_perfect_prediction_is_identified_and_noise_is_at_chance():
    rng = np.random.default_rng(6)
    measured, films, chunks = (
        rng.standard_normal((120, 30)),
        np.repeat(["a", "b"], 60),
        np.tile(np.arange(60), 2),
    )
    right = identification.identify(measured, measured, films, chunks, 5, (1, 5), 10)
    assert right["two_way"] == right["top_1"] == 1
    wrong = identification.identify(
        measured, rng.standard_normal((120, 30)), films, chunks, 5, (1, 5), 10
    )
    assert abs(wrong["two_way"] - 0.5) < 0.06 and abs(wrong["two_way_null"].mean() - 0.5) < 0.02
    assert wrong["top_5"] < 0.15 and wrong["chance_5"] == pytest.approx(
        np.mean(5 / (119 - _near(60, 5) + 1)), rel=0.01
    )


def _near(n: int, apart: int) -> np.ndarray:
    """How many moments of its own film are no rivals of each moment of two films."""
    place = np.arange(n)
    return np.tile([(np.abs(place - k) <= apart).sum() - 1 for k in place], 2)


def test_beaten_is_a_count_of_pairs():
    rng = np.random.default_rng(7)
    similar, compete = rng.random((9, 9)).round(1), rng.random((9, 9)) < 0.7
    found = identification.beaten(similar, compete)
    for i in range(9):
        rivals = similar[i][compete[i]]
        for j in range(9):
            expected = (
                (rivals < similar[i, j]).sum() + 0.5 * (rivals == similar[i, j]).sum()
            ) / max(1, len(rivals))
            assert found[i, j] == pytest.approx(expected)


def test_neighbours_are_no_rivals():
    films, chunks = np.array(["a", "a", "a", "b"]), np.array([0, 3, 9, 1])
    expected = [[0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 0, 1], [1, 1, 1, 0]]
    assert identification.candidates(films, chunks, 5).astype(int).tolist() == expected


def test_identification_without_a_block_is_that_of_the_other_moments_among_themselves():
    rng = np.random.default_rng(16)
    films, chunks, numbers = (
        np.repeat(["a", "b"], 30),
        np.tile(np.arange(30), 2),
        np.repeat(np.arange(6), 10),
    )
    measured = rng.standard_normal((60, 8))
    predicted = 0.5 * measured + rng.standard_normal((60, 8))
    found = identification.identify(measured, predicted, films, chunks, 4, (1,), 10, numbers)
    for number in range(6):
        rest = numbers != number
        alone = identification.identify(
            measured[rest], predicted[rest], films[rest], chunks[rest], 4, (1,), 10
        )
        assert found["left_out"][number] == pytest.approx(alone["two_way"])


def test_the_best_of_n_candidates_is_a_count_of_all_draws():
    """Of 3 candidates; against all pairs of rivals, ties divided by chance."""
    rng = np.random.default_rng(18)
    for own, values in ((4, range(6)), (2, [1, 2, 2, 0, 5, 2]), (3, [3] * 6), (0, rng.random(7))):
        values = np.array(values, dtype=float)
        wins = []
        for pair in combinations(values, 2):
            best = max(*pair, own)
            wins.append((own == best) / (1 + pair.count(best)) if own == best else 0.0)
        given = ((values < own).sum(), (values == own).sum(), len(values))
        found = identification.best_among(*(np.array([float(one)]) for one in given), 3)
        assert found[0] == pytest.approx(np.mean(wins))
    assert np.isnan(identification.best_among(*np.array([[1.0], [0.0], [1.0]]), 3)[0])


def test_among_n_candidates_noise_is_at_one_nth():
    rng = np.random.default_rng(17)
    films, chunks = np.repeat("a", 150), np.arange(150)
    measured, predicted = rng.standard_normal((2, 150, 40))
    found = identification.identify(measured, predicted, films, chunks, 5, (1,), 10)
    assert found["among_10_null"].mean() == pytest.approx(0.1, abs=0.01)
    assert found["among_50_null"].mean() == pytest.approx(0.02, abs=0.004)
    right = identification.identify(measured, measured, films, chunks, 5, (1,), 10)
    assert right["among_10"] == pytest.approx(1) == right["among_50"]
    grey = identification.identify(measured, np.ones((150, 40)), films, chunks, 5, (1,), 10)
    assert grey["among_10"] == pytest.approx(0.1) and grey["among_10_null"].mean() == pytest.approx(
        0.1
    )


def test_among_n_candidates_needs_rivals_for_the_null_too():
    """14 moments, two neighbours on each side are no rivals: 9 are left in the middle, enough for 10 candidates; a rival in
    the moment's place has 8.
    """
    rng = np.random.default_rng(19)
    for n_moments, is_known in ((14, False), (15, True)):
        pattern, films = rng.standard_normal((n_moments, 30)), np.repeat("a", n_moments)
        found = identification.identify(pattern, pattern, films, np.arange(n_moments), 2, (1,), 3)
        assert np.isnan(found["among_10"]) != is_known


# ---------------------------------------------------------------- order of frames


def drifting(rng, follows: float, n_shots: int = 30):
    """Shots in which a blob drifts; the reconstruction's blob takes the share ``follows`` of its speed from the film."""
    place, frames, images, shots = np.arange(20), [], [], []
    for number in range(n_shots):
        moments = np.arange(int(rng.integers(3, 7)))
        moments = moments - moments.mean()
        centre, (speed, other) = rng.uniform(7, 13), 0.8 * rng.standard_normal(2)
        speeds = (speed, follows * speed + (1 - follows) * other)
        for out, start, pace in zip((frames, images), (centre, centre + 1), speeds):
            out.append(np.exp(-0.5 * ((place - (start + pace * moments)[:, None]) / 2.5) ** 2))
        shots += [number] * len(moments)
    return (*(np.concatenate(each)[:, :, None, None] for each in (frames, images)), np.array(shots))


def test_the_order_of_frames_passes_in_5_percent_of_studies_where_motion_is_unrelated():
    p = []
    for sample in range(150):
        of_shots = frame_order.order_of_shots(*drifting(np.random.default_rng([3, sample]), 0.0))
        p.append(frame_order.order_test(of_shots, 200, sample)["order_p"])
    assert 0.01 <= np.mean(np.array(p) <= 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 150)


def test_motion_that_is_decoded_makes_the_own_order_the_best():
    frames, images, shots = drifting(np.random.default_rng(4), 1.0)
    of_shots = frame_order.order_of_shots(frames, images, shots)
    first = shots == 0
    r = np.corrcoef(frames[first].reshape(first.sum(), -1), images[first].reshape(first.sum(), -1))
    r = r[: first.sum(), first.sum() :]
    expected = [np.diagonal(r).mean(), np.diagonal(r[:, ::-1]).mean(), r.mean()]
    found = [of_shots[name][0] for name in ("own", "reversed", "permuted")]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    test = frame_order.order_test(of_shots, 500, 0)
    assert test["order_own"] > test["order_permuted"] > test["order_reversed"]
    assert test["order_p"] == test["order_p_smallest"] == pytest.approx(1 / 501)
    few = frame_order.order_test({name: one[:3] for name, one in of_shots.items()}, 500, 0)
    assert np.isnan(few["order_p"]) and few["n_shots"] == 3


def test_shots_end_where_the_drawn_film_cuts():
    """Chunks of a drawn film; cuts between two gratings, which move as fast as they change, are not counted."""
    tr_s, frames = 1.3, 8
    drawn = demo_film.draw_shots(np.random.default_rng(6), 60 * tr_s)
    times_s = np.arange(60 * frames) * tr_s / frames
    chunks = np.stack([demo_film.draw_frame(drawn, time_s, 32, 32)[0] for time_s in times_s])
    shots = shots_of_chunks(chunks.reshape(60, frames, 32, 32, 3))
    onsets_s = [shot.onset_s for shot in drawn]
    middle_s = times_s[3::frames]
    true = np.searchsorted(onsets_s, middle_s, side="right") - 1
    is_cut, was_found = np.diff(true) > 0, np.diff(shots) > 0
    gratings = np.array([shot.thing == "grating" for shot in drawn])
    clear = is_cut & ~(gratings[true[:-1]] & gratings[true[1:]])
    assert was_found[clear].all() and clear.sum() >= 8
    assert not was_found[~is_cut & ~gratings[true[:-1]]].any()


# ---------------------------------------------------------------- frames


def test_image_scores_of_known_images():
    rng = np.random.default_rng(8)
    frame = rng.random((2, 20, 20, 3)).astype(np.float32)
    same = image_scores(frame, frame)
    np.testing.assert_allclose([same["ssim"], same["pixel_r"]], 1, atol=1e-6)
    np.testing.assert_allclose(same["psnr_db"], 100)
    darker = image_scores(frame, frame - 0.1)
    np.testing.assert_allclose(darker["psnr_db"], 20, atol=1e-4)  # an error of 0.1 everywhere
    np.testing.assert_allclose(darker["pixel_r"], 1, atol=1e-5)
    assert pixel_r(frame[0], np.full_like(frame[0], 0.5)) == 0
    wide = stretched(0.2 + 0.3 * frame)
    assert wide.min() == 0 and wide.max() == pytest.approx(1)


@pytest.mark.parametrize("size", [(16, 16), (32, 24)])
def test_ssim_of_many_pairs_is_scikit_images(size):
    rng = np.random.default_rng(9)
    frames = rng.random((70, *size, 3)).astype(np.float32)
    images = np.clip(frames + 0.3 * rng.standard_normal(frames.shape), 0, 1).astype(np.float32)
    images[:3] = 0.4  # does not vary
    expected = [ssim(frame, image) for frame, image in zip(frames, images)]
    np.testing.assert_allclose(ssim_of_pairs(frames, images), expected, atol=2e-5)


# ---------------------------------------------------------------- ridge regression


def test_delays_take_earlier_chunks_and_nothing_outside_the_film():
    features = {
        "a": np.arange(10.0)[:, None].astype(np.float32),
        "b": np.full((5, 1), 100, np.float32),
    }
    table = pd.DataFrame({"film": ["a", "a", "b"], "chunk": [0, 7, 4]})
    found = ridge.delayed(features, table, (0, 1, -3))
    np.testing.assert_array_equal(found, [[0, np.nan, 3], [7, 6, np.nan], [100, 100, np.nan]])


def test_what_lies_outside_a_film_is_the_mean_of_the_training_chunks():
    """0 after centring: as if the mean of what was learned from stood there, not the mean of that film."""
    rng = np.random.default_rng(15)
    x, test, y = (
        rng.standard_normal((60, 4)) + 5,
        rng.standard_normal((10, 4)) + 5,
        rng.standard_normal((60, 3)),
    )
    y += x @ rng.standard_normal((4, 3))
    outside = rng.random(test.shape) < 0.3
    made = [
        ridge.fit_banded([(x, part)], y, np.repeat(np.arange(5), 12), 1, 0)[0]
        for part in (np.where(outside, np.nan, test), np.where(outside, x.mean(axis=0), test))
    ]
    np.testing.assert_allclose(*made, atol=1e-5)


def test_one_band_is_kernel_ridge_with_the_best_penalty():
    """Against scikit-learn's kernel ridge over the same penalties and blocks, voxel by voxel."""
    rng = np.random.default_rng(9)
    x, weights = rng.standard_normal((120, 15)), rng.standard_normal((15, 6))
    y = x @ weights + 2 * rng.standard_normal((120, 6)) + 3
    test, blocks = rng.standard_normal((20, 15)), np.repeat(np.arange(5), 24)
    found, shares = ridge.fit_banded([(x, test)], y, blocks, 1, 0)
    scaled = [(part - x.mean(0)) / x.std(0) for part in (x, test)]
    kernel, across, centred = (
        scaled[0] @ scaled[0].T / 15,
        scaled[1] @ scaled[0].T / 15,
        y - y.mean(0),
    )
    expected = np.empty((20, 6))
    for voxel in range(6):
        errors = []
        for alpha in ridge.ALPHAS / 1e3:
            errors.append(0.0)
            for block in range(5):
                out = blocks == block
                model = KernelRidge(alpha=alpha, kernel="precomputed").fit(
                    kernel[~out][:, ~out], centred[~out, voxel]
                )
                errors[-1] += np.mean(
                    (model.predict(kernel[out][:, ~out]) - centred[out, voxel]) ** 2
                )
        best = ridge.ALPHAS[int(np.argmin(errors))] / 1e3
        model = KernelRidge(alpha=best, kernel="precomputed").fit(kernel, centred[:, voxel])
        expected[:, voxel] = model.predict(across) + y[:, voxel].mean()
    np.testing.assert_allclose(found, expected, rtol=2e-2, atol=2e-2)
    assert shares.tolist() == [1.0]


def test_bands_find_the_feature_space_that_matters():
    rng = np.random.default_rng(10)
    matters, other = rng.standard_normal((200, 10)), rng.standard_normal((200, 300))
    y = matters @ rng.standard_normal((10, 8)) + rng.standard_normal((200, 8))
    bands = [(matters[:150], matters[150:]), (other[:150], other[150:])]
    predicted, shares = ridge.fit_banded(bands, y[:150], np.repeat(np.arange(5), 30), 20, 0)
    assert (
        shares[0] > 0.8
        and np.mean([np.corrcoef(*pair)[0, 1] for pair in zip(predicted.T, y[150:].T)]) > 0.85
    )


def test_frames_come_back_from_voxels_that_hold_their_components():
    rng = np.random.default_rng(11)
    codes, pictures = rng.standard_normal((130, 3)), rng.random((3, 8 * 8 * 3))
    frames = (0.5 + 0.1 * codes @ pictures).reshape(130, 8, 8, 3)
    bold = codes @ rng.standard_normal((3, 20)) + 0.05 * rng.standard_normal((130, 20))
    made = ridge.fit_frames(
        bold[:100], frames[:100], bold[100:], np.repeat(np.arange(5), 20), 10, 0
    )
    assert np.mean([pixel_r(a, b.astype(float)) for a, b in zip(frames[100:], made)]) > 0.98


def test_inner_blocks_cut_every_film_in_five():
    table = pd.DataFrame({"film": ["a"] * 10 + ["b"] * 7, "chunk": range(17)})
    assert ridge.inner_blocks(table).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 0, 0, 1, 2, 2, 3, 4]


# ---------------------------------------------------------------- features of films


def test_small_frames_are_means_of_areas_of_the_middle_frame():
    chunks = np.random.default_rng(12).integers(0, 255, (3, 6, 28, 28, 3)).astype(np.uint8)
    expected = chunks[:, 2].reshape(3, 14, 2, 14, 2, 3).mean(axis=(2, 4)) / 255
    np.testing.assert_allclose(small_frames(chunks), expected.reshape(3, -1), atol=1e-5)
    assert averaged(np.zeros((1, 30, 30, 1)), 14).shape == (1, 15, 15, 1)


def test_motion_energy_tells_moving_from_still():
    """A grating that drifts, the same one still, and grey: energy falls in that order."""
    x = np.arange(24)
    energies = []
    for speed, contrast in ((0.6, 100), (0.0, 100), (0.0, 0)):
        phase = 2 * np.pi * 4 * x / 24 - speed * np.arange(30)[:, None]
        film = 128 + contrast * np.sin(phase)[:, None, :, None] * np.ones((1, 24, 1, 3))
        energies.append(motion_energy(film.astype(np.uint8).reshape(5, 6, 24, 24, 3), 0.5))
    assert (
        energies[0].shape[0] == 5 and energies[0].mean() > energies[1].mean() > energies[2].mean()
    )


def test_motion_energy_has_pymotens_amplitudes():
    filters = MotionFilters(16, 8, neutral=False)
    film = np.random.default_rng(0).random((14, 16, 16)).astype(np.float32)
    known = filters.pyramid.project_stimulus(film, output_nonlinearity=lambda x: x)
    np.testing.assert_allclose(filters.energy(film), known, rtol=2e-4, atol=2e-5)


def test_neither_brightness_nor_a_still_picture_nor_the_ends_of_a_film_are_motion():
    rng = np.random.default_rng(0)
    filters = MotionFilters(24, 12)
    moves = np.array([one["temporal_freq"] > 0 for one in filters.pyramid.filters])
    assert 0 < moves.sum() < len(moves)
    still = np.repeat(rng.integers(0, 255, (1, 24, 24, 3)), 36, axis=0).astype(np.uint8)
    found = motion_energy(still.reshape(6, 6, 24, 24, 3), 0.5)
    assert found[:, moves].max() < 1e-3 < found[:, ~moves].max()
    np.testing.assert_allclose(found, found[:1].repeat(6, axis=0), atol=1e-4)  # first and last too
    flicker = np.tile(rng.integers(0, 255, (36, 1, 1, 1)), (1, 24, 24, 3)).astype(np.uint8)
    assert motion_energy(flicker.reshape(6, 6, 24, 24, 3), 0.5).max() < 1e-3  # black to white
    x = np.arange(24)
    drift = 128 + 100 * np.sin(2 * np.pi * (4 * x / 24 - 2 * np.arange(36)[:, None] / 12))
    drift = np.tile(drift[:, None, :, None], (1, 24, 1, 3)).astype(np.uint8)
    assert motion_energy(drift.reshape(6, 6, 24, 24, 3), 0.5)[:, moves].max() > 1


def test_motion_energy_does_not_depend_on_how_many_chunks_are_read_at_once(monkeypatch):
    from film_encoding import film_features

    chunks = np.random.default_rng(13).integers(0, 255, (9, 6, 16, 16, 3)).astype(np.uint8)
    whole = motion_energy(chunks, 0.6)
    monkeypatch.setattr(film_features, "AT_ONCE", 4)
    np.testing.assert_allclose(motion_energy(chunks, 0.6), whole, atol=1e-4)
