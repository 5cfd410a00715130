"""Methods and baselines behind script 4's one door, on a linear network, where every answer is known."""

from dataclasses import replace

from neuroface import NeuroFaceError
from neuroface.attribution.baselines import Baselines
from neuroface.attribution.explainer import Explainer, Recipe, explainer_of
from neuroface.attribution.occlusion import cubes, parcels, regions_to_occlude
from neuroface.pipeline.backend import keras

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

N, SHAPE, AFFINE = 12, (27, 4), np.diag([3.0, 3.0, 3.0, 1.0])
IG = Recipe(method="ig", rule="right", steps=3, occlusion_trs=2, smooth_noise=0.1, batch=4, seed=7)


@pytest.fixture(scope="module")
def linear():
    """logit = w · x + 0.5; sigmoid. Weights w (n_voxels, window_trs)."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((*SHAPE, 1))
    logit = keras.layers.Dense(1, name="logit", bias_initializer=keras.initializers.Constant(0.5))
    model = keras.Model(
        inputs, keras.layers.Activation("sigmoid")(logit(keras.layers.Flatten()(inputs)))
    )
    return logit.get_weights()[0].reshape(SHAPE), model


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    rng = np.random.default_rng(2)
    X = rng.standard_normal((N, *SHAPE)).astype(np.float32)
    np.save(folder / "X.npy", X)
    samples = pd.DataFrame(
        {"label": ["face", "noface"] * (N // 2), "fold": np.arange(N) // 4 + 1, "row": np.arange(N)}
    )
    more = {"model": samples["fold"], "sign": [1, -1] * (N // 2)}
    return (
        X,
        samples.assign(**more),
        Baselines(folder / "X.npy", samples, folder / "baselines", 3, 9),
    )


def zero(sample):
    return np.zeros((1, *SHAPE), dtype=np.float32)


@pytest.mark.parametrize("method", ["ig", "gradient-x-input"])
def test_gradients_of_a_linear_network(linear, study, method):
    weights, model = linear
    X, samples, _ = study
    maps, table = Explainer(model, replace(IG, method=method))(X, samples, zero)
    sign = np.where(samples["label"] == "face", 1, -1)
    np.testing.assert_allclose(maps, sign[:, None, None] * weights * X, atol=1e-6)
    total = np.einsum("vt,nvt->n", weights, X)
    np.testing.assert_allclose(table["logit"], sign * (total + 0.5), atol=1e-5)
    np.testing.assert_allclose(table["logit_of_baseline"], sign * 0.5, atol=1e-6)
    np.testing.assert_allclose(table["sum_of_attributions"], sign * total, atol=1e-5)
    np.testing.assert_allclose(table["gap"], 0, atol=1e-5)
    assert list(table["row"]) == list(samples["row"])
    assert (table["steps"] == (3 if method == "ig" else 1)).all()


def test_expected_gradients_are_the_mean_over_baselines(linear, study):
    weights, model = linear
    X, samples, baselines = study
    faces = samples[samples["label"] == "face"]
    maps, table = Explainer(model, IG)(X, faces, lambda sample: baselines.of("other class", sample))
    for attribution, sample in zip(maps, faces.itertuples()):
        others = baselines.of("other class", sample)
        assert len(others) == 3
        np.testing.assert_allclose(
            attribution, weights * (X[sample.row] - others.mean(axis=0)), atol=1e-6
        )
    np.testing.assert_allclose(table["gap"], 0, atol=1e-5)


def test_other_class_windows_are_training_windows_with_the_other_label(study):
    X, samples, baselines = study
    for sample in samples.itertuples():
        rows = [
            int(np.flatnonzero((X == b).all(axis=(1, 2)))[0])
            for b in baselines.of("other class", sample)
        ]
        drawn = samples.iloc[rows]
        assert (
            len(set(rows)) == 3
            and (drawn["label"] != sample.label).all()
            and (drawn["fold"] != sample.fold).all()
        )
        again = baselines.of("other class", sample)
        np.testing.assert_array_equal(X[rows], again)


def test_with_fewer_windows_than_draws_some_come_twice(study):
    X, samples, baselines = study
    few = samples.assign(label=["face"] * 8 + ["noface", "noface", "face", "face"])
    scarce = Baselines(baselines.X_file, few, baselines.folder, 3, 9)
    drawn = scarce.of("other class", next(few.itertuples()))
    assert len(drawn) == 3 and {
        int(np.flatnonzero((X == b).all(axis=(1, 2)))[0]) for b in drawn
    } <= {8, 9}


def test_noisy_copies_are_shared_evenly_among_baselines(linear, study):
    weights, model = linear
    X, samples, baselines = study
    one = samples.iloc[2:3]
    maps, _ = Explainer(model, replace(IG, smooth_draws=300, smooth_noise=1e-6))(
        X, one, lambda sample: baselines.of("other class", sample)
    )
    mean = baselines.of("other class", next(one.itertuples())).mean(axis=0)
    np.testing.assert_allclose(maps[0], weights * (X[2] - mean), atol=1e-5)


def test_the_mean_window_is_that_of_the_other_folds(study):
    X, samples, baselines = study
    baselines.write_mean(2)
    sample = next(samples[samples["model"] == 2].itertuples())
    expected = np.concatenate([X[:4], X[8:]]).astype(np.float64).mean(axis=0)
    np.testing.assert_allclose(baselines.of("training mean", sample)[0], expected, atol=1e-6)
    assert not baselines.of("zero", sample).any()


def test_smoothgrad_explains_noisy_copies_alike_each_time(linear, study):
    weights, model = linear
    X, samples, _ = study
    one = samples.iloc[2:3]
    noisy = Explainer(model, replace(IG, smooth_draws=400, smooth_noise=0.5))
    maps, table = noisy(X, one, zero)
    noise = maps[0] / weights - X[2]  # its mean over 400 draws
    assert noise.std() == pytest.approx(0.5 * X[2].std() / 20, rel=0.25)
    np.testing.assert_array_equal(noisy(X, one, zero)[0], maps)
    assert abs(table["gap"][0]) < 1e-4
    other = Explainer(model, replace(IG, smooth_draws=400, smooth_noise=0.5, seed=8))
    assert not np.array_equal(other(X, one, zero)[0], maps)


def test_occlusion_spreads_the_drop_of_the_logit_over_what_was_put_back(linear, study, tmp_path):
    weights, model = linear
    X, samples, _ = study
    regions = np.arange(SHAPE[0]) // 10  # 0: ten voxels never put back; 1: ten; 2: seven
    np.save(tmp_path / "regions.npy", regions)
    recipe = replace(IG, method="occlusion", regions_file=tmp_path / "regions.npy", occlusion_trs=3)
    maps, table = Explainer(model, recipe)(X, samples.iloc[:2], zero)
    assert (table["steps"] == 4).all()  # two regions × (three volumes, and the fourth)
    for sign, window, attribution in zip((1, -1), X, maps):
        assert not attribution[regions == 0].any()
        for number in (1, 2):
            for stretch in (slice(0, 3), slice(3, 4)):
                part = attribution[regions == number][:, stretch]
                drop = (weights * window)[regions == number][:, stretch].sum()
                np.testing.assert_allclose(part, sign * drop / part.size, atol=1e-6)


def test_one_explainer_serves_all_fold_models(tmp_path, study):
    X, samples, _ = study
    files = []
    for k in (1, 2):
        inputs = keras.Input((*SHAPE, 1))
        logit = keras.layers.Dense(
            1, name="logit", kernel_initializer=keras.initializers.RandomNormal(seed=k)
        )
        keras.Model(
            inputs, keras.layers.Activation("sigmoid")(logit(keras.layers.Flatten()(inputs)))
        ).save(file := tmp_path / f"fold-{k}.keras")
        files.append((file, logit.get_weights()[0].reshape(SHAPE)))
    used = set()
    for file, weights in files + files:
        explainer = explainer_of(file, *SHAPE, IG)
        used.add(id(explainer))
        np.testing.assert_allclose(
            explainer(X, samples.iloc[:1], zero)[0][0], weights * X[0], atol=1e-6
        )
    assert len(used) == 1


# ---------------------------------------------------------------- regions to occlude


@pytest.fixture
def mask():
    mask = np.ones((9, 8, 7), dtype=bool)
    mask[0, 0, 0] = False
    return mask


def test_cubes_fill_the_brain_and_are_no_larger_than_their_edge(mask):
    positions = np.argwhere(mask) * 3.0
    labels = cubes(positions, 9.0)
    assert (
        labels.min() == 1
        and set(labels) == set(range(1, labels.max() + 1))
        and labels.max() == 3 * 3 * 3
    )
    for number in set(labels):
        assert np.ptp(positions[labels == number], axis=0).max() < 9.0


def test_parcels_are_resampled_to_the_mask(mask, tmp_path):
    fine = np.zeros((54, 48, 42), dtype=np.int16)  # 0.5 mm voxels under 3 mm ones, centres aligned
    fine[:27], fine[27:] = 4, 9
    affine = np.diag([0.5, 0.5, 0.5, 1.0])
    affine[:3, 3] = -1.25
    nib.save(nib.Nifti1Image(fine, affine), tmp_path / "parcels.nii.gz")
    labels = parcels(tmp_path / "parcels.nii.gz", mask, AFFINE)
    x = np.argwhere(mask)[:, 0]
    np.testing.assert_array_equal(labels[x < 4], 4)
    np.testing.assert_array_equal(labels[x > 4], 9)


def test_parcels_elsewhere_or_unreadable_are_refused(mask, tmp_path):
    far = np.diag([3.0, 3.0, 3.0, 1.0])
    far[:3, 3] = 500
    nib.save(nib.Nifti1Image(mask.astype(np.int16), far), tmp_path / "far.nii.gz")
    with pytest.raises(NeuroFaceError, match="far.nii.gz lies inside the group mask"):
        regions_to_occlude("parcels", mask, AFFINE, 9.0, None, tmp_path / "far.nii.gz")
    (tmp_path / "no.nii.gz").write_text("no")
    with pytest.raises(NeuroFaceError, match="no.nii.gz cannot be read as NIfTI"):
        regions_to_occlude("parcels", mask, AFFINE, 9.0, None, tmp_path / "no.nii.gz")
    whole = np.ones(mask.shape, np.float32)
    for name, values in (
        ("four", np.stack([whole, whole], axis=3)),
        ("soft", 0.3 * whole),
        ("below", -whole),
    ):
        nib.save(nib.Nifti1Image(values, AFFINE), tmp_path / f"{name}.nii.gz")
        with pytest.raises(
            NeuroFaceError, match=f"{name}.nii.gz, of shape .* is not a parcellation"
        ):
            regions_to_occlude("parcels", mask, AFFINE, 9.0, None, tmp_path / f"{name}.nii.gz")


def test_files_made_anew_under_the_same_name_are_noticed(linear, study, tmp_path):
    """A cluster's worker outlives its script: it must not explain with the network, or the regions, of last time."""
    weights, model = linear
    X, samples, _ = study
    file, regions = tmp_path / "fold-1.keras", tmp_path / "regions.npy"
    np.save(regions, np.repeat(np.arange(1, 10), 3))
    recipe = replace(IG, method="occlusion", regions_file=regions)
    for factor, size in ((1, 3), (2, 3), (2, 9)):
        other = keras.models.clone_model(model)
        other.set_weights([factor * array for array in model.get_weights()])
        other.save(file)
        np.save(regions, np.repeat(np.arange(1, 27 // size + 1), size))
        maps, _ = explainer_of(file, *SHAPE, recipe)(X, samples[:1], zero)
        drops = (
            (factor * weights * X[0]).reshape(27 // size, size, 2, 2).sum(axis=(1, 3))
        )  # two volumes at a time
        expected = np.repeat(np.repeat(drops / (2 * size), size, axis=0), 2, axis=1)
        np.testing.assert_allclose(maps[0], expected, atol=1e-5)
