"""Film and brain: what the report says about differences, p, people, and frames that are stretched."""

import runpy
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from scipy import stats

pytest.importorskip("av", reason="films need PyAV: make film-encoding")
pytest.importorskip("himalaya", reason="ridge regression needs himalaya: make film-encoding")
pytest.importorskip("moten", reason="motion energy needs pymoten: make film-encoding")

from film_encoding import comparisons, perturbation, score_report  # noqa: E402
from film_encoding.blocks import BlockScore  # noqa: E402
from film_encoding.film_contrast import as_filmed, stretch_each, stretched  # noqa: E402
from film_encoding.film_features import film_features  # noqa: E402
from film_encoding.perturbation_report import sentence  # noqa: E402
from film_encoding.score_tables import of_differences, order_rows  # noqa: E402
from film_encoding.scoring import Scorer, ridges_of  # noqa: E402
from film_encoding.splits import make_folds  # noqa: E402
from film_encoding.things import OTHER, THING  # noqa: E402
from film_encoding.wording import model_name, p_text  # noqa: E402
from neuroface.pipeline import write_npy  # noqa: E402

CFG = SimpleNamespace(
    FRAMES_PER_TR=8, DELAY_TRS=4, SUBJECTS=("mean", "sub-01", "sub-02"), ABLATIONS=("encoder",), SPLITS=("film",),
    RIDGE_DELAYS_TRS=(-2, -1, 0, 1, 2),
)  # fmt: skip


class OneFold:
    """A fold whose test chunks are of a film never trained on."""

    split = "film"

    @staticmethod
    def of(*_):
        return pd.DataFrame({"test_set": ["unseen film"]})


def scorer() -> Scorer:
    made = Scorer.__new__(Scorer)
    made.cfg, made.folds = CFG, [OneFold()]
    return made


# ---------------------------------------------------------------- people


def test_every_person_has_ridge_regressions_of_their_own_bold():
    found = {unit.model: scorer().variant(unit.model).subject for unit in scorer().units()}
    for subject in ("sub-01", "sub-02"):
        assert (
            found[f"ridge {subject}"]
            == found[f"ridge one chunk {subject}"]
            == found[subject]
            == subject
        )
    assert found["ridge"] == found["ridge one chunk"] == "mean"
    assert [one.one_chunk for one in ridges_of(CFG).values()] == [False, True] * 3


def test_people_are_summed_up_over_people_and_blocks(tmp_path):
    """People who differ, and blocks that do not: the interval is Student's t over people."""
    r = {"sub-01": 0.3, "sub-02": 0.5}
    for unit in scorer().units():
        subject = scorer().variant(unit.model).subject
        value = r.get(subject, 0.9) + (0.1 if "ridge" in unit.model else 0)
        score = BlockScore(np.array([value]), np.full((1, 9), value), np.full(9, 20.0), is_r=True)
        write_npy(comparisons.blocks_file(tmp_path, unit, "voxels", "r"), score.stored())
    table = pd.DataFrame(comparisons.compare_people(tmp_path, scorer(), CFG)).set_index("model")
    assert table.loc["network", "r"] == pytest.approx(0.4) and table.loc[
        "ridge", "r"
    ] == pytest.approx(0.5)
    z = np.arctanh([0.3, 0.5])
    low, high = np.tanh(stats.t.interval(0.95, 1, z.mean(), stats.sem(z)))
    np.testing.assert_allclose(
        table.loc["network", ["low", "high"]].astype(float), [low, high], rtol=1e-6
    )
    difference = table.loc["network − ridge one chunk"]
    np.testing.assert_allclose(difference[["r", "low", "high"]].astype(float), -0.1, atol=1e-9)
    assert difference["people_above_0"] == 0


# ---------------------------------------------------------------- sentences


def comparison(**differences: tuple[float, float, float]) -> pd.DataFrame:
    """Rows of frames against ridge regression: score → difference, low, high."""
    rows = []
    for score, (difference, low, high) in differences.items():
        network_is = "better" if low > 0 else "worse" if high < 0 else "not different"
        rows.append({"of": "frames", "rival": "ridge", "score": score, "network": 0.5, "of_rival": 0.5 - difference,
                     "difference": difference, "low": low, "high": high, "network_is": network_is})  # fmt: skip
    return pd.DataFrame(rows)


def test_the_network_beats_ridge_regression_only_on_all_four_measures():
    """The demo's frames: better in SSIM, the network's own loss, and worse in what no loss is made of."""
    mixed = comparison(
        two_way=(-0.03, -0.06, 0.0),
        pixel_r=(-0.1, -0.12, -0.08),
        psnr_db=(-1, -1.2, -0.8),
        ssim=(0.026, 0.01, 0.04),
    )
    text = score_report.frame_verdict(mixed)
    assert "beats" not in text and "do not agree" in text
    assert (
        text.index("identified")
        < text.index("pixel r")
        < text.index("SSIM (in the network's loss)")
    )
    assert text.count("[") == 4  # every difference has its interval
    better = score_report.frame_verdict(
        comparison(**{name: (0.1, 0.05, 0.15) for name in mixed["score"]})
    )
    assert "The network beats ridge regression on all four measures" in better
    unclear = score_report.frame_verdict(
        comparison(**{name: (0.1, -0.05, 0.25) for name in mixed["score"]})
    )
    assert "beats" not in unclear and "No measure shows a clear difference" in unclear


def test_motion_is_claimed_only_where_the_own_order_is_better_than_the_reversed_one():
    row = pd.Series({"order": 0.004, "order_low": 0.001, "order_high": 0.007, "order_p": 0.01,
                     "order_p_smallest": 0.001, "n_shots": 40})  # fmt: skip
    assert score_report.order_verdict(row).endswith("motion is decoded from the brain.")
    row["order_p"] = 0.2
    assert "no evidence that motion is decoded" in score_report.order_verdict(row)
    row["order_p"] = np.nan
    assert "was not tested: 40 shots" in score_report.order_verdict(row)


def test_no_order_is_stated_without_shots():
    row = {"model": "network", "given": "from_measured", "split": "film", "test_set": "unseen film", "order_p": np.nan,
           "order_p_smallest": np.nan, "n_shots": 2}  # fmt: skip
    numbers = ("order", "order_own", "order_permuted", "order_reversed", "order_low", "order_high")
    few = pd.DataFrame([row | dict.fromkeys(numbers[:4], 0.1)], columns=[*row, *numbers])
    assert order_rows(few)[0]["own less reversed [95 %]"] == "+0.1000 [too few shots: no interval]"
    none = pd.DataFrame([row | {"n_shots": 0}], columns=[*row, *numbers])
    assert order_rows(none)[0]["own less reversed [95 %]"] == "no shot of several moments"


def test_the_headline_is_a_film_never_trained_on():
    voxels = pd.DataFrame({
        "model": ["network", "ridge", "network", "network"], "split": ["published"] * 3 + ["film"],
        "test_set": ["unseen film", "unseen film", "last part", "unseen film"],
    })  # fmt: skip
    assert score_report.headline_of(voxels)["split"] == "film"
    assert score_report.headline_of(voxels.iloc[:3])["test_set"] == "unseen film"


def test_a_p_that_is_a_floor_says_so_and_none_is_given_where_it_cannot_be_small():
    assert p_text(1 / 136, 1 / 136) == "0.0074 (smallest possible)"
    assert p_text(0.02, 1 / 136) == "0.0200"
    assert p_text(1 / 15, 1 / 15) == "not possible (smallest 0.067)"


def test_ridge_always_says_its_delays():
    assert model_name("ridge", CFG) == "ridge, 5 delays" and model_name("network", CFG) == "network"
    assert model_name("ridge one chunk", CFG) == "ridge, one chunk"
    assert model_name("ridge sub-01", CFG) == "ridge, 5 delays, sub-01"
    assert model_name("ridge one chunk sub-02", CFG) == "ridge, one chunk, sub-02"


@pytest.mark.parametrize(
    "delays, says",
    [
        ((2, 1, 0, -1, -2), "“network, 5 delays” sees the same chunks as “ridge, 5 delays”."),
        # As many delays, but not the same ones.
        ((0, 1, 2, 3, 4), "sees other chunks than “ridge, 5 delays”: its delays are −2, −1, 0, +1, +2 TRs, those of"),
        ((0,), "sees other chunks than “ridge, 1 delay”"),
    ],
)  # fmt: skip
def test_the_caption_of_differences_says_which_chunks_the_delays_are(delays, says):
    settings = vars(CFG) | {"ABLATIONS": ("encoder", "lags 2"), "RIDGE_DELAYS_TRS": delays}
    assert says in of_differences(SimpleNamespace(**settings))
    assert "delay" not in of_differences(CFG)  # no network gets several


def test_random_sets_that_hold_most_other_voxels_are_no_comparison():
    row = SimpleNamespace(
        region="calcarine", difference=0.03, difference_low=0.01, difference_high=0.05, n_stretches=40,
        p_thing_over_others=0.01, p_others_smallest=0.0005, p_over_random=1.0, p_random_smallest=0.0099,
        random_share_of_others=277 / 305, p_thing_over_each=0.02, least_clear="shape",
    )  # fmt: skip
    assert "Each random set holds 91% of all voxels outside calcarine" in sentence(row, "face")
    row.random_share_of_others = 0.4
    assert "Each random set" not in sentence(row, "face") and "shape" not in sentence(row, "face")
    row.p_thing_over_each = 0.3
    assert "of shape does not clearly suffer less (p 0.3000)" in sentence(row, "face")


def test_the_interval_of_a_perturbation_is_welchs_over_stretches():
    """Equal stretches: two samples of their means."""
    rng = np.random.default_rng(0)
    means = {THING: rng.normal(1, 0.5, 12), OTHER: rng.normal(0, 1, 20)}
    loss = np.concatenate([np.repeat(values, 4) for values in means.values()])
    kind = np.repeat([THING, OTHER], [48, 80])
    found = perturbation.difference_interval(loss, kind, np.arange(128) // 4)
    expected = stats.ttest_ind(means[THING], means[OTHER], equal_var=False).confidence_interval(
        0.95
    )
    np.testing.assert_allclose(found, (expected.low, expected.high), rtol=1e-6)


# ---------------------------------------------------------------- stretched frames


def test_stretched_frames_come_back_exactly():
    rng = np.random.default_rng(1)
    frames = rng.integers(0, 256, (40, 6, 6, 3)).astype(np.uint8)
    frames[:20] = 90 + frames[:20] // 9  # little contrast
    frames[0] = 77  # none
    ranges = np.empty((40, 2), dtype=np.uint8)
    made = np.stack(list(stretch_each(frames, ranges)))
    assert made[1].min() == 0 and made[1].max() == 255 and not made[0].any()
    np.testing.assert_array_equal(as_filmed(made, ranges), frames)
    np.testing.assert_array_equal(as_filmed(frames, None), frames)


@pytest.mark.parametrize("name", ["motion energy", "frames"])
def test_features_are_those_of_the_film_and_not_of_stretched_frames(name):
    """A bright spot in some frames dims the rest of them when they are stretched; features must not see that."""
    rng = np.random.default_rng(2)
    film = rng.integers(60, 120, (5, 6, 16, 16, 3)).astype(np.uint8)
    film[::2, ::2, :2, :2] = 250
    ranges = np.stack([film.min(axis=(2, 3, 4)), film.max(axis=(2, 3, 4))], axis=-1)
    shown = np.stack([stretched(frame) for frame in film.reshape(-1, 16, 16, 3)]).reshape(
        film.shape
    )
    expected = film_features(film, name, 0.5)
    np.testing.assert_allclose(film_features(shown, name, 0.5, ranges), expected, atol=1e-5)
    assert np.abs(film_features(shown, name, 0.5) - expected).max() > 0.01


def test_ridge_regressions_learn_from_the_chunks_that_networks_learn_from(monkeypatch):
    """The chunks that choose a network's epoch are no training chunks of its rivals either."""
    script = runpy.run_path(str(ROOT / "studies" / "film_encoding" / "4-score_predictions.py"))
    names, learnt = script["fit_ridge"].__globals__, []

    def fit_banded(bands, bold, blocks, n_tries, seed):
        learnt.append(bold)
        return np.zeros(0), np.zeros(0)

    stubs = {
        "fit_banded": fit_banded, "fit_frames": lambda bold, *_: learnt.append(bold),
        "write_npy": lambda *_: None, "write_json": lambda *_: None, "shares_file": lambda *_: None,
    }  # fmt: skip
    for name, stub in stubs.items():
        monkeypatch.setitem(names, name, stub)
    cfg = SimpleNamespace(
        N_FOLDS=2, SELECTION="inner", INNER_SHARE=0.25, EMBARGO_TRS=3, RIDGE_FEATURES=(), N_RIDGE_TRIES=1, SEED=0,
        N_COMPONENTS=2, RIDGE_DELAYS_TRS=(0, 1), FRAMES_PER_TR=1, SUBJECTS=("mean",),
    )  # fmt: skip
    data = SimpleNamespace(
        chunks=(),
        bold=lambda table: table["chunk"].to_numpy(),
        targets=lambda table, _: np.zeros(1),
    )
    fake = SimpleNamespace(
        cfg=cfg,
        folder=None,
        data=lambda *_: data,
        variant=lambda name: None,
        ridge_file=lambda *_: None,
    )
    fold = make_folds({"a": 40, "b": 40}, "film", cfg)[0]  # "b" is learnt from
    script["fit_ridge"](fake, (fold, "mean"))
    assert len(learnt) == 3 and all(rows.tolist() == list(range(27)) for rows in learnt)
