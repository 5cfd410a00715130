"""Study "seen images": its networks against torch_geometric and published sizes; ridge against scikit-learn; gradients."""

import tracemalloc

from neuroface import NeuroFaceError

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extras of seen images: make images-test")
pytest.importorskip("himalaya", reason="needs the extras of seen images: make images-test")

from seen_images.attribution import directions, integrated_gradients, without_regions  # noqa: E402
from seen_images.networks import (  # noqa: E402
    ChebyshevConvolution,
    Decoder,
    build,
    edges_of,
    load_decoder,
    n_parameters,
    save_decoder,
    scaled_laplacian,
)
from seen_images.options import PUBLISHED, options_of  # noqa: E402
from seen_images.training import (  # noqa: E402
    Watched,
    fit_ridge,
    inner_folds,
    inner_images,
    predict,
    ridge_gb,
    train_network,
)

CPU = torch.device("cpu")
torch.set_num_threads(1)  # two test processes


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# ---------------------------------------------------------------- the graph convolution


def symmetric_edges(rng, n=3):
    weights = rng.uniform(0.5, 1, (n, n))
    return np.triu(weights, 1) + np.triu(weights, 1).T


def as_pairs(edges):
    pairs = np.argwhere(edges)
    return torch.from_numpy(pairs.T.copy()), torch.from_numpy(edges[tuple(pairs.T)]).float()


@pytest.mark.parametrize("order", (1, 2, 3, 4))
def test_the_chebyshev_convolution_is_that_of_torch_geometric(rng, order):
    nn = pytest.importorskip("torch_geometric.nn", reason="needs torch-geometric: make images-test")
    ours, theirs = ChebyshevConvolution(7, 5, order), nn.ChebConv(7, 5, K=order)
    with torch.no_grad():
        for mine, other in zip(ours.weights, theirs.lins):
            mine.weight.copy_(other.weight)
        ours.bias.copy_(torch.randn(5))
        theirs.bias.copy_(ours.bias)
    edges = symmetric_edges(rng)
    x = torch.randn(6, 3, 7)
    pairs, weights = as_pairs(edges)
    expected = torch.stack([theirs(one, pairs, weights, lambda_max=2.0) for one in x])
    made = ours(x, torch.from_numpy(scaled_laplacian(edges)).float())
    assert torch.allclose(made, expected, atol=1e-5)


def test_one_way_edges_as_released_silence_the_last_node(rng):
    """README: the released code kept each edge in one direction; torch_geometric then gives V3+V4 no part in it."""
    nn = pytest.importorskip("torch_geometric.nn", reason="needs torch-geometric: make images-test")
    convolution = nn.ChebConv(4, 4, K=2)
    pairs, weights = as_pairs(np.triu(symmetric_edges(rng), 1))  # V1→V2, V1→V3+V4, V2→V3+V4
    x = torch.randn(3, 4)
    alone = x @ convolution.lins[0].weight.T + convolution.bias
    changed = (convolution(x, pairs, weights, lambda_max=2.0) - alone).abs().sum(dim=1) > 1e-6
    assert changed.tolist() == [False, True, False]


def test_eigenvalues_of_the_scaled_laplacian_lie_between_minus_one_and_one(rng):
    values = np.linalg.eigvalsh(scaled_laplacian(symmetric_edges(rng, 5)))
    assert values.min() == pytest.approx(-1) and values.max() <= 1  # L has the eigenvalue 0
    assert not scaled_laplacian(np.zeros((3, 3))).any()  # nodes without edges


def test_edges_are_correlations_of_node_means_beyond_the_threshold(rng):
    common = rng.standard_normal(200)
    near = common[:, None] + 0.1 * rng.standard_normal((200, 4))
    apart = rng.standard_normal((200, 3))
    voxels = np.concatenate([near, apart], axis=1)
    nodes = [np.array([0, 1]), np.array([2, 3]), np.array([4, 5, 6])]
    edges = edges_of(voxels, nodes, 0.5)
    expected = np.corrcoef(voxels[:, :2].mean(axis=1), voxels[:, 2:4].mean(axis=1))[0, 1]
    assert edges[0, 1] == pytest.approx(expected) and edges[1, 0] == pytest.approx(expected)
    assert edges[2].tolist() == [0, 0, 0] and not np.diag(edges).any()


# ---------------------------------------------------------------- sizes


def dense_parameters(*sizes):
    return sum((n_in + 1) * n_out for n_in, n_out in zip(sizes[:-1], sizes[1:]))


def test_the_published_networks_have_the_published_sizes():
    early, higher, latents, text = 10_631, 7_604, 6_400, 10_752
    nodes = [list(range(4308)), list(range(4308, 7224)), list(range(7224, early))]
    with torch.device("meta"):  # shapes alone, no weights
        image_cnn, mlp, vae = (
            build(name, early, latents, PUBLISHED[f"image:{name}"])
            for name in ("cnn", "mlp", "vae")
        )
        gcn = build("gcn", early, latents, PUBLISHED["image:gcn"], nodes)
        text_cnn = build("cnn", higher, text, PUBLISHED["text:cnn"])
    convolutions = (
        (64 + 64) + 2 * (64 * 64 * 11 + 64) + (64 + 1)
    )  # into, one block shared by two passes, out
    assert n_parameters(image_cnn) == convolutions + dense_parameters(early, 512, 512, latents)
    assert n_parameters(text_cnn) == 128 + 3 * (64 * 64 * 7 + 64) + 65 + dense_parameters(
        higher, 1024, 2048, text
    )
    graph = (
        (4 * 4308 * 512 + 512) + (3 * 512 * 512 + 512) + 2 * 512
    )  # Chebyshev, Chebyshev, batch normalisation
    along = (16 + 16) + (16 * 16 * 3 + 16) + (16 + 1)
    assert n_parameters(gcn) == graph + along + dense_parameters(512, 1024, latents)
    code = dense_parameters(early, 512, 256) + 2 * dense_parameters(256, latents)
    back = dense_parameters(latents, 4096, 4096, 4096, early) + 3 * 2 * 4096
    assert n_parameters(vae) == code + back
    assert n_parameters(mlp) == dense_parameters(early, 512, 512, latents)


SMALL = {
    "cnn": ("image:cnn", {"channels": 4, "dense": (8, 8)}),
    "mlp": ("image:mlp", {"dense": (8, 8)}),
    "vae": ("image:vae", {"encoder": (8, 8), "decoder": 8}),
    "gcn": ("image:gcn", {"width": 8, "dense": 8, "channels": 2}),
    "ridge": None,
}


def small(name, n_voxels=12, n_outputs=5):
    recipe = {"options": {}}
    if SMALL[name]:
        decoder, options = SMALL[name]
        recipe = {"options": options_of(decoder, {decoder: options})}
    if name == "gcn":
        recipe["nodes"] = [[0, 1, 2, 3, 4], [5, 6, 7], [8, 9, 10, 11]]
    torch.manual_seed(1)
    network = build(name, n_voxels, n_outputs, **recipe)
    if name == "gcn":
        edges = symmetric_edges(np.random.default_rng(2))
        network.laplacian.copy_(torch.from_numpy(scaled_laplacian(edges)))
    return network.eval(), recipe


@pytest.mark.parametrize("name", SMALL)
def test_a_decoder_comes_back_from_its_file_as_it_was(name, tmp_path, rng):
    network, recipe = small(name)
    save_decoder(
        tmp_path / "one.safetensors", network, decoder=name, n_voxels=12, n_outputs=5, **recipe
    )
    x = rng.standard_normal((3, 12)).astype(np.float32)
    again = load_decoder(tmp_path / "one.safetensors")
    assert np.array_equal(predict(again, x, 2), predict(network, x, 2))
    assert [file.name for file in tmp_path.iterdir()] == ["one.safetensors"]


def test_a_residual_block_is_shared_by_its_passes():
    network, _ = small("cnn")
    x = torch.randn(2, 12)
    inner = network.convolutions
    hidden = inner.into(x[:, None])
    for _ in range(2):
        hidden = hidden + inner.block(hidden)
    assert torch.allclose(network(x), network.dense(inner.out(hidden)[:, 0]))


def test_the_vae_predicts_the_mean_of_its_code():
    network, _ = small("vae")
    x = torch.randn(4, 12)
    assert torch.equal(network(x), network(x))  # no draw
    torch.manual_seed(3)
    first = network.loss(x, torch.randn(4, 5))
    assert first != network.loss(x, torch.randn(4, 5))


# ---------------------------------------------------------------- fitting


def linear_world(rng, n_images=40, repeats=3, n_voxels=12, n_outputs=5, noise=0.3):
    latents = rng.standard_normal((n_images, n_outputs)).astype(np.float32)
    mixing = rng.standard_normal((n_outputs, n_voxels))
    of_trial = np.repeat(np.arange(n_images), repeats)
    voxels = latents[of_trial] @ mixing + noise * rng.standard_normal((len(of_trial), n_voxels))
    return voxels.astype(np.float32), latents, of_trial


@pytest.mark.parametrize("n_voxels", (12, 300))  # solved over voxels, and over trials
def test_ridge_is_that_of_scikit_learn(rng, n_voxels):
    from sklearn.linear_model import Ridge

    voxels, latents, of_trial = linear_world(rng, n_voxels=n_voxels)
    voxels += 5
    folds = inner_folds(of_trial, 4, 0)
    network, found = fit_ridge(voxels, latents[of_trial], folds, (10.0,), CPU)
    expected = (
        Ridge(alpha=10.0).fit(voxels.astype(float), latents[of_trial]).predict(voxels.astype(float))
    )
    assert np.allclose(predict(network, voxels, 50), expected, atol=1e-3)  # solved in float32
    assert found == {"alphas": {"10": 5}}


@pytest.mark.parametrize(("n", "n_voxels", "n_outputs"), [(600, 50, 8000), (100, 300, 8000)])
def test_ridge_needs_little_more_memory_than_what_it_returns(rng, n, n_voxels, n_outputs):
    """Seven penalties, over voxels and over trials: their predictions and weights are not kept together."""
    voxels = rng.standard_normal((n, n_voxels)).astype(np.float32)
    latents = rng.standard_normal((n, n_outputs)).astype(np.float32)
    folds = inner_folds(np.arange(n), 5, 0)
    alphas = tuple(10.0**power for power in range(7))
    fit_ridge(voxels[:, :5], latents[:, :5], folds, alphas, CPU)  # what is imported and kept
    tracemalloc.start()
    fit_ridge(voxels, latents, folds, alphas, CPU)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    returned = 4 * n_voxels * n_outputs
    assert peak < 2.5 * latents.nbytes + 2 * returned  # himalaya copies the latents once
    assert peak < 1.1e9 * ridge_gb(n, n_voxels, n_outputs) < 2 * peak  # what --check says


def test_ridge_chooses_the_penalty_that_predicts_held_out_images_best(rng):
    from sklearn.linear_model import Ridge

    voxels, latents, of_trial = linear_world(rng, n_voxels=60, noise=6.0)
    folds, alphas = inner_folds(of_trial, 4, 0), (1e-4, 100.0, 1e4)
    _, found = fit_ridge(voxels, latents[of_trial], folds, alphas, CPU)
    x, y = voxels - voxels.mean(axis=0), latents[of_trial] - latents[of_trial].mean(axis=0)
    errors = np.zeros((len(alphas), 5))
    for row, alpha in enumerate(alphas):
        for fold in range(4):
            model = Ridge(alpha=alpha, fit_intercept=False).fit(x[folds != fold], y[folds != fold])
            errors[row] += ((model.predict(x[folds == fold]) - y[folds == fold]) ** 2).mean(axis=0)
    best = np.bincount(errors.argmin(axis=0), minlength=3)
    assert [found["alphas"].get(f"{alpha:g}", 0) for alpha in alphas] == best.tolist()


def test_trials_of_an_image_are_never_in_two_folds_nor_on_both_sides():
    images = np.repeat([f"i{n}" for n in range(23)], 3)
    folds = inner_folds(images, 5, 1)
    inner = inner_images(images, 0.2, 1)
    for image in np.unique(images):
        assert len(set(folds[images == image])) == 1 and len(set(inner[images == image])) == 1
    assert set(folds) == set(range(5)) and inner.sum() == 3 * round(0.2 * 23)


@pytest.mark.parametrize("name", [name for name in SMALL if name != "ridge"])
def test_a_network_learns_and_keeps_its_best_epoch(name, rng):
    voxels, latents, of_trial = linear_world(rng, n_images=60)
    network, _ = small(name)
    trials = np.arange(150)
    watched = Watched(voxels[150:], latents[of_trial[150:]])
    history = train_network(
        network, voxels, latents, of_trial, trials, watched, epochs=40, patience=3, learning_rate=0.02, batch_size=20,
        seed=1, device=CPU,
    )  # fmt: skip
    errors = [row["watched_mse"] for row in history]
    mean = np.mean((latents[of_trial[150:]] - latents[of_trial[:150]].mean(axis=0)) ** 2)
    assert min(errors) < 0.8 * mean
    kept = np.mean((predict(network, watched.voxels, 20) - watched.latents) ** 2)
    assert kept == pytest.approx(min(errors), rel=1e-5)
    assert len(history) == 40 or len(history) == int(np.argmin(errors)) + 1 + 3  # patience


class Notes(Decoder):
    """Adds one number to its input; notes the trials of each batch that it learns from."""

    def __init__(self):
        super().__init__()
        self.last, self.seen = torch.nn.Linear(1, 1), []

    def forward(self, x):
        if self.training:
            self.seen.append(x[:, 0].int().tolist())
        return x + self.last.bias


@pytest.mark.parametrize(("n_trials", "sizes"), [(33, [33]), (67, [33, 34]), (72, [32, 32, 8])])
def test_every_trial_is_in_one_batch_of_an_epoch_and_no_batch_is_small(n_trials, sizes):
    voxels, network = np.arange(100, dtype=np.float32)[:, None], Notes()
    train_network(
        network, voxels, voxels, np.arange(100), np.arange(n_trials), Watched(voxels, voxels), epochs=2, patience=2,
        learning_rate=0.1, batch_size=32, seed=1, device=CPU,
    )  # fmt: skip
    assert [len(batch) for batch in network.seen] == 2 * sizes
    for epoch in (network.seen[: len(sizes)], network.seen[len(sizes) :]):
        assert sorted(sum(epoch, [])) == list(range(n_trials))


# ---------------------------------------------------------------- attributions


class Square(Decoder):
    """Σ x² in the first output, Σ x in the second."""

    def forward(self, x):
        return torch.stack([(x**2).sum(dim=1), x.sum(dim=1)], dim=1)


def test_training_that_diverges_stops_and_names_the_step_size(rng):
    voxels, latents = (
        rng.standard_normal((20, 12)).astype(np.float32),
        rng.standard_normal((20, 5)).astype(np.float32),
    )
    voxels[3, 4] = np.nan
    network, _ = small("mlp")
    with pytest.raises(
        NeuroFaceError, match="the error is nan after epoch 1, with learning_rate = 0.01"
    ):
        train_network(
            network, voxels, latents, np.arange(20), np.arange(20), Watched(voxels, latents), epochs=2, patience=2,
            learning_rate=0.01, batch_size=10, seed=0, device=torch.device("cpu"),
        )  # fmt: skip


def test_integrated_gradients_have_their_closed_forms(rng):
    x = rng.standard_normal((5, 4)).astype(np.float32)
    along = np.repeat(np.array([[1.0, 0.0]], np.float32), 5, axis=0)
    maps, gains = integrated_gradients(Square(), x, along, 8, 16, CPU)
    assert np.allclose(maps, x**2, atol=1e-5) and np.allclose(gains, (x**2).sum(axis=1), atol=1e-5)
    linear, _ = small("ridge", 4, 2)
    maps, _ = integrated_gradients(linear, x, along, 8, 16, CPU)
    assert np.allclose(maps, x * linear.last.weight[0].detach().numpy(), atol=1e-6)


@pytest.mark.parametrize("name", [name for name in SMALL if name != "ridge"])
def test_attributions_sum_to_what_they_explain(name, rng):
    network, _ = small(name)
    x = rng.standard_normal((3, 12)).astype(np.float32)
    along = rng.standard_normal((3, 5)).astype(np.float32)
    maps, gains = integrated_gradients(network, x, along, 400, 800, CPU)
    assert np.allclose(maps.sum(axis=1), gains, atol=0.02 * np.abs(gains).max())


def test_a_direction_is_the_difference_of_means():
    import pandas as pd

    targets = np.array([[1.0, 0], [3, 0], [0, 2], [0, 2]], np.float32)
    made = directions(targets, pd.Series(["a", "a", "b", "b"]), pd.Series(["b", "a", "c"]))
    assert np.allclose(made[1], np.array([2, -2]) / np.sqrt(8)) and np.allclose(made[0], -made[1])
    assert np.isnan(made[2]).all()  # no training image has it


def test_a_region_left_out_is_at_the_training_mean():
    voxels, rois = np.ones((2, 3), np.float32), np.array(["V1", "V1", "V2"])
    made = without_regions(voxels, rois, lambda patterns: patterns.sum(axis=1))
    assert {roi: values.tolist() for roi, values in made.items()} == {
        "": [3, 3],
        "V1": [1, 1],
        "V2": [2, 2],
    }
