"""Study "seen images": identification, retrieval, intervals and pairings against brute force; patterns; score networks."""

import itertools
from math import comb
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial import distance

torch = pytest.importorskip("torch", reason="needs the extras of seen images: make images-test")
pytest.importorskip("skimage", reason="needs the extras of seen images: make images-test")

from neuroface import NeuroFaceError  # noqa: E402
from seen_images import features  # noqa: E402
from seen_images.patterns import Scaler, mean_of_repeats, reliability  # noqa: E402
from seen_images.picture_report import describe_scores  # noqa: E402
from seen_images.picture_scores import PAIRINGS, shuffled_pairings, table_of_scores  # noqa: E402
from seen_images.pictures import colour_of_shape, draw_scene, random_scenes  # noqa: E402
from seen_images.pixel_scores import at_size, pair_scores, pairwise_measures  # noqa: E402
from seen_images.scores import (  # noqa: E402
    bootstrap_times,
    derangements,
    excess_influence,
    exchange_p,
    feature_correlation,
    interval_of_mean,
    interval_of_share,
    retrieval,
    retrieval_influence,
    retrieval_of_pairing,
    similarity,
    two_way,
    two_way_influence,
    two_way_of_pairing,
)

torch.set_num_threads(1)  # two test processes


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# ---------------------------------------------------------------- identification and retrieval


def test_similarity_is_the_correlation_of_rows(rng):
    a, b = rng.standard_normal((4, 9)), rng.standard_normal((3, 9))
    assert np.allclose(similarity(a, b), np.corrcoef(a, b)[:4, 4:])
    assert not similarity(np.ones((2, 5)), rng.standard_normal((2, 5))).any()


def test_two_way_identification_counts_pairs_and_halves_ties():
    similar = np.array([[0.9, 0.1, 0.2], [0.5, 0.5, 0.1], [0.7, 0.8, 0.3]])
    assert two_way(similar).tolist() == [1.0, 0.75, 0.0]
    assert two_way(np.zeros((4, 4))).tolist() == [0.5] * 4  # a constant prediction is at chance


def test_retrieval_is_the_mean_over_all_sets_of_others(rng):
    similar = np.round(rng.standard_normal((7, 7)), 1)
    similar[2] = similar[2, 2]  # all tied
    for n in (2, 3, 5, 7):
        expected = []
        for own in range(7):
            wins = []
            for others in itertools.combinations([k for k in range(7) if k != own], n - 1):
                rivals = similar[own, list(others)]
                tied = (rivals == similar[own, own]).sum()
                wins.append(0 if (rivals > similar[own, own]).any() else 1 / (1 + tied))
            assert len(wins) == comb(6, n - 1)
            expected.append(np.mean(wins))
        assert np.allclose(retrieval(similar, n), expected)


def test_the_correlation_of_latents_is_that_of_himalaya(rng):
    from himalaya.scoring import correlation_score

    seen, decoded = rng.standard_normal((2, 30, 6))
    once = feature_correlation(decoded, seen, np.ones((1, 30)))
    assert once[0] == pytest.approx(correlation_score(seen, decoded).mean())
    drawn = rng.integers(30, size=30)
    again = feature_correlation(decoded, seen, np.bincount(drawn, minlength=30)[None])
    assert again[0] == pytest.approx(correlation_score(seen[drawn], decoded[drawn]).mean())
    assert feature_correlation(np.zeros_like(seen), seen, np.ones((1, 30)))[0] == 0


def test_intervals_of_means_are_those_of_a_normal_mean(rng):
    values = rng.standard_normal(400)
    mean, low, high = interval_of_mean(values, bootstrap_times(400, 4000, 1))
    assert mean == pytest.approx(values.mean())
    half = 1.96 * values.std() / 20
    assert low == pytest.approx(mean - half, abs=0.01) and high == pytest.approx(
        mean + half, abs=0.01
    )


def test_pairings_leave_no_image_in_its_place_and_choose_all_others_alike():
    pairings = derangements(5, 4000, 0)
    assert all(sorted(row) == [0, 1, 2, 3, 4] for row in pairings)
    counts = np.stack([np.bincount(pairings[:, place], minlength=5) for place in range(5)])
    assert not np.diag(counts).any()
    assert np.allclose(counts[~np.eye(5, dtype=bool)] / 4000, 0.25, atol=0.03)


# ---------------------------------------------------------------- images as rivals and in wrong
# pairs


def left_out(similar, image):
    return np.delete(np.delete(similar, image, axis=0), image, axis=1)


@pytest.mark.parametrize(
    "score, influence",
    [
        (two_way, two_way_influence),
        (lambda s: retrieval(s, 3), lambda s: retrieval_influence(s, 3)),
    ],
    ids=["two-way", "retrieval"],
)
def test_contributions_are_those_of_leaving_an_image_out_of_rows_and_columns(rng, score, influence):
    similar = np.round(rng.standard_normal((9, 9)) + np.eye(9), 1)  # with ties
    mean = score(similar).mean()
    jackknife = np.array(
        [9 * mean - 8 * score(left_out(similar, image)).mean() for image in range(9)]
    )
    found = influence(similar)
    assert np.allclose(
        found, jackknife - jackknife.mean() + mean
    ) and found.mean() == pytest.approx(mean)


def test_a_picture_that_never_changes_is_at_chance_without_error(rng):
    """Its rank differs between images, but the mean over images cannot: what one image wins another one loses."""
    similar = np.repeat(rng.standard_normal((1, 40)), 40, axis=0)
    assert np.ptp(two_way(similar)) == 1
    assert interval_of_share(two_way_influence(similar)) == pytest.approx((0.5, 0.5, 0.5))
    assert np.allclose(retrieval_influence(similar, 5), 0.2)
    assert exchange_p([similar], 50, 0) == 1


def test_intervals_of_shares_stay_between_0_and_1():
    assert interval_of_share(np.ones(60)) == pytest.approx((1, 0.025 ** (1 / 60), 1))
    assert interval_of_share(np.zeros(60)) == pytest.approx((0, 0, 1 - 0.025 ** (1 / 60)))
    share = np.repeat([1.0, 0.9], [55, 5])
    mean, low, high = interval_of_share(share)
    error = share.std(ddof=1) / np.sqrt(60)
    assert mean == pytest.approx(0.9917, abs=1e-4) and low < mean < high < 1
    assert mean - low > 2 * error > high - mean  # longer towards the middle


def test_intervals_of_shares_near_1_cover_although_hard_images_are_rare():
    """Images differ in how typical and how well decoded they are. The plain t interval of log-odds covers in 84 to 86 %."""
    rng = np.random.default_rng(0)

    def contributions(n_images):
        seen = rng.standard_normal((n_images, 20)) + rng.uniform(0, 4, (n_images, 1)) * np.cos(
            np.arange(20)
        )
        noise = 0.85 * rng.uniform(0.3, 1.7, (n_images, 1)) * rng.standard_normal(seen.shape)
        return two_way_influence(similarity(seen + noise, seen))

    truth = np.mean([contributions(300).mean() for _ in range(60)])
    covered = [
        low <= truth <= high
        for _, low, high in (interval_of_share(contributions(100)) for _ in range(400))
    ]
    assert truth == pytest.approx(0.994, abs=0.001) and 0.93 < np.mean(covered) <= 0.99


def test_what_other_brains_decoded_is_at_chance_however_good_the_decoder_is(rng):
    """Over all pairings, and without the picture that the other person saw as a rival: exactly one half, and one in n."""
    similar = rng.standard_normal((7, 7)) + 3 * np.eye(7)
    pairings = np.stack([np.roll(np.arange(7), shift) for shift in range(1, 7)])
    assert two_way(similar).mean() > 0.9
    assert np.mean([two_way_of_pairing(similar, pairing) for pairing in pairings]) == pytest.approx(
        0.5
    )
    assert np.mean(
        [retrieval_of_pairing(similar, pairing, 3) for pairing in pairings]
    ) == pytest.approx(1 / 3)
    with_own = np.mean([two_way(similar[pairing]) for pairing in pairings])
    assert with_own < 0.47  # what the row said before


def test_the_excess_over_wrong_pairs_counts_an_image_three_times(rng):
    scores = rng.standard_normal((6, 6))  # row: drawn, column: seen
    pairings = np.stack(
        [np.roll(np.arange(6), shift) for shift in range(1, 6)]
    )  # every wrong pair once
    others = np.stack([scores[pairing, np.arange(6)] for pairing in pairings])
    found = excess_influence(np.diag(scores), others, pairings)
    wrong = scores.copy()
    np.fill_diagonal(wrong, 0)
    for image in range(6):
        as_seen, as_drawn = wrong[:, image].sum() / 5, wrong[image].sum() / 5
        assert found[image] == pytest.approx(
            scores[image, image] - as_seen - as_drawn + wrong.sum() / 30
        )
    assert found.mean() == pytest.approx(np.diag(scores).mean() - wrong.sum() / 30)


def test_p_of_identification_is_the_share_of_pairings_at_least_as_good(rng):
    assert exchange_p([rng.standard_normal((20, 20)) + 4 * np.eye(20)], 199, 0) == 1 / 200
    null = [exchange_p([rng.standard_normal((12, 12))], 49, seed) for seed in range(200)]
    assert np.mean(np.array(null) <= 0.1) == pytest.approx(0.1, abs=0.06)


# ---------------------------------------------------------------- the table of scores


CFG = SimpleNamespace(
    N_SHUFFLES=50, SEED=0, N_BOOTSTRAP=500, RETRIEVAL_N=5, DRAWINGS="each", DEVICE="cpu", DATASET="demo", SCORE_PIXELS=32,
    DRAW_PIXELS=32,
)  # fmt: skip
SSIM = "SSIM (32 px, Gaussian window)"


def changed(**values):
    return SimpleNamespace(**vars(CFG) | values)


def toy_features(rng, n=12, noise=0.5):
    seen = rng.standard_normal((n, 1, 20))
    drawn = seen + noise * rng.standard_normal((n, 3, 20))
    return {
        ("seen", "CLIP"): seen,
        ("decoded", "CLIP"): drawn,
        ("mean picture", "CLIP"): np.ones((n, 1, 20)),
    }


def toy_pairs(rng, n=12):
    mean = rng.uniform(0.4, 0.6, size=(1, n))
    return {
        ("decoded", SSIM): rng.uniform(0, 0.3, size=(1 + PAIRINGS, n)),
        ("mean picture", SSIM): mean,
    }


def test_shuffled_brains_are_at_chance_and_good_drawings_are_not(rng):
    images, pairs = [f"i{n}" for n in range(12)], toy_pairs(rng)
    scores, per_image = table_of_scores(toy_features(rng), pairs, images, CFG)
    table = scores.set_index(["kind", "measure"])
    drawn = table.loc[("decoded", "CLIP two-way")]
    assert (
        drawn["value"] > 0.95 and drawn["low"] > 0.7 and drawn["p"] == 1 / 51 and drawn["evidence"]
    )
    assert drawn["difference"] == drawn["value"] - 0.5
    shuffled = table.loc[("shuffled brains", "CLIP two-way")]
    assert (
        shuffled["value"] == pytest.approx(0.5, abs=0.05)
        and shuffled["low"] < shuffled["value"] < shuffled["high"]
    )
    mean = table.loc[("mean picture", "CLIP two-way")]
    assert mean["value"] == 0.5 and mean["p"] == 1 and not mean["evidence"]
    assert table.loc[("mean picture", "CLIP retrieval among 5"), "value"] == pytest.approx(0.2)
    own, row = pairs["decoded", SSIM], table.loc[("decoded", SSIM)]
    assert row["value"] == pytest.approx(own[0].mean())
    assert row["difference"] == pytest.approx(own[0].mean() - own[1:].mean())
    assert row["from_mean_picture"] == pytest.approx(
        (own[0] - pairs["mean picture", SSIM][0]).mean()
    )
    of_images = per_image[(per_image["kind"] == "decoded") & (per_image["measure"] == SSIM)]
    assert of_images["value"].tolist() == own[0].tolist()
    assert np.isnan(table.loc[("shuffled brains", SSIM), "low"])  # 20 pairings are no interval


@pytest.mark.parametrize("above_mean", [-0.2, 0.2])
def test_a_pixel_score_is_evidence_only_above_the_mean_picture_too(rng, above_mean):
    """The mean picture holds nothing of a brain and is better than shuffled brains."""
    pairs = {
        ("decoded", SSIM): np.zeros((1 + PAIRINGS, 30)),
        ("mean picture", SSIM): rng.uniform(0.4, 0.6, (1, 30)),
    }
    pairs["decoded", SSIM][1:] = rng.uniform(0, 0.1, (PAIRINGS, 30))
    pairs["decoded", SSIM][0] = (
        pairs["mean picture", SSIM][0] + above_mean + rng.uniform(-0.05, 0.05, 30)
    )
    scores, _ = table_of_scores({}, pairs, [f"i{n}" for n in range(30)], CFG)
    table = scores.set_index(["kind", "measure"])
    assert (
        table.loc[("mean picture", SSIM), "difference_low"] > 0
        and not table.loc[("mean picture", SSIM), "evidence"]
    )
    assert table.loc[("decoded", SSIM), "difference_low"] > 0
    assert table.loc[("decoded", SSIM), "evidence"] == (above_mean > 0)


def test_features_of_drawings_may_be_averaged_as_in_the_publication(rng):
    found, images = toy_features(rng, noise=2.0), [f"i{n}" for n in range(12)]
    each, averaged = (
        table_of_scores(found, {}, images, cfg)[0].set_index(["kind", "measure"])["value"]
        for cfg in (CFG, changed(DRAWINGS="mean"))
    )
    key = ("decoded", "CLIP two-way")
    expected = two_way(
        similarity(found["decoded", "CLIP"].mean(axis=1), found["seen", "CLIP"][:, 0])
    ).mean()
    assert averaged[key] == pytest.approx(expected) and averaged[key] > each[key]


def test_pairings_of_pictures_begin_with_the_right_pairs():
    pairings = shuffled_pairings(6, True, CFG)
    assert pairings[0].tolist() == list(range(6)) and len(pairings) == 21
    assert shuffled_pairings(6, False, CFG).tolist() == [list(range(6))]


@pytest.mark.parametrize("dataset, published", [("demo", False), ("nsd", True)])
def test_the_report_has_identification_first_and_published_numbers_beside_their_data_only(
    rng, tmp_path, dataset, published
):
    images, pairs, cfg = [f"i{n}" for n in range(12)], toy_pairs(rng), changed(DATASET=dataset)
    scores, _ = table_of_scores(toy_features(rng), pairs, images, cfg)
    (tmp_path / "brain.tsv").write_text(
        "part\tkind\tvalue\tlow\thigh\tdifference_value\tdifference_low\tdifference_high\n"
        "early\tdecoded\t0.5\t0.4\t0.6\t0.2\t0.1\t0.3\n"
    )
    section = describe_scores(tmp_path, scores, cfg)
    assert any("+0.200 [+0.100, +0.300]" in str(block) for block in section.blocks)
    tables = [block for block in section.blocks if block["kind"] == "table"]
    assert "two-way" in tables[0]["columns"][1] and "SSIM" in tables[1]["columns"][1]
    page = str(section.blocks)
    assert ("0.3246" in page and "0.6696" in page) == published
    assert "cannot be compared with published ones" in page  # 32 pixels
    assert ("the demo's own CLIP two-way" in page) == (dataset == "demo")


# ---------------------------------------------------------------- measures of pairs of pictures


def test_structural_similarity_is_1_for_the_same_picture(rng):
    picture = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    made = pair_scores(SSIM, np.stack([picture, 255 - picture]), picture, {}, CFG)
    assert made[0] == pytest.approx(1, abs=1e-5) and made[1] < 0


def test_pixel_scores_are_the_fields_and_the_publications_definitions():
    """A drawing with the right blur and a wrong texture, 512 pixels: the definitions differ by as much as methods do."""
    from scipy.ndimage import gaussian_filter
    from skimage.color import rgb2gray
    from skimage.metrics import structural_similarity

    y, x = np.mgrid[:512, :512] / 512
    seen = np.stack([0.5 + 0.3 * np.sin(9 * x + k) * np.cos(7 * y) for k in range(3)], axis=2)
    noise = np.random.default_rng(0).standard_normal((2, 512, 512, 1))
    seen, drawn = (np.clip(seen + 2 * gaussian_filter(one, (2, 2, 0)), 0, 1) for one in noise)
    seen, drawn = (np.round(255 * picture).astype(np.uint8) for picture in (seen, drawn))
    cfg = changed(DATASET="nsd", SCORE_PIXELS=425, DRAW_PIXELS=512)
    names = pairwise_measures({}, cfg)
    assert names == ["pixel correlation (425 px)", "SSIM (425 px, Gaussian window)", "pixel correlation (512 px)",
                     "SSIM (512 px, 7 × 7 window)"]  # fmt: skip
    found = [pair_scores(name, drawn[None], seen, {}, cfg)[0] for name in names]
    small = [at_size(picture[None], 425)[0] for picture in (drawn, seen)]
    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    expected = [
        np.corrcoef(*(picture.ravel() for picture in small))[0, 1],
        structural_similarity(*map(rgb2gray, small), data_range=1, **window),
        np.corrcoef(drawn.ravel(), seen.ravel())[0, 1],
        structural_similarity(*map(rgb2gray, (drawn, seen)), data_range=1),
    ]
    assert np.allclose(found, expected, atol=1e-4)
    at_64 = pair_scores(
        "pixel correlation (64 px)", drawn[None], seen, {}, changed(SCORE_PIXELS=64)
    )[0]
    assert at_64 > found[0] + 0.1 and abs(found[3] - found[1]) > 0.005


def test_pictures_are_resized_by_bilinear_interpolation():
    picture = np.zeros((2, 2, 3), np.uint8)
    picture[:, 1] = 255
    row = at_size(picture[None], 4)[0, 0, :, 0]
    assert np.allclose(row, [0, 0.25, 0.75, 1])  # by hand: pixel centres, edges repeated


def test_the_colour_of_a_shape_is_that_of_the_scene(rng):
    scenes = list(random_scenes(100, rng).itertuples(index=False))
    pictures = [draw_scene(scene, rng) for scene in scenes]
    assert (
        np.mean(
            [colour_of_shape(picture) == scene.colour for picture, scene in zip(pictures, scenes)]
        )
        > 0.95
    )
    other = next(k for k, scene in enumerate(scenes) if scene.colour != scenes[0].colour)
    drawn = np.stack([pictures[0], pictures[other]])
    assert pair_scores("colour of the shape", drawn, pictures[0], {}, CFG).tolist() == [1, 0]


def test_networks_are_given_pictures_in_0_to_1():
    """Before they are centred by their means and SDs; the publication's EfficientNet distances were of 0 … 255."""
    given = []

    class Spy(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))

        def forward(self, pictures):
            given.append(pictures)
            return pictures.flatten(1)

    network = features.Network(Spy(), 2, ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25)))
    picture = np.array([0, 255], np.uint8).repeat(6).reshape(1, 2, 2, 3)
    features.features_of(network, picture, 1)
    assert given[0].min() == -2 and given[0].max() == 2


def test_features_that_are_not_finite_stop_the_script():
    class Broken(torch.nn.Linear):
        def forward(self, pictures):
            return super().forward(pictures.flatten(1))

    broken = Broken(12, 2)
    broken.weight.data.fill_(float("nan"))
    network = features.Network(broken, 2, features.IMAGENET)
    with pytest.raises(NeuroFaceError, match="Broken, cpu. made features that are not finite"):
        features.features_of(network, np.zeros((1, 2, 2, 3), np.uint8), 1)


# ---------------------------------------------------------------- patterns


def trials_of_two_sessions(rng):
    parts = np.array(["early", "early", "higher"])
    sessions = {"a": rng.normal(3, 2, (40, 3)), "b": rng.normal(-1, 5, (30, 3))}
    return parts, {name: trials.astype(np.float32) for name, trials in sessions.items()}


def scaled(method, rng):
    parts, sessions = trials_of_two_sessions(rng)
    scaler = Scaler(method, parts)
    for name, trials in sessions.items():
        scaler.fit(name, trials)
    return (
        parts,
        sessions,
        {name: scaler.transform(name, trials) for name, trials in sessions.items()},
        scaler,
    )


def test_voxels_are_standardised_on_all_training_trials(rng):
    _, sessions, made, _ = scaled("voxel", rng)
    joined = np.concatenate(list(sessions.values())).astype(float)
    expected = (joined - joined.mean(axis=0)) / joined.std(axis=0)
    assert np.allclose(np.concatenate(list(made.values())), expected, atol=1e-5)


def test_voxels_may_be_standardised_within_sessions(rng):
    _, _, made, _ = scaled("session", rng)
    for trials in made.values():
        assert np.allclose(trials.mean(axis=0), 0, atol=1e-5) and np.allclose(
            trials.std(axis=0), 1, atol=1e-5
        )


def test_global_scaling_is_that_of_the_publication(rng):
    parts, sessions, made, scaler = scaled("global", rng)
    joined = np.concatenate(list(sessions.values())).astype(float)
    for part in ("early", "higher"):
        values = joined[:, parts == part]
        expected = (values - values.mean()) / values.std()
        assert np.allclose(
            np.concatenate(list(made.values()))[:, parts == part], expected, atol=1e-5
        )
    test, trials = scaler.finish_test(made["a"][:7], made["a"])
    assert np.array_equal(trials[:7], test)
    for part in ("early", "higher"):
        assert test[:, parts == part].mean() == pytest.approx(0, abs=1e-5)
        assert test[:, parts == part].std() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("method", ["voxel", "session", "global"])
def test_a_voxel_that_never_changes_in_training_counts_as_0(rng, method):
    """Also where it changes among test trials, as in session b, which has no other trials."""
    parts = np.array(["early", "early", "higher"])
    scaler = Scaler(method, parts)
    train = rng.normal(5, 2, (9, 3)).astype(np.float32)
    train[:, 0] = 4
    tests = rng.normal(5, 2, (12, 3)).astype(np.float32)
    scaler.fit("a", train)
    scaler.fit("b", tests[:0])
    made = [scaler.transform("a", train), scaler.transform("b", tests)]
    made += scaler.finish_test(made[1], made[1])
    assert scaler.constant.tolist() == [True, False, False]
    for values in made:
        assert not values[:, 0].any() and np.isfinite(values).all()
        assert values[:, 1:].std(axis=0).min() > 0.1


def test_a_part_of_which_no_voxel_changes_counts_as_0(rng):
    scaler = Scaler("global", np.array(["early", "early", "higher"]))
    train = np.column_stack([np.full((9, 2), 0.1), rng.standard_normal(9)]).astype(np.float32)
    scaler.fit("a", train)
    made = scaler.transform("a", train)
    means, _ = scaler.finish_test(made, made)
    assert not made[:, :2].any() and not means[:, :2].any() and np.isfinite(means).all()
    assert made[:, 2].std() == pytest.approx(1, abs=1e-5)


def test_repeats_are_averaged_in_the_order_of_their_first_trial():
    trials, images = np.array([[1.0], [2], [3], [5]]), np.array(["b", "a", "b", "a"])
    names, means = mean_of_repeats(trials, images)
    assert names.tolist() == ["b", "a"] and means.ravel().tolist() == [2, 3.5]


def test_reliability_is_the_correlation_of_odd_and_even_trials(rng):
    images = np.tile([f"i{n}" for n in range(30)], 4)
    signal = rng.standard_normal((30, 2)) * [1, 0]
    trials = np.tile(signal, (4, 1)) + 0.5 * rng.standard_normal((120, 2))
    odd, even = (
        np.stack([trials[images == f"i{n}"][half::2].mean(axis=0) for n in range(30)])
        for half in (0, 1)
    )
    expected = [np.corrcoef(odd[:, k], even[:, k])[0, 1] for k in range(2)]
    assert np.allclose(reliability(trials, images), expected)
    assert np.isnan(reliability(trials[:30], images[:30])).all()  # single trials


# ---------------------------------------------------------------- networks that score


def lpips_state(seed=0):
    """As ``lpips.LPIPS(net="alex").state_dict()`` names them; random weights."""
    torch.manual_seed(seed)
    state = {}
    for number, (piece, index, n_in, n_out, kernel, *_) in enumerate(features.Lpips.LAYERS):
        state[f"net.slice{piece}.{index}.weight"] = (
            torch.randn(n_out, n_in, kernel, kernel) / (n_in * kernel**2) ** 0.5
        )
        state[f"net.slice{piece}.{index}.bias"] = 0.1 * torch.randn(n_out)
        state[f"lin{number}.model.1.weight"] = torch.rand(1, n_out, 1, 1)
    state["scaling_layer.shift"] = torch.tensor([-0.030, -0.088, -0.188])[None, :, None, None]
    state["scaling_layer.scale"] = torch.tensor([0.458, 0.448, 0.450])[None, :, None, None]
    return state


def test_the_perceptual_distance_is_0_for_the_same_picture_and_symmetric():
    network = features.Lpips(lpips_state()).eval()
    a, b = torch.rand(2, 2, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        assert not network(a, a).any()
        assert torch.allclose(network(a, b), network(b, a)) and (network(a, b) > 0).all()


def test_networks_whose_weights_are_not_at_hand_are_named(tmp_path):
    there, left_out = features.networks_at_hand(None, str(tmp_path))
    assert list(there) == ["EfficientNet-Lite0"]
    assert [name for name, _ in left_out] == ["EfficientNetV2-S", "CLIP", "LPIPS", "AlexNet(2)", "AlexNet(5)",
                                              "Inception v3", "EfficientNet-B1", "SwAV"]  # fmt: skip
    assert "lpips_alex.safetensors in SCORES_DIR = None" in dict(left_out)["LPIPS"]
    from safetensors.torch import save_file

    save_file(lpips_state(), tmp_path / "lpips_alex.safetensors")
    there, left_out = features.networks_at_hand(str(tmp_path), str(tmp_path))
    assert "LPIPS" in there and "LPIPS" not in dict(left_out)
    (tmp_path / "lpips_alex.safetensors").write_bytes(b"no weights")
    with pytest.raises(NeuroFaceError, match="LPIPS: .* cannot be loaded"):
        features.open_lpips(str(tmp_path / "lpips_alex.safetensors"), "cpu")


def test_efficientnet_lite0_tells_textures_apart_and_runs_nothing_from_its_file():
    """Its weights were learnt: two crops of one texture are more alike than two textures."""
    network = features.open_network("EfficientNet-Lite0", "", "cpu")
    y, x = np.mgrid[:64, :64]
    stripes = [
        np.repeat((127 + 120 * np.sin(x / 3 + phase))[..., None], 3, axis=2) for phase in (0, 2)
    ]
    checks = [
        np.repeat((((x + s) // 8 + y // 8) % 2 * 255.0)[..., None], 3, axis=2) for s in (0, 3)
    ]
    found = features.features_of(network, np.stack(stripes + checks).astype(np.uint8), 4)
    assert found.shape == (4, 1280)
    r = np.corrcoef(found)
    assert min(r[0, 1], r[2, 3]) > max(r[0, 2], r[0, 3], r[1, 2], r[1, 3])


def test_efficientnet_v2_s_loads_from_safetensors(tmp_path):
    if not features._has_torchvision():
        pytest.skip("torchvision cannot be imported beside this PyTorch")
    from safetensors.torch import save_file
    from torchvision.models import efficientnet_v2_s

    save_file(
        efficientnet_v2_s(weights=None).state_dict(), tmp_path / "efficientnet_v2_s.safetensors"
    )
    there, _ = features.networks_at_hand(str(tmp_path), str(tmp_path))
    network = features.open_network("EfficientNetV2-S", there["EfficientNetV2-S"], "cpu")
    assert features.features_of(network, np.zeros((1, 64, 64, 3), np.uint8), 1).shape == (1, 1280)


# ---------------------------------------------------------------- the field's eight measures


def alexnet_state(seed=0):
    """Random weights under the names of torchvision's AlexNet."""
    torch.manual_seed(seed)
    sizes = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)}
    state = {}
    for index, (n_out, n_in, kernel) in sizes.items():
        state[f"features.{index}.weight"] = 0.05 * torch.randn(n_out, n_in, kernel, kernel)
        state[f"features.{index}.bias"] = 0.05 * torch.randn(n_out)
    return state


@pytest.mark.parametrize("depth, index", [(2, 4), (5, 11)])
def test_alexnets_layers_are_those_of_its_published_order(depth, index):
    """torchvision's ``features``: convolutions at 0, 3, 6, 8, 10, ReLUs after each, pooling at 2 and 5."""
    nn, state = torch.nn, alexnet_state()
    layers = [nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(64, 192, 5, 1, 2), nn.ReLU(),
              nn.MaxPool2d(3, 2), nn.Conv2d(192, 384, 3, 1, 1), nn.ReLU(), nn.Conv2d(384, 256, 3, 1, 1), nn.ReLU(),
              nn.Conv2d(256, 256, 3, 1, 1), nn.ReLU()]  # fmt: skip
    whole = nn.Sequential(*layers)
    whole.load_state_dict({name.removeprefix("features."): v for name, v in state.items()})
    pictures = torch.rand(2, 3, 96, 96)
    with torch.no_grad():
        expected = whole[: index + 1](pictures).flatten(1)
        assert torch.allclose(features.AlexNet(state, depth)(pictures), expected, atol=1e-5)


def test_the_fields_networks_are_found_and_left_out_one_by_one(tmp_path):
    from safetensors.torch import save_file

    save_file(alexnet_state(), tmp_path / "alexnet.safetensors")
    there, left_out = features.networks_at_hand(str(tmp_path), None)
    assert {"AlexNet(2)", "AlexNet(5)"} <= set(there)
    reasons = dict(left_out)
    for name, file in (
        ("Inception v3", "inception_v3"),
        ("EfficientNet-B1", "efficientnet_b1"),
        ("SwAV", "swav_resnet50"),
    ):
        assert f"{file}.safetensors in SCORES_DIR" in reasons[name]
    network = features.open_network("AlexNet(2)", there["AlexNet(2)"], "cpu")
    pictures = np.random.default_rng(0).integers(0, 256, (1, 40, 40, 3)).astype(np.uint8)
    assert network.pixels == 256 and network.resize == "bilinear"
    assert features.features_of(network, pictures, 1).shape == (1, 192 * 31 * 31)


def test_identification_and_distance_are_the_fields_definitions(rng):
    """MindEye2's share of other pictures whose features correlate less, per drawing; scipy's correlation distance."""
    seen, drawn = rng.standard_normal((12, 30)), rng.standard_normal((12, 30))
    drawn += seen
    r = np.corrcoef(seen, drawn)[:12, 12:]  # rows: seen, columns: drawn
    of_field = (r < np.diag(r)).sum(axis=0) / 11
    assert np.allclose(two_way(similarity(drawn, seen)), of_field)
    distances = [distance.correlation(a, b) for a, b in zip(drawn, seen)]
    values = {
        ("seen", "SwAV"): seen[:, None],
        ("decoded", "SwAV"): drawn[:, None],
        ("mean picture", "SwAV"): seen[:, None],
    }
    cfg = SimpleNamespace(DRAWINGS="each", RETRIEVAL_N=5, N_SHUFFLES=20, N_BOOTSTRAP=100, SEED=0)
    scores, _ = table_of_scores(values, {}, [str(n) for n in range(12)], cfg)
    found = scores.set_index(["kind", "measure"])["value"]
    assert found["decoded", "SwAV distance"] == pytest.approx(np.mean(distances))
    assert found["decoded", "SwAV two-way"] == pytest.approx(of_field.mean())


def test_the_fields_networks_have_two_way_identification_alone_where_no_distance_is_reported(rng):
    seen, drawn = rng.standard_normal((2, 8, 1, 9))
    values = {
        (kind, "AlexNet(2)"): v
        for kind, v in (("seen", seen), ("decoded", drawn), ("mean picture", drawn))
    }
    cfg = SimpleNamespace(DRAWINGS="each", RETRIEVAL_N=5, N_SHUFFLES=20, N_BOOTSTRAP=100, SEED=0)
    scores, _ = table_of_scores(values, {}, [str(n) for n in range(8)], cfg)
    assert set(scores["measure"]) == {"AlexNet(2) two-way"}
