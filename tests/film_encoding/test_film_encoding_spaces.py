"""Film and brain: feature spaces with their own clock, what each adds to a prediction, and nulls of shifted time."""

import runpy
from types import SimpleNamespace

from neuroface import NeuroFaceError
from neuroface.pipeline import write_json, write_npy

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from film_files import write_film
from scipy.integrate import quad
from sklearn.linear_model import LinearRegression

pytest.importorskip("av", reason="films need PyAV: make film-encoding")
pytest.importorskip("himalaya", reason="ridge regression needs himalaya: make film-encoding")
pytest.importorskip("moten", reason="motion energy needs pymoten: make film-encoding")

from film_encoding import feature_spaces, made_features, unique_variance  # noqa: E402
from film_encoding.banded import fit_kernels, random_weights  # noqa: E402
from film_encoding.encoding import (  # noqa: E402
    EncodingPlan,
    at_delays,
    bold_file,
    bold_of,
    convolved,
    features_file,
    features_of,
    fit_fold,
    fit_group,
    scores_file,
)
from film_encoding.encoding_tables import delay_of_voxels  # noqa: E402
from film_encoding.feature_spaces import Samples, over_trs, read_samples  # noqa: E402
from film_encoding.ridge import band_kernels, inner_films  # noqa: E402
from film_encoding.shifts import PAIRS  # noqa: E402
from film_encoding.splits import encoding_folds  # noqa: E402
from film_encoding.viewings import drop_short  # noqa: E402

REAL_CLIP = ROOT.parent / "shared" / "real" / "film-clips" / "face_noface.mov"
CLOCK = {"SamplingFrequency": 2.0, "StartTime": 1.5}


def write_space(folder, film, values, **clock):
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / f"{film}.npy", values)
    write_json(folder / f"{film}.json", CLOCK | clock)
    return folder / f"{film}.npy"


# ---------------------------------------------------------------- the clock of features


@pytest.mark.parametrize("rate_hz", [0.4, 1.0, 7.3])
def test_features_of_a_tr_are_the_mean_of_a_step_function(rate_hz):
    values = np.random.default_rng(0).standard_normal((40, 2)).astype(np.float32)
    samples = Samples(values, rate_hz, -1.1, None)
    n = int(samples.end_s / 1.3)
    found = over_trs(samples, n, 1.3)
    edges_s = -1.1 + np.arange(41) / rate_hz

    def step(time_s: float) -> float:
        return values[min(int((time_s + 1.1) * rate_hz + 1e-9), 39), 1]

    for chunk in (0, n // 2, n - 1):
        a, b = chunk * 1.3, (chunk + 1) * 1.3
        inside = [edge for edge in edges_s if a < edge < b]
        exact = quad(step, a, b, points=inside or None, limit=100)[0] / 1.3
        assert found[chunk, 1] == pytest.approx(exact, abs=1e-5)


def test_chunks_without_features_are_nan_and_half_covered_ones_use_what_there_is():
    samples = Samples(np.array([[2.0], [4.0]], dtype=np.float32), 1.0, 1.5, None)  # 1.5 to 3.5 s
    found = over_trs(samples, 5, 1.0)[:, 0]
    np.testing.assert_allclose(found, [np.nan, 2, 3, 4, np.nan])


def test_a_table_with_even_times_needs_no_other_clock(tmp_path):
    path = tmp_path / "kites.tsv"
    path.write_text("time_s\tn_faces\tspeech\n0.5\t0\t0.1\n1.0\t2\t0.4\n1.5\t1\t0\n")
    samples = read_samples(path, "kites")
    assert (samples.rate_hz, samples.start_s) == (2.0, 0.5)
    np.testing.assert_allclose(samples.values, [[0, 0.1], [2, 0.4], [1, 0]], rtol=1e-6)
    path.write_text("time_s\tn_faces\n0.5\t0\n1.0\t2\n2.5\t1\n")
    with pytest.raises(NeuroFaceError, match="time_s is not evenly spaced"):
        read_samples(path, "kites")


@pytest.mark.parametrize(
    ("values", "clock", "message"),
    [
        (np.array([[1.0], [np.nan]]), {}, "sample 1, feature 0 is nan"),
        (np.ones((5, 2)), {}, "5 samples that are all equal"),
        (np.array(["a", "b"]), {}, "numbers .* are needed"),
        (np.ones((2, 2, 2)), {}, r"of shape \(2, 2, 2\)"),
        (np.arange(4.0), {"SamplingFrequency": 0}, "are no clock"),
        (np.arange(4.0), {"StartTime": "soon"}, "must state the clock"),
        (np.arange(4.0), {"Film": "lanterns"}, "features of 'lanterns'"),
    ],
)
def test_files_that_are_no_features_of_the_film_are_refused(tmp_path, values, clock, message):
    path = write_space(tmp_path / "clip", "kites", values, **clock)
    with pytest.raises(NeuroFaceError, match=message) as raised:
        read_samples(path, "kites")
    assert "\n" not in str(raised.value)


def test_features_of_another_length_or_another_film_are_refused(tmp_path):
    values = np.arange(200.0)
    path = write_space(tmp_path / "clip", "kites", values)  # seconds 1.5 to 101.5
    samples = read_samples(path, "kites")
    feature_spaces.check_length(samples, "kites", 78, 1.3, 101.4)
    with pytest.raises(NeuroFaceError, match="Are these features of another film"):
        feature_spaces.check_length(samples, "kites", 100, 1.3, 130.0)  # BOLD of 130 s
    with pytest.raises(NeuroFaceError, match="Are these features of another film"):
        feature_spaces.check_length(samples, "kites", 70, 1.3, 91.0)  # 10 s beyond the film
    copy = read_samples(write_space(tmp_path / "clip", "orchard", values), "orchard")
    with pytest.raises(NeuroFaceError, match="the same numbers as .*kites"):
        feature_spaces.check_distinct_films({"kites": samples, "orchard": copy})
    with pytest.raises(NeuroFaceError, match="which no script makes"):
        feature_spaces.feature_file(tmp_path, "wav2vec", "kites")


def test_the_share_of_a_tr_with_a_face_is_exact():
    stretches = np.array([[0.5, 1.0], [2.6, 2.6]])
    found = made_features.shown_share(stretches, 5, 1.3)
    np.testing.assert_allclose(found, [0.8 / 1.3, 0.2 / 1.3, 1, 1, 0], atol=1e-12)


def test_brightness_is_the_luma_of_the_frames_as_filmed():
    chunks = np.zeros((3, 2, 4, 4, 3), dtype=np.uint8)
    chunks[1], chunks[2, 1, ..., 1] = 255, 255
    found = made_features.brightness(chunks)
    np.testing.assert_allclose(found[:, 0], [0, 1, 0.7152 / 2], atol=1e-6)
    ranges = np.zeros((3, 2, 2), dtype=np.uint8)
    ranges[..., 1] = 51  # a fifth of the full range was there before each frame was stretched
    np.testing.assert_allclose(made_features.brightness(chunks, ranges), found / 5, atol=1e-6)


# ---------------------------------------------------------------- delays and the response


@pytest.fixture(scope="module")
def sounding_film(tmp_path_factory):
    """10.4 s: cuts at 3.8 and 7.3 s; silence until 5.2 s, then 1 kHz at 0.05 of full scale."""
    times_s = np.arange(0, 10.4, 0.08)
    sound_s = np.arange(int(10.4 * 48_000)) / 48_000
    sound = 0.05 * (sound_s >= 5.2) * np.sin(2 * np.pi * 1000 * sound_s)

    def picture(time_s: float) -> np.ndarray:
        shot = int(time_s >= 3.8) + int(time_s >= 7.3)
        blocks = np.random.default_rng(shot).integers(0, 255, (6, 8, 3)).astype(np.uint8)
        return np.kron(blocks, np.ones((8, 8, 1), dtype=np.uint8))

    path = tmp_path_factory.mktemp("sounding") / "film.mp4"
    return write_film(path, times_s, picture, rate=12, sound=sound)


def test_cuts_are_counted_in_the_chunk_that_shows_them(sounding_film):
    """3.8 s is in the last quarter of chunk 2 (2.6 to 3.9 s), 7.3 s in chunk 5."""
    pytest.importorskip("scenedetect", reason="cuts need the packages of make film")
    found = made_features.from_file(sounding_film, "cuts", 8, 1.3)[:, 0]
    np.testing.assert_allclose(found, np.isin(np.arange(8), [2, 5]) / 1.3, rtol=1e-6)


@pytest.mark.skipif(not REAL_CLIP.is_file(), reason="../shared/real is not there")
def test_the_cut_of_a_real_clip_with_a_variable_frame_rate_is_in_its_chunk():
    """Its time stamps put the cut at 2.40 s (chunk 1 of 1.3 s), its mean frame rate at 2.72 s (chunk 2)."""
    pytest.importorskip("scenedetect", reason="cuts need the packages of make film")
    found = made_features.from_file(REAL_CLIP, "cuts", 3, 1.3)[:, 0]
    np.testing.assert_allclose(found, [0, 1 / 1.3, 0], rtol=1e-6)


def test_loudness_of_a_tone_is_that_of_the_standard(sounding_film):
    """ITU-R BS.1770: a sine of 1 kHz in one channel at full scale has -3.01 LUFS, at 0.05 of it -29.03 LUFS."""
    found = made_features.from_file(sounding_film, "loudness", 7, 1.3)[:, 0]
    assert not found[:3].any()  # silence is 0
    np.testing.assert_allclose(found[5:], 70 - 3.01 + 20 * np.log10(0.05), atol=0.1)


def test_speech_is_the_mean_probability_over_the_chunk(monkeypatch, tmp_path):
    """Sample k holds the sound from k to k + 1; a film without sound is refused."""
    probabilities = np.arange(13) / 20
    seen = {"speech": probabilities.tolist(), "loudness": [None] * 13}
    monkeypatch.setattr(made_features, "open_film", lambda path: path)
    monkeypatch.setattr(made_features, "scan", lambda film, samples, *_: (seen, {}))
    found = made_features.from_file(tmp_path / "a.mp4", "speech", 3, 1.3)[:, 0]
    np.testing.assert_allclose(found, probabilities[:12].reshape(3, 4).mean(axis=1), rtol=1e-6)
    with pytest.raises(NeuroFaceError, match="'loudness', and .*a.mp4 has no sound track"):
        made_features.from_file(tmp_path / "a.mp4", "loudness", 3, 1.3)


def test_features_meet_the_haemodynamic_response_within_a_tr():
    """The response to a step of one TR, sampled at TR starts, is the difference of two integrals of the HRF."""
    from nilearn.glm.first_level import spm_hrf

    tr_s, fine = 1.3, 200
    values = np.zeros((40, 1))
    values[3] = 1
    found = convolved(values, tr_s, 4)[:, 0]
    hrf = spm_hrf(tr_s, oversampling=fine)
    rising = np.concatenate([[0], np.cumsum(hrf)])
    at = np.clip((np.arange(44)[:, None] - [3, 4]) * fine, 0, len(hrf))
    step = rising[at[:, 0]] - rising[at[:, 1]]
    base = rising[np.clip(np.arange(44) * fine, 0, len(hrf))]
    base = base - rising[np.clip((np.arange(44) - 40) * fine, 0, len(hrf))]
    exact = step - base / 40  # features are centred first
    assert np.corrcoef(found, exact)[0, 1] > 0.999
    assert found.argmax() == exact.argmax()


def test_delays_take_the_chunks_before_a_volume_and_hrf_gives_one_column():
    features = {"a": np.arange(20.0)[:, None], "b": 100 + np.arange(20.0)[:, None]}
    table = pd.DataFrame({"film": ["a", "a", "b"], "chunk": [5, 0, 7]})
    cfg = SimpleNamespace(
        FEATURE_RESPONSE="delays", RIDGE_DELAYS_TRS=(-1, 0, 2), TR_S=1.3, DELAY_TRS=4
    )
    found = at_delays(features, table, cfg)
    np.testing.assert_array_equal(found, [[6, 5, 3], [1, 0, np.nan], [108, 107, 105]])
    cfg.FEATURE_RESPONSE = "hrf"
    found = at_delays(features, table, cfg)
    np.testing.assert_allclose(found[:, 0], convolved(features["a"], 1.3, 4)[[9, 4, 11], 0])


# ---------------------------------------------------------------- a delay per voxel

# Volumes from a chunk to its BOLD, or by which the canonical response is later.
PLANTED = {"one delay": (1, 2, 3), "shifted hrf": (-1, 0, 1)}
FILMS = {"a": 70, "b": 60, "c": 65, "d": 60}
FEW, NOISY = 5, 4  # voxels of each delay, voxels that follow nothing


def delay_plan(folder, response: str, **changed) -> EncodingPlan:
    """Four films of two spaces of white noise, and BOLD whose voxels follow the first at one of three delays."""
    delays = PLANTED[response]
    cfg = SimpleNamespace(
        FEATURE_RESPONSE=response, RIDGE_DELAYS_TRS=(-1, 0, 1), DELAY_TRS=2, TR_S=1.3, N_FOLDS=4, EMBARGO_TRS=6,
        FEATURES=("follows", "other"), N_RIDGE_TRIES=2, SEED=0, MIN_SHIFT_S=13.0,
    )  # fmt: skip
    vars(cfg).update(changed)
    rng = np.random.default_rng(11)
    mixture = rng.standard_normal((2, FEW))
    for film, n in FILMS.items():
        for space in cfg.FEATURES:
            write_npy(features_file(folder, film, space), rng.standard_normal((n, 2)))
        values = np.load(features_file(folder, film, "follows"))
        n_rows = n + cfg.DELAY_TRS
        bold = []
        for delay in delays:
            if response == "one delay":
                driven = np.concatenate([np.zeros((delay, 2)), values, np.zeros((9, 2))])[:n_rows]
            else:
                driven = np.roll(convolved(values, 1.3, 9), delay, axis=0)[:n_rows]
            driven = driven @ mixture
            bold.append(driven / driven.std(axis=0) + 0.5 * rng.standard_normal(driven.shape))
        bold.append(rng.standard_normal((n_rows, NOISY)))
        write_npy(bold_file(folder, film, "mean"), np.hstack(bold).astype(np.float32))
    n_voxels = 3 * FEW + NOISY
    regions = {"all": np.ones(n_voxels, dtype=bool)}
    return EncodingPlan(
        folder, encoding_folds(FILMS, cfg), FILMS, ("mean",), regions, n_voxels, cfg
    )


@pytest.mark.parametrize("response", list(PLANTED))
def test_voxels_get_their_planted_delays_back_and_held_out_data_do_not_choose(tmp_path, response):
    plan = delay_plan(tmp_path, response)
    fit_group(plan, ("mean",))
    delays = np.load(scores_file(tmp_path, "mean", "delay"))
    planted = np.repeat(PLANTED[response], FEW)
    assert delays.shape == (4, 3 * FEW + NOISY)
    np.testing.assert_array_equal(delays[:, : 3 * FEW], np.tile(planted, (4, 1)))
    np.testing.assert_array_equal(delay_of_voxels(plan)[: 3 * FEW], planted)
    assert np.load(scores_file(tmp_path, "mean", "r"))[: 3 * FEW].min() > 0.7
    # Other BOLD and features of the film that the first fold holds out: its choices stay, those of other folds do not.
    (held_out,) = plan.folds[0].of("test")["film"].unique()
    rng = np.random.default_rng(12)
    for file in [bold_file(tmp_path, held_out, "mean"),
                 *(features_file(tmp_path, held_out, space) for space in plan.spaces)]:  # fmt: skip
        write_npy(file, rng.standard_normal(np.load(file).shape).astype(np.float32))
    fit_group(plan, ("mean",))
    again = np.load(scores_file(tmp_path, "mean", "delay"))
    np.testing.assert_array_equal(again[0], delays[0])
    assert (again[1:] != delays[1:]).any()


@pytest.mark.parametrize("response", ["delays", "hrf"])
def test_without_a_delay_per_voxel_nothing_is_chosen(tmp_path, response):
    """The predictions are those of one banded ridge regression, to the last bit, and no file of delays is written."""
    plan = delay_plan(tmp_path, "one delay", FEATURE_RESPONSE=response)
    learn, test = plan.folds[0].of("train"), plan.folds[0].of("test")
    shape = (2, len(test), plan.n_voxels)
    predicted, without = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    fit_fold(plan, plan.folds[0], ("mean",), predicted, without, np.arange(len(test)))
    bands = [
        (at_delays(features, learn, plan.cfg), at_delays(features, test, plan.cfg))
        for features in (features_of(plan, space) for space in plan.spaces)
    ]
    bold, blocks = bold_of(plan, ("mean",), learn), inner_films(learn)
    expected = fit_kernels(*band_kernels(bands), bold, blocks, random_weights(2, 2, 0))
    np.testing.assert_array_equal(predicted, expected)
    fit_group(plan, ("mean",))
    assert not scores_file(tmp_path, "mean", "delay").exists() and delay_of_voxels(plan) is None


# ---------------------------------------------------------------- folds


def test_one_film_is_held_out_in_stretches_with_free_chunks_on_both_sides():
    def cfg(**changed):
        delays = {"FEATURE_RESPONSE": "delays", "RIDGE_DELAYS_TRS": (-1, 0, 6)}
        return SimpleNamespace(**{"N_FOLDS": 4, "EMBARGO_TRS": 6} | delays | changed)

    folds = encoding_folds({"x": 100}, cfg())
    assert [fold.split for fold in folds] == ["time"] * 4
    tested = np.concatenate([fold.of("test")["chunk"] for fold in folds])
    np.testing.assert_array_equal(tested, np.arange(100))
    second = folds[1]
    assert second.of("embargo")["chunk"].tolist() == [*range(19, 25), *range(50, 56)]
    assert len(second.of("train")) == 100 - 25 - 12
    films = encoding_folds({"x": 30, "y": 40, "z": 50}, cfg(N_FOLDS=9, EMBARGO_TRS=0))
    assert [set(fold.of("test")["film"]) for fold in films] == [{"x"}, {"y"}, {"z"}]
    with pytest.raises(NeuroFaceError, match="Lower EMBARGO_TRS = 60"):
        encoding_folds({"x": 100}, cfg(EMBARGO_TRS=60))
    with pytest.raises(NeuroFaceError, match="reach 6 TRs, and EMBARGO_TRS = 5 .*EMBARGO_TRS to 6"):
        encoding_folds({"x": 100}, cfg(EMBARGO_TRS=5))
    assert len(encoding_folds({"x": 100}, cfg(EMBARGO_TRS=5, FEATURE_RESPONSE="hrf"))) == 4


def test_bands_are_chosen_on_inner_films_where_there_are_three():
    table = pd.DataFrame({"film": ["a"] * 4 + ["b"] * 3 + ["c"] * 2})
    np.testing.assert_array_equal(inner_films(table), [0] * 4 + [1] * 3 + [2] * 2)
    two = inner_films(table[:7])
    assert set(two[:4]) == set(range(4)) and set(two[4:]) == {0, 1, 3}  # blocks of time


# ---------------------------------------------------------------- what a space adds


def test_parts_of_r2_sum_to_it_and_unique_variance_is_the_difference_of_two_models():
    rng = np.random.default_rng(1)
    films = np.repeat(["a", "b"], [60, 80])
    y = rng.standard_normal((140, 3))
    spaces, without = rng.standard_normal((2, 2, 140, 3))
    found = unique_variance.score_spaces(y, spaces, without, films, films)
    np.testing.assert_allclose(found.product.sum(axis=0), found.r2)

    def centred(values):
        return np.concatenate([part - part.mean(axis=0) for part in (values[:60], values[60:])])

    whole = centred(spaces.sum(axis=0))
    total = (centred(y) ** 2).sum(axis=0)
    r2 = 1 - ((centred(y) - whole) ** 2).sum(axis=0) / total
    np.testing.assert_allclose(found.r2, r2)
    reduced = 1 - ((centred(y) - centred(without[1])) ** 2).sum(axis=0) / total
    np.testing.assert_allclose(found.unique[1], r2 - reduced)


def test_residuals_are_those_of_least_squares():
    rng = np.random.default_rng(2)
    values, known = rng.standard_normal((50, 2)), rng.standard_normal((3, 50, 2))
    found = unique_variance.residual(values, known)
    for voxel in range(2):
        x = known[:, :, voxel].T
        fit = LinearRegression(fit_intercept=False).fit(x, values[:, voxel])
        np.testing.assert_allclose(found[:, voxel], values[:, voxel] - fit.predict(x))
    known[1] = known[0]  # a space that repeats another
    assert np.isfinite(unique_variance.residual(values, known)).all()


def test_a_sum_over_folds_of_noise_varies_twice_as_much_as_its_shifts():
    """Ridge regression of white noise on features that say nothing, each of four films held out once."""
    rng = np.random.default_rng(7)
    films = np.repeat(np.arange(4), 60)
    x, y = rng.standard_normal((240, 20)), rng.standard_normal((240, 3000))
    predicted = np.empty_like(y)
    for film in range(4):
        test, train = films == film, films != film
        normal = x[train].T @ x[train] + 200 * np.eye(20)
        predicted[test] = x[test] @ np.linalg.solve(normal, x[train].T @ y[train])
    lags = unique_variance.lags_of_films(y, predicted, films)
    value = lags[::60].sum(axis=0)
    shifted = sum((lags[film * 60 + 10 : film * 60 + 51] ** 2).mean() for film in range(4))
    assert value.var() / shifted == pytest.approx(PAIRS, rel=0.15)


def test_components_of_spaces_are_theirs_with_equal_weight():
    rng = np.random.default_rng(6)
    pieces = np.repeat([0, 1], 100)
    slow = rng.standard_normal((200, 1))
    narrow, wide = slow.copy(), 50 * np.repeat(rng.standard_normal((200, 1)), 30, axis=1)
    narrow[3] = np.nan
    basis = unique_variance.components([narrow, wide], pieces)
    assert basis.shape == (200, 2)
    np.testing.assert_allclose(basis.T @ basis, np.eye(2), atol=1e-9)
    for space in (narrow, wide[:, :1]):  # both spaces lie in them
        filled = np.where(np.isnan(space), np.nanmean(space), space)
        centred = (
            filled - np.array([filled[pieces == piece].mean() for piece in (0, 1)])[pieces, None]
        )
        np.testing.assert_allclose(basis @ (basis.T @ centred), centred, atol=1e-6)
    many = unique_variance.components([rng.standard_normal((200, 60))], pieces)
    assert many.shape == (200, 4)  # one per 50 chunks


def test_lag_0_is_the_correlation_and_a_shift_in_a_circle_moves_it():
    rng = np.random.default_rng(3)
    films = np.repeat(["a", "b"], 50)
    predicted = rng.standard_normal((100, 1))
    measured = np.concatenate(
        [np.roll(part, 7, axis=0) for part in (predicted[:50], predicted[50:])]
    )
    lags = unique_variance.lags_of_films(measured, predicted, films)
    assert lags[7, 0] + lags[57, 0] == pytest.approx((predicted**2).mean(), rel=1e-5)
    assert lags[0, 0] + lags[50, 0] == pytest.approx((measured * predicted).mean(), rel=1e-4)


def fitted(rng, n_targets: int):
    """Four short films, fitted as script 8 does: faces and motion are correlated; half of the targets follow faces
    beside motion, half only motion.
    """
    films = np.repeat(["a", "b", "c", "d"], 110)
    n = len(films)
    motion, own, colour = (np.cumsum(rng.standard_normal((n, 2)), axis=0) for _ in range(3))
    motion, own, colour = (x - np.roll(x, 6, axis=0) for x in (motion, own, colour))
    faces = 0.7 * motion + 0.7 * own
    skin = faces + colour
    spaces = [x / x.std(axis=0) for x in (faces, motion, skin)]
    follows = np.arange(n_targets) < n_targets // 2
    signs = rng.choice([-1, 1], (2, 2, n_targets))
    signal = spaces[1] @ signs[0] + spaces[0] @ signs[1] * follows
    noise = np.cumsum(rng.standard_normal((n, n_targets)), axis=0)
    noise = noise - np.roll(noise, 4, axis=0)
    y = signal / signal.std(axis=0) + 0.5 * noise / noise.std(axis=0)
    predicted, without = np.zeros((2, 3, n, n_targets), dtype=np.float32)
    for film in "abcd":
        test, train = films == film, films != film
        kernels = band_kernels([(x[train], x[test]) for x in spaces])
        blocks = inner_films(pd.DataFrame({"film": films[train]}))
        bold = y[train].astype(np.float32)
        weights = random_weights(3, 5, 0)
        predicted[:, test] = fit_kernels(*kernels, bold, blocks, weights)
        for place in range(3):
            used = [other for other in range(3) if other != place]
            weights = random_weights(2, 5, 0)
            reduced = fit_kernels(*(kernel[used] for kernel in kernels), bold, blocks, weights)
            without[place, test] = reduced.sum(axis=0)
    return y, predicted, without, films, follows


def test_planted_face_voxels_are_found_beside_motion_and_skin_colour():
    y, predicted, without, films, follows = fitted(np.random.default_rng(4), 40)
    scores = unique_variance.score_spaces(y, predicted, without, films, films)
    unique = scores.unique[0]
    area = (unique[follows][:, None] > unique[~follows]).mean()
    assert area >= 0.95
    _, p = unique_variance.partial_p(scores.partial[0], films, 10, together=True)
    assert np.median(p[follows]) < 0.01 < np.median(p[~follows])


def test_banded_ridge_is_himalayas_with_the_same_weights():
    from himalaya.kernel_ridge import MultipleKernelRidgeCV
    from sklearn.model_selection import PredefinedSplit

    rng = np.random.default_rng(5)
    x, z = rng.standard_normal((60, 4)), rng.standard_normal((60, 90))  # of low and of full rank
    y = (x @ rng.standard_normal((4, 7)) + 2 * rng.standard_normal((60, 7))).astype(np.float32)
    blocks = np.repeat(np.arange(4), 12)
    train, test = slice(0, 48), slice(48, 60)
    kernels = band_kernels([(x[train], x[test]), (z[train], z[test])])
    weights, alphas = random_weights(2, 6, 0), np.array([1.0, 10.0, 100.0])
    found = fit_kernels(*kernels, y[train], blocks, weights, alphas)
    model = MultipleKernelRidgeCV(
        kernels="precomputed", solver="random_search", cv=PredefinedSplit(blocks),
        solver_params={"n_iter": weights.astype(np.float32), "alphas": alphas, "progress_bar": False},
    )  # fmt: skip
    centre = y[train].mean(axis=0)
    model.fit(kernels[0], y[train] - centre)
    found[0] -= centre
    np.testing.assert_allclose(found, model.predict(kernels[1], split=True), atol=2e-3)


def test_random_weights_sum_to_one_and_begin_equal():
    weights = random_weights(3, 9, 1)
    assert weights.shape == (9, 3) and (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    np.testing.assert_allclose(weights[0], 1 / 3)
    np.testing.assert_array_equal(weights, random_weights(3, 9, 1))


def test_one_scan_that_went_on_leaves_nobody_else_out(monkeypatch):
    """No film file: what most people saw is the film, not the longest of the scans."""
    script = runpy.run_path(str(ROOT / "studies" / "film_encoding" / "8-fit_feature_spaces.py"))
    who = [SimpleNamespace(n_rows=n, shown_s=np.inf) for n in (100, 101, 240)]
    names = script["lengths_of_films"].__globals__
    monkeypatch.setitem(names, "find_viewings", lambda cfg: ({"film": who}, []))
    chunks, _ = script["lengths_of_films"](None, False, SimpleNamespace(TR_S=2.0))
    assert chunks == {"film": 101} and drop_short(who, chunks["film"])[1] == []


def test_files_that_spaces_are_made_from_belong_to_the_stage(tmp_path):
    """An annotation or a film that changes is noticed as the BOLD is."""
    film = tmp_path / "YouAgain.mp4"
    film.touch()
    cfg = SimpleNamespace(FILM_DIR=str(tmp_path))
    assert made_features.source_files("cuts", "YouAgain", cfg) == [film]
    assert made_features.source_files("faces", "YouAgain", cfg) == [
        tmp_path / "task-YouAgain_face-annotation.1D"
    ]
    assert made_features.source_files("motion energy", "YouAgain", cfg) == []
