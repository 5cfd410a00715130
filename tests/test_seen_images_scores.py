"""Study "seen images": identification, retrieval, intervals and pairings against brute force; patterns; score networks."""

import itertools
import sys
from math import comb
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import ROOT

torch = pytest.importorskip("torch", reason="needs the extras of seen images: make images-test")
pytest.importorskip("skimage", reason="needs the extras of seen images: make images-test")
sys.path.insert(0, str(ROOT / "studies" / "seen_images"))

from neuroface import NeuroFaceError  # noqa: E402

from seen_images import features  # noqa: E402
from seen_images.patterns import Scaler, mean_of_repeats, reliability  # noqa: E402
from seen_images.picture_scores import pair_scores, shuffled_pairings, table_of_scores  # noqa: E402
from seen_images.scores import (  # noqa: E402
    bootstrap_times,
    derangements,
    feature_correlation,
    interval_of_mean,
    retrieval,
    similarity,
    two_way,
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
    assert low == pytest.approx(mean - half, abs=0.01) and high == pytest.approx(mean + half, abs=0.01)


def test_pairings_leave_no_image_in_its_place_and_choose_all_others_alike():
    pairings = derangements(5, 4000, 0)
    assert all(sorted(row) == [0, 1, 2, 3, 4] for row in pairings)
    counts = np.stack([np.bincount(pairings[:, place], minlength=5) for place in range(5)])
    assert not np.diag(counts).any()
    assert np.allclose(counts[~np.eye(5, dtype=bool)] / 4000, 0.25, atol=0.03)


# ---------------------------------------------------------------- the table of scores


CFG = SimpleNamespace(N_SHUFFLES=50, SEED=0, N_BOOTSTRAP=500, RETRIEVAL_N=5, DRAWINGS="each", DEVICE="cpu")


def toy_features(rng, n=12, noise=0.5):
    seen = rng.standard_normal((n, 1, 20))
    drawn = seen + noise * rng.standard_normal((n, 3, 20))
    return {("seen", "pixels"): seen, ("decoded", "pixels"): drawn, ("seen", "CLIP"): seen, ("decoded", "CLIP"): drawn,
            ("mean picture", "CLIP"): np.ones((n, 1, 20)), ("mean picture", "pixels"): np.ones((n, 1, 20))}  # fmt: skip


def test_shuffled_brains_are_at_chance_and_good_drawings_are_not(rng):
    images = [f"i{n}" for n in range(12)]
    pairs = {("decoded", "SSIM"): rng.uniform(size=(6, 12)), ("mean picture", "SSIM"): rng.uniform(size=(1, 12))}
    scores, per_image = table_of_scores(toy_features(rng), pairs, images, CFG)
    table = scores.set_index(["kind", "measure"])
    assert table.loc[("decoded", "CLIP two-way"), "low"] > 0.9
    # A derangement's mean is (n − 2 × share of own) / …: below one half, because the own one is among the rivals.
    shuffled = table.loc[("shuffled brains", "CLIP two-way")]
    assert 0.3 < shuffled["value"] < 0.55 and shuffled["low"] < shuffled["value"] < shuffled["high"]
    assert table.loc[("mean picture", "CLIP two-way"), "value"] == 0.5
    assert table.loc[("mean picture", "CLIP retrieval among 5"), "value"] == pytest.approx(0.2)
    own = pairs["decoded", "SSIM"]
    row = table.loc[("decoded", "SSIM")]
    assert row["value"] == pytest.approx(own[0].mean())
    assert row["difference"] == pytest.approx(own[0].mean() - own[1:].mean())
    of_images = per_image[(per_image["kind"] == "decoded") & (per_image["measure"] == "SSIM")]
    assert of_images["value"].tolist() == own[0].tolist()


def test_features_of_drawings_may_be_averaged_as_in_the_publication(rng):
    found, images = toy_features(rng, noise=2.0), [f"i{n}" for n in range(12)]
    mean = SimpleNamespace(**vars(CFG) | {"DRAWINGS": "mean"})
    each, averaged = (
        table_of_scores(found, {}, images, c)[0].set_index(["kind", "measure"])["value"] for c in (CFG, mean)
    )
    key = ("decoded", "CLIP two-way")
    expected = two_way(similarity(found["decoded", "CLIP"].mean(axis=1), found["seen", "CLIP"][:, 0])).mean()
    assert averaged[key] == pytest.approx(expected) and averaged[key] > each[key]


def test_pairings_of_pictures_begin_with_the_right_pairs():
    pairings = shuffled_pairings(6, True, CFG)
    assert pairings[0].tolist() == list(range(6)) and len(pairings) == 6
    assert shuffled_pairings(6, False, CFG).tolist() == [list(range(6))]


def test_structural_similarity_is_1_for_the_same_picture(rng):
    picture = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    made = pair_scores("SSIM", np.stack([picture, 255 - picture]), picture, {}, CFG)
    assert made[0] == pytest.approx(1) and made[1] < 0


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
    return parts, sessions, {name: scaler.transform(name, trials) for name, trials in sessions.items()}, scaler


def test_voxels_are_standardised_on_all_training_trials(rng):
    _, sessions, made, _ = scaled("voxel", rng)
    joined = np.concatenate(list(sessions.values())).astype(float)
    expected = (joined - joined.mean(axis=0)) / joined.std(axis=0)
    assert np.allclose(np.concatenate(list(made.values())), expected, atol=1e-5)


def test_voxels_may_be_standardised_within_sessions(rng):
    _, _, made, _ = scaled("session", rng)
    for trials in made.values():
        assert np.allclose(trials.mean(axis=0), 0, atol=1e-5) and np.allclose(trials.std(axis=0), 1, atol=1e-5)


def test_global_scaling_is_that_of_the_publication(rng):
    parts, sessions, made, scaler = scaled("global", rng)
    joined = np.concatenate(list(sessions.values())).astype(float)
    for part in ("early", "higher"):
        values = joined[:, parts == part]
        expected = (values - values.mean()) / values.std()
        assert np.allclose(np.concatenate(list(made.values()))[:, parts == part], expected, atol=1e-5)
    test = scaler.finish_test(made["a"][:7])
    for part in ("early", "higher"):
        assert test[:, parts == part].mean() == pytest.approx(0, abs=1e-5)
        assert test[:, parts == part].std() == pytest.approx(1, abs=1e-5)


def test_a_voxel_that_never_changes_counts_as_0(rng):
    scaler = Scaler("voxel", np.array(["early", "higher"]))
    trials = np.column_stack([np.full(9, 4.0), rng.standard_normal(9)]).astype(np.float32)
    scaler.fit("a", trials)
    assert not scaler.transform("a", trials + 1)[:, 0].any() and scaler.constant.tolist() == [True, False]


def test_repeats_are_averaged_in_the_order_of_their_first_trial():
    trials, images = np.array([[1.0], [2], [3], [5]]), np.array(["b", "a", "b", "a"])
    names, means = mean_of_repeats(trials, images)
    assert names.tolist() == ["b", "a"] and means.ravel().tolist() == [2, 3.5]


def test_reliability_is_the_correlation_of_odd_and_even_trials(rng):
    images = np.tile([f"i{n}" for n in range(30)], 4)
    signal = rng.standard_normal((30, 2)) * [1, 0]
    trials = np.tile(signal, (4, 1)) + 0.5 * rng.standard_normal((120, 2))
    odd, even = (np.stack([trials[images == f"i{n}"][half::2].mean(axis=0) for n in range(30)]) for half in (0, 1))
    expected = [np.corrcoef(odd[:, k], even[:, k])[0, 1] for k in range(2)]
    assert np.allclose(reliability(trials, images), expected)
    assert np.isnan(reliability(trials[:30], images[:30])).all()  # single trials


# ---------------------------------------------------------------- networks that score


def lpips_state(seed=0):
    """As ``lpips.LPIPS(net="alex").state_dict()`` names them; random weights."""
    torch.manual_seed(seed)
    state = {}
    for number, (piece, index, n_in, n_out, kernel, *_) in enumerate(features.Lpips.LAYERS):
        state[f"net.slice{piece}.{index}.weight"] = torch.randn(n_out, n_in, kernel, kernel) / (n_in * kernel**2) ** 0.5
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
    assert [name for name, _ in left_out] == ["EfficientNetV2-S", "CLIP", "LPIPS"]
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
    stripes = [np.repeat((127 + 120 * np.sin(x / 3 + phase))[..., None], 3, axis=2) for phase in (0, 2)]
    checks = [np.repeat((((x + s) // 8 + y // 8) % 2 * 255.0)[..., None], 3, axis=2) for s in (0, 3)]
    found = features.features_of(network, np.stack(stripes + checks).astype(np.uint8), 4)
    assert found.shape == (4, 1280)
    r = np.corrcoef(found)
    assert min(r[0, 1], r[2, 3]) > max(r[0, 2], r[0, 3], r[1, 2], r[1, 3])


def test_efficientnet_v2_s_loads_from_safetensors(tmp_path):
    if not features._has_torchvision():
        pytest.skip("torchvision cannot be imported beside this PyTorch")
    from safetensors.torch import save_file
    from torchvision.models import efficientnet_v2_s

    save_file(efficientnet_v2_s(weights=None).state_dict(), tmp_path / "efficientnet_v2_s.safetensors")
    there, _ = features.networks_at_hand(str(tmp_path), str(tmp_path))
    network = features.open_network("EfficientNetV2-S", there["EfficientNetV2-S"], "cpu")
    assert features.features_of(network, np.zeros((1, 64, 64, 3), np.uint8), 1).shape == (1, 1280)
