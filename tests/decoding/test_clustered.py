"""Ridge regression on means of clusters: scikit-learn's pipeline, clusters of training windows, exact weights of voxels."""

from dataclasses import replace

from neuroface import NeuroFaceError
from neuroface.decoding import clustered, fit, linear
from neuroface.decoding.folds import Fold
from neuroface.decoding.network import logit_network, predict_logits
from neuroface.decoding.windows import Training, Windows
from neuroface.maps import refits, relabelling

import numpy as np
import pytest
from sklearn.cluster import FeatureAgglomeration
from sklearn.feature_extraction.image import grid_to_graph
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

SHAPE = (6, 6, 6)
N, VOXELS, TRS, EDGE = 80, 6**3, 3, 2
MASK = np.ones(SHAPE, dtype=bool)
TRAINING = Training(
    options={"clustered_ridge": {"voxels_per_cluster": 8}}, recipe="robust", epochs=1, steps=1, batch_size=1,
    learning_rate="auto", precision="float32", n_jobs=1, inference_batch=1,
)  # fmt: skip
ROWS = np.arange(N)
TRAIN, VALIDATION, TEST = ROWS[:40], ROWS[40:60], ROWS[60:]
FURTHER = ((ROWS[20:60], ROWS[:20]), (np.concatenate([ROWS[:20], VALIDATION]), ROWS[20:40]))
FOLD = Fold(1, TRAIN, VALIDATION, TEST, "window", further_inner=FURTHER)


def box_of_voxels():
    """The box of 2 × 2 × 2 voxels, of 27, that each voxel of the grid lies in, (n_voxels,)."""
    x, y, z = np.indices(SHAPE) // EDGE
    return (9 * x + 3 * y + z).ravel()


def study(effect=0.8, noise=0.3, seed=0):
    """Windows at BOLD's offset whose voxels share a course in each box; the first box rises with the label."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(N) % 2
    courses = rng.standard_normal((N, 27, TRS))
    courses[:, 0] += effect * y[:, None]
    X = courses[:, box_of_voxels()] + noise * rng.standard_normal((N, VOXELS, TRS))
    return (X + 3.0).astype(np.float32), y


def solve(X, y, voxels_per_cluster=8):
    return clustered.solve_clustered(X, MASK, y[:, None], FOLD, voxels_per_cluster)


def partition(cluster):
    """The same clusters, numbered by their first voxels."""
    _, first, number = np.unique(cluster, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[number]


def test_clusters_are_the_blocks_that_share_a_course():
    X, y = study()
    np.testing.assert_array_equal(partition(solve(X, y).cluster), partition(box_of_voxels()))


def test_the_logits_are_those_of_scikit_learns_pipeline():
    """One volume, so that a voxel is a feature: clusters, their means, then Ridge on the targets of the classes."""
    X, y = study(noise=1.0)
    X = X[:, :, :1]
    classifier = solve(X, y)
    (solution,) = classifier.solutions
    rows, values = FOLD.rows, X[:, :, 0].astype(float)
    pooling = FeatureAgglomeration(27, connectivity=grid_to_graph(*SHAPE))
    features = pooling.fit_transform(values[rows])
    n, n_face = len(rows), y[rows].sum()
    target = np.where(y[rows] == 1, n / (2 * n_face), -n / (2 * (n - n_face)))
    strength = solution.penalty * ((features - features.mean(axis=0)) ** 2).sum() / n
    pipeline = make_pipeline(pooling, Ridge(alpha=strength)).fit(values[rows], target)
    expected = solution.slope * pipeline.predict(values)
    logits = values @ classifier.weights[0, classifier.cluster, 0] + classifier.intercepts[0]
    # The threshold lies midway between left-out means, which Ridge does not have.
    np.testing.assert_allclose(logits - logits[0], expected - expected[0], atol=1e-5)


def test_the_penalty_is_the_best_of_pipelines_on_the_inner_training_sets():
    """Each of them forms its own clusters; the logits of its validation windows are those of scikit-learn."""
    X, y = study(noise=1.5, effect=0.5)
    X = X[:, :, :1]
    (solution,) = solve(X, y).solutions
    values = X[:, :, 0].astype(float)
    for train, validation in FOLD.inner:
        pooling = FeatureAgglomeration(27, connectivity=grid_to_graph(*SHAPE))
        features = pooling.fit_transform(values[train])
        n, n_face = len(train), y[train].sum()
        target = np.where(y[train] == 1, n / (2 * n_face), -n / (2 * (n - n_face)))
        strength = solution.penalty * ((features - features.mean(axis=0)) ** 2).sum() / n
        ridge = Ridge(alpha=strength).fit(features, target)
        expected = solution.slope * ridge.predict(pooling.transform(values[validation]))
        inner = solution.inner_logit[validation]
        np.testing.assert_allclose(inner - inner[0], expected - expected[0], atol=1e-4)


def windows_of(folder, X, y):
    np.save(folder / "X.npy", X)
    np.save(folder / "y.npy", y)
    names = ROWS.astype(str)
    return Windows(folder, folder, MASK, names, names, {})


def test_the_stored_network_finds_the_planted_region_and_no_other(tmp_path):
    X, y = study(effect=2.0)
    fitted = fit.fit_fold("clustered_ridge", windows_of(tmp_path, X, y), FOLD, TRAINING, seed=1)
    logit = predict_logits(logit_network(fitted.network), X, 16)
    assert np.mean((logit[TEST] > 0) == y[TEST]) > 0.9
    classifier = solve(X, y)
    values = X.reshape(N, -1).astype(float)
    weights = classifier.weights[0, classifier.cluster]
    expected = values @ weights.ravel() + classifier.intercepts[0]
    np.testing.assert_allclose(logit, expected, atol=1e-4)
    stored = np.asarray(fitted.network.get_layer("logit").get_weights()[0]).reshape(VOXELS, TRS)
    size = np.abs(stored).sum(axis=1)
    planted = box_of_voxels() == 0
    assert size[planted].min() > 1.5 * size[~planted].max()
    assert fitted.cost["clusters"] == 27 and fitted.cost["parameters"] == 27 * TRS + 1
    np.testing.assert_array_equal(fitted.inner_rows, FOLD.rows)


def test_held_out_windows_change_neither_clusters_nor_weights():
    X, y = study(noise=1.0)
    other_X, other_y = X.copy(), y.copy()
    other_X[TEST] = 10 * np.random.default_rng(1).standard_normal(X[TEST].shape)
    other_y[TEST] = 1 - y[TEST]
    first, second = solve(X, y), solve(other_X, other_y)
    np.testing.assert_array_equal(first.cluster, second.cluster)
    np.testing.assert_allclose(first.weights, second.weights, rtol=1e-3, atol=1e-6)


def test_validation_windows_change_no_clusters_of_their_inner_training_set():
    X, y = study(noise=1.0)
    other = X.copy()
    other[VALIDATION] = 10 * np.random.default_rng(1).standard_normal(X[VALIDATION].shape)
    clusters = [clustered.cluster_voxels(each, TRAIN, MASK, 27) for each in (X, other)]
    np.testing.assert_array_equal(*clusters)
    whole = [clustered.cluster_voxels(each, FOLD.rows, MASK, 27) for each in (X, other)]
    assert (whole[0] != whole[1]).any()


def test_labels_that_mean_nothing_are_decoded_at_chance():
    said = []
    for seed in range(40):
        X, y = study(effect=0.0, noise=1.0, seed=seed)
        classifier = solve(X, y)
        logits = (
            X.reshape(N, -1) @ classifier.weights[0, classifier.cluster].ravel()
            + classifier.intercepts[0]
        )
        said.append((logits[TEST] > 0) == y[TEST])
    assert abs(np.mean(said) - 0.5) < 3 * 0.5 / np.sqrt(40 * len(TEST))


def test_a_voxel_that_touches_no_other_is_clustered_with_the_rest():
    mask = MASK.copy()
    mask[1, :, :] = mask[:, 1, :] = mask[:, :, 1] = False  # (0, 0, 0) is alone
    X, _ = study()
    X = X[:, mask.ravel()]
    cluster = clustered.cluster_voxels(X, ROWS, mask, 10)
    assert len(cluster) == mask.sum() and len(np.unique(cluster)) == 10


def test_means_of_clusters_are_means():
    X, _ = study()
    cluster = np.random.default_rng(0).permutation(np.arange(VOXELS) % 20)
    means = clustered.cluster_means(X, cluster)
    expected = np.stack([X[:, cluster == number].mean(axis=1) for number in range(20)], axis=1)
    np.testing.assert_allclose(means, expected, atol=1e-5)


def test_few_windows_of_many_tell_the_clusters(monkeypatch):
    X, y = study()
    monkeypatch.setattr(clustered, "MOST_WINDOWS", 15)
    np.testing.assert_array_equal(partition(solve(X, y).cluster), partition(box_of_voxels()))


@pytest.mark.parametrize("size", [0, 109, 8.5, "8"])
def test_a_size_of_clusters_that_is_impossible_is_named(tmp_path, size):
    windows = windows_of(tmp_path, *study())
    options = {"clustered_ridge": {"voxels_per_cluster": size}}
    with pytest.raises(NeuroFaceError, match="voxels_per_cluster = .*216 voxels.*from 1 to 108"):
        fit.fit_fold("clustered_ridge", windows, FOLD, replace(TRAINING, options=options), 1)


@pytest.mark.parametrize(("n_windows", "peak_gb"), [(900, 1.02), (3606, 2.43)])
def test_the_memory_that_is_stated_is_what_was_measured(n_windows, peak_gb):
    """Peaks that benchmarks/linear.py measured; the libraries have about 0.3 GB of them."""
    stated_gb = clustered.clustering_bytes(n_windows, 41_489, 10, 10) / 1e9
    assert peak_gb - 0.3 <= stated_gb <= peak_gb


def test_clusters_of_one_voxel_are_ridge_regression():
    X, y = study(noise=1.0)
    classifier = solve(X, y, voxels_per_cluster=1)
    kernel = linear.window_kernel(linear.window_features(X, "window"))
    expected = linear.solve(kernel, y, FOLD)
    assert classifier.solutions[0].penalty == expected.penalty
    np.testing.assert_allclose(
        classifier.solutions[0].coefficients, expected.coefficients, atol=1e-6
    )


def test_refitted_models_have_the_weights_of_the_networks(tmp_path):
    X, y = study(noise=1.0)
    windows = windows_of(tmp_path, X, y)
    labels = np.column_stack([y, np.random.default_rng(4).permutation(y)])
    options = TRAINING.options
    fits = refits.refit("clustered_ridge", windows, FOLD, labels, np.zeros(N), 0.5, options)
    for column in range(2):
        np.save(tmp_path / "y.npy", labels[:, column])
        network = fit.fit_fold("clustered_ridge", windows, FOLD, TRAINING, 1).network
        stored = np.asarray(network.get_layer("logit").get_weights()[0]).reshape(VOXELS, TRS)
        for voxels in (slice(0, 50), slice(50, VOXELS)):
            weights = relabelling.weights_of(X[:, voxels], fits, voxels)
            np.testing.assert_allclose(weights[column], stored[voxels], atol=2e-5)


def test_parcels_without_neighbours_are_refused():
    """Parcels of a table lie apart on their grid; scikit-learn would join any two."""
    mask = np.zeros((4, 4, 4), dtype=bool)
    mask[::2, ::2, ::2] = True
    assert not clustered.has_neighbours(mask)
    X = np.random.default_rng(0).standard_normal((10, int(mask.sum()), 2))
    with pytest.raises(NeuroFaceError, match="no two voxels of the group mask touch"):
        clustered.cluster_voxels(X, np.arange(10), mask, 2)
    mask[1, 0, 0] = True
    assert clustered.has_neighbours(mask)
