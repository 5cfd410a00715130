"""Film and brain: saliency, perturbed regions, concepts, what is on the screen."""

from types import SimpleNamespace

from neuroface import NeuroFaceError
from neuroface.pipeline import keras, read_json, write_json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import stats

pytest.importorskip("av", reason="films need PyAV: make film-encoding")
pytest.importorskip("skimage", reason="scores of images need scikit-image: make film-encoding")

from film_encoding import concepts, localizer, perturbation, regions, things  # noqa: E402
from film_encoding.brain_places import Places  # noqa: E402
from film_encoding.image_scores import ssim  # noqa: E402
from film_encoding.networks import build_decoder  # noqa: E402
from film_encoding.perturbation_report import agreement_text  # noqa: E402
from film_encoding.saliency import SsimGradient, integrated_gradients  # noqa: E402

N, VOXELS, PX = 7, 9, 16


@pytest.fixture(scope="module")
def decoder():
    keras.utils.set_random_seed(3)
    model = build_decoder(VOXELS, PX, 4)
    rng = np.random.default_rng(0)
    model.set_weights(
        [w + 0.1 * rng.normal(size=w.shape) if w.ndim > 1 else w for w in model.get_weights()]
    )
    return model


@pytest.fixture(scope="module")
def moments():
    rng = np.random.default_rng(1)
    return rng.normal(size=(N, VOXELS)).astype(np.float32), rng.random((N, PX, PX, 3)).astype(
        np.float32
    )


# ---------------------------------------------------------------- saliency


def test_the_gradient_is_that_of_finite_differences(decoder, moments):
    bold, frames = moments
    gradient = SsimGradient(decoder, 4)  # a batch that does not divide the moments
    value, slopes = gradient(bold, frames)
    made = np.asarray(decoder(bold))
    np.testing.assert_allclose(value, [ssim(a, b) for a, b in zip(frames, made)], atol=1e-5)
    differences = np.empty_like(slopes)
    for voxel in range(VOXELS):
        step = np.zeros(VOXELS, np.float32)
        step[voxel] = 1e-2
        differences[:, voxel] = (
            gradient(bold + step, frames)[0] - gradient(bold - step, frames)[0]
        ) / 2e-2
    slope, _ = np.polyfit(
        differences.ravel(), slopes.ravel(), 1
    )  # ReLUs that turn on the way make single ones differ
    assert np.corrcoef(differences.ravel(), slopes.ravel())[0, 1] > 0.97 and slope == pytest.approx(
        1, abs=0.05
    )


def test_integrated_gradients_sum_to_what_ssim_gains(decoder, moments):
    bold, frames = moments
    gaps = {}
    for steps in (2, 64):
        maps, gap = integrated_gradients(
            SsimGradient(decoder, 16), bold, frames, bold.mean(axis=0), steps
        )
        gaps[steps] = np.abs(gap).max()
    assert maps.shape == bold.shape and gaps[64] < 1e-3 and gaps[64] <= gaps[2]


def test_the_top_of_a_map_is_counted_in_regions_and_planted_ones_are_found():
    positions = np.stack(np.meshgrid(*[np.arange(10.0)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    near = np.linalg.norm(positions - [2, 2, 2], axis=1) < 2.1
    far = np.linalg.norm(positions - [7, 7, 7], axis=1) < 2.1
    values = np.random.default_rng(2).random(1000) + 2 * near
    table = regions.shares_of_regions(
        values, positions, {"near": near, "far": far}, near.mean(), 500, 0
    )
    near, far = table.set_index("region").loc["near"], table.set_index("region").loc["far"]
    assert near["share_of_top"] == near["top_in_region"] == 1 and near["p"] < 0.01
    assert far["share_of_top"] == 0 and far["p"] == 1
    assert regions.top_voxels(np.array([3.0, 9, 1, 5]), 0.5).tolist() == [False, True, False, True]


# ---------------------------------------------------------------- perturbation


@pytest.mark.parametrize("separator", ["\t", ",", ";"])
def test_names_of_regions_are_read_as_they_are(tmp_path, separator):
    """pandas would join rows between the marks and take the region NA for a missing name."""
    rows = [("index", "name"), (1, '"V1'), (2, "NA"), (3, 'V2"'), (4, "null")]
    (tmp_path / "atlas.tsv").write_text(
        "".join(f"{index}{separator}{name}\n" for index, name in rows), "utf-8-sig"
    )
    labels = (np.arange(24) // 4).reshape(6, 2, 2).astype(np.int16)
    nib.save(nib.Nifti1Image(labels, np.eye(4)), tmp_path / "atlas.nii")
    cfg = SimpleNamespace(
        REGIONS_TABLE=str(tmp_path / "atlas.tsv"), REGIONS_FILE=tmp_path / "atlas.nii"
    )
    found = regions.named_regions(cfg, Places(labels > 0, np.eye(4)))
    assert {name: set(labels[labels > 0][here]) for name, here in found.items()} == {
        '"V1': {1},
        "NA": {2},
        'V2"': {3},
        "null": {4},
    }


def test_scores_where_things_are_equal_scikit_images(decoder, moments):
    bold, frames = moments
    labels = np.zeros((N, PX, PX), np.uint8)
    labels[:4, 5:9, 5:9], labels[2:, 8:11, 8:11] = things.THING, things.OTHER
    labels[5, 8:11, 8:11] = 0  # nothing there
    scores = perturbation.ThingScores(decoder, frames, labels, np.zeros(N, bool), batch=4)
    assert scores.cases["row"].tolist() == [0, 1, 2, 3, 2, 3, 4, 6]
    assert scores.cases["kind"].tolist() == [things.THING] * 4 + [things.OTHER] * 4
    made = np.clip(np.asarray(decoder(bold)), 0, 1)
    for value, row, kind in zip(scores(bold), scores.cases["row"], scores.cases["kind"]):
        whole = ssim(frames[row], made[row], full=True)[1].mean(axis=-1)
        inside = labels[row] == kind
        inside[:5] = inside[-5:] = inside[:, :5] = inside[:, -5:] = False
        assert value == pytest.approx(whole[inside].mean(), abs=1e-4)


def test_without_labels_of_pixels_whole_frames_are_scored(decoder, moments):
    bold, frames = moments
    present = np.arange(N) % 2 == 0
    scores = perturbation.ThingScores(decoder, frames, None, present, batch=16)
    assert (scores.cases["kind"] == np.where(present, things.THING, things.OTHER)).all()
    made = np.clip(np.asarray(decoder(bold)), 0, 1)
    np.testing.assert_allclose(scores(bold), [ssim(a, b) for a, b in zip(frames, made)], atol=1e-5)


def test_only_the_regions_voxels_change():
    bold, mean, sd = np.random.default_rng(3).normal(size=(200, 5)), np.arange(5.0), np.full(5, 0.5)
    here = np.array([False, True, False, True, False])
    for voxels in (here, np.flatnonzero(here)):
        for kind, value in (("zero", 0.0), ("mean", mean[here])):
            out = perturbation.perturbed(bold, voxels, kind, mean, sd, 0)
            assert (out[:, here] == value).all() and (out[:, ~here] == bold[:, ~here]).all()
        out = perturbation.perturbed(bold, voxels, "noise", mean, sd, 0)
        np.testing.assert_allclose(out[:, here].mean(axis=0), mean[here], atol=0.12)
        np.testing.assert_allclose(out[:, here].std(axis=0), sd[here], rtol=0.15)


def test_stretches_are_consecutive_chunks_of_one_kind():
    films, chunks = np.array(list("aaaaaabb")), np.array([0, 1, 2, 3, 4, 8, 9, 10])
    kinds = [1, 1, 2, 2, 1, 1, 1, 1]
    cases = pd.DataFrame({"row": np.arange(8), "kind": kinds})
    found = perturbation.stretches_of(cases, films, chunks)
    same = [(i, j) for i in range(8) for j in range(i) if found[i] == found[j]]
    assert sorted(same) == [(1, 0), (3, 2), (7, 6)]


def test_the_test_of_kinds_is_calibrated_and_finds_what_is_planted():
    rng, kinds = np.random.default_rng(4), np.repeat(rng_kinds := np.tile([1, 2], 15), 4)
    stretch = np.repeat(np.arange(len(rng_kinds)), 4)
    exchanged = perturbation.exchanged_kinds(kinds, stretch, 500, 0)
    assert ((exchanged == 1).sum(axis=1) == (kinds == 1).sum()).all()
    common = np.repeat(rng.standard_normal((400, 30)), 4, axis=1)  # stretches vary as a whole
    p = perturbation.kind_test(common + rng.standard_normal(common.shape), kinds, exchanged)
    assert 0.02 < (p < 0.05).mean() < 0.09
    planted = common[:5] + 3 * (kinds == things.THING)
    assert (perturbation.kind_test(planted, kinds, exchanged) < 0.01).all()
    assert perturbation.difference(3.0 * (kinds == 1), kinds) == 3


def test_a_region_that_follows_two_things_fails_against_the_second():
    """Faces and shapes lose 1, gratings nothing: faces lose more than the others together, and not more than shapes."""
    rng, face, shape, grating = np.random.default_rng(5), 1, 2, 3
    of_stretch = np.tile([face, shape, grating], 12)
    kinds, stretch = np.repeat(of_stretch, 4), np.repeat(np.arange(36), 4)
    noise = np.repeat(0.3 * rng.standard_normal(36), 4)
    both = 1.0 * np.isin(kinds, [face, shape]) + noise
    exchanged = perturbation.exchanged_kinds(kinds, stretch, 500, 0)
    assert perturbation.kind_test(both[None], kinds, exchanged)[0] < 0.01
    p = perturbation.test_against_each(both, kinds, stretch, 500, 0)
    assert p[grating] < 0.01 and p[shape] > 0.05
    faces_alone = 1.0 * (kinds == face) + noise
    assert max(perturbation.test_against_each(faces_alone, kinds, stretch, 500, 0).values()) < 0.01


# ---------------------------------------------------------------- concepts


def test_a_planted_concept_is_found_and_a_shifted_one_is_not():
    rng = np.random.default_rng(5)
    labels = np.repeat(rng.random(60) < 0.4, 6)
    direction = np.zeros(40)
    direction[:5] = 1
    activations = rng.standard_normal((360, 40)) + 0.8 * labels[:, None] * direction
    every = np.concatenate([labels[None], concepts.shifted_labels(labels, 50, 20, 0)])
    assert (every.sum(axis=1) == labels.sum()).all()
    accuracy = concepts.concept_accuracy(activations, every, np.arange(360) // 36)
    assert accuracy[0] > 0.75 and abs(accuracy[1:].mean() - 0.5) < 0.05
    assert concepts.concept_test(accuracy[0], accuracy[1:]) == pytest.approx(1 / 51)
    vectors = concepts.concept_vectors(activations, every)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    assert vectors[0] @ direction / np.sqrt(5) > 0.8
    pattern = concepts.pattern(activations, labels)
    assert np.abs(pattern[:5] - 0.8).max() < 0.4 and np.abs(pattern[5:]).max() < 0.4


def test_sensitivity_counts_moments_that_gain():
    gradients = np.array([[1.0, 0], [2, -1], [-1, 5], [3, 3]])
    np.testing.assert_allclose(
        concepts.sensitivity(gradients, np.array([[1.0, 0], [0, 1]])), [0.75, 0.5]
    )
    assert concepts.concept_test(0.9, np.array([0.5, 0.2, 0.6, 0.95]), 0.5) == pytest.approx(2 / 5)


# ---------------------------------------------------------------- what is on the screen


@pytest.fixture
def screen(tmp_path):
    cfg = SimpleNamespace(
        FRAME_CONTRAST="none",
        FILM_DIR=str(tmp_path),
        TR_S=1.0,
        FRAMES_PER_TR=4,
        THING="face",
        USE_PIXEL_LABELS=True,
        PERTURBED_REGIONS=(),
    )
    (tmp_path / "task-a_face-annotation.1D").write_text("2.0 3.0\n7.3 1.0\n")
    return cfg, pd.DataFrame({"film": "a", "chunk": np.arange(10)})


def test_a_thing_is_there_if_it_is_on_the_screen_with_the_middle_frame(screen):
    cfg, table = screen
    np.testing.assert_allclose(things.target_times_s(table, cfg), np.arange(10) + 0.25)
    assert np.flatnonzero(things.has_thing(table, cfg)).tolist() == [2, 3, 4, 8]
    with pytest.raises(NeuroFaceError, match="task-b_face-annotation.1D is not there"):
        things.has_thing(pd.DataFrame({"film": ["b"], "chunk": [0]}), cfg)


def test_labels_of_pixels_are_the_last_before_the_moment(screen, tmp_path):
    cfg, table = screen
    assert things.label_pixels(table, cfg, 4) is None
    labels = np.zeros((3, 8, 8), np.uint8)
    labels[1, :4], labels[2, :, 4:] = 1, 3
    np.savez(tmp_path / "a_things.npz", times_s=[0.0, 2.25, 5.0], labels=labels)
    found = things.label_pixels(table, cfg, 4)
    assert not found[:2].any() and (found[2:5, :2] == 1).all() and (found[5:, :, 2:] == 3).all()
    assert things.names_of_labels(table, cfg) == {1: "face"}
    cfg.USE_PIXEL_LABELS = False
    assert things.label_pixels(table, cfg, 4) is None
    cfg.USE_PIXEL_LABELS = True
    names = ["none", "head", "tree", "car"]
    np.savez(tmp_path / "a_things.npz", times_s=[0.0], labels=labels, names=names)
    assert things.names_of_labels(table, cfg) == {0: "none", 1: "face", 2: "tree", 3: "car"}
    with pytest.raises(NeuroFaceError, match="does not hold times_s"):
        things.label_pixels(table, cfg, 4)


def test_edges_and_motion_are_where_they_are(screen, tmp_path):
    cfg, table = screen
    chunks = np.full((10, 4, 8, 8, 3), 100, np.uint8)
    chunks[3, :, :, ::2] = 200  # stripes that stand
    chunks[6, ::2] = 180  # a flicker without an edge
    np.save(tmp_path / "a.npy", chunks)
    strength = {
        name: things.concept_strength(table, tmp_path, name, cfg)
        for name in ("edges", "motion", "faces")
    }
    assert strength["edges"].argmax() == 3 and strength["motion"].argmax() == 6
    assert (np.delete(strength["motion"], 6) == 0).all() and strength["faces"].sum() == 4


# ---------------------------------------------------------------- the virtual localizer


def test_the_localizer_is_cohens_d_and_welchs_interval_over_pictures():
    rng = np.random.default_rng(6)
    first, second = rng.normal(1, 1, (12, 4)), rng.normal(0, 2, (15, 4))
    first[:, 3] = second[:, 3] = 0.5  # a voxel that answers nothing
    found = localizer.contrast(first, second)
    pooled = np.sqrt((11 * first.var(0, ddof=1) + 14 * second.var(0, ddof=1)) / 25)
    expected = (first - 0).mean(0)[:3] - second.mean(0)[:3]
    np.testing.assert_allclose(found[:3], expected / pooled[:3])
    assert found[3] == 0
    regions_of = {"one": np.array([True, False, False, False]), "none": np.arange(4) == 3}
    table = localizer.region_contrasts(first, second, regions_of, np.arange(4.0), 0)
    row = table.set_index("region").loc["one"]
    welch = stats.ttest_ind(first[:, 0], second[:, 0], equal_var=False)
    low, high = welch.confidence_interval(0.95)
    np.testing.assert_allclose([row["low"], row["high"]], [low, high])
    exact = stats.permutation_test(
        (first[:, 0], second[:, 0]), lambda a, b: a.mean() - b.mean(), n_resamples=4000,
        alternative="greater", rng=1,
    )  # fmt: skip
    assert row["p"] == pytest.approx(exact.pvalue, abs=0.02)
    silent = table.set_index("region").loc["none"]
    assert silent["p"] > 0.5 and np.isnan(silent["low"]) and np.isnan(silent["high"])


@pytest.mark.parametrize(
    "effect, measured, says",
    [
        (np.zeros(3), np.arange(3.0), "the map is the same in all voxels"),
        (np.arange(3.0), np.ones(3), "what was measured is the same in all voxels"),
        (np.arange(3.0), np.full(3, np.nan), "on the screen at all held-out moments, or at none"),
    ],
)
def test_a_localizer_where_nothing_varies_says_why_there_is_no_r(tmp_path, effect, measured, says):
    write_json(tmp_path / "localizer.json", localizer.agreement(effect, measured))
    found = read_json(tmp_path / "localizer.json")
    assert found["r_with_measured"] is None
    assert says in agreement_text(found) and "nan" not in agreement_text(found)


def test_a_localizer_agrees_by_the_correlation_over_voxels():
    effect, measured = np.array([0.0, 1.0, 2.0]), np.array([1.0, 2.0, 5.0])
    found = localizer.agreement(effect, measured)
    assert found["r_with_measured"] == pytest.approx(stats.pearsonr(effect, measured).statistic)
    assert agreement_text(found).endswith("correlate with r = 0.96.")


def test_pictures_of_a_localizer_are_still_chunks_as_the_network_sees_films(tmp_path):
    for kind in ("faces", "places"):
        (tmp_path / kind).mkdir()
        for number in range(4):
            picture = np.full((12, 10, 3), 10 * number, np.uint8)
            picture[:6] = 100
            Image.fromarray(picture).save(tmp_path / kind / f"{number}.png")
    pictures = localizer.read_pictures(tmp_path, "faces", 8, stretch=False)
    assert pictures.shape == (4, 8, 8, 3) and (pictures[2, 0] == 100).all()
    assert (pictures[2, -1] == 20).all()
    wide = localizer.read_pictures(tmp_path, "faces", 8, stretch=True)
    assert wide.min() == 0 and wide.max() == 255
    asked = []
    network = SimpleNamespace(
        predict_on_batch=lambda still: asked.append(still) or still.mean(axis=(1, 2, 3))
    )
    made = localizer.responses_to(network, pictures, 6, 3)
    assert [one.shape for one in asked] == [(3, 6, 8, 8, 3), (1, 6, 8, 8, 3)]
    np.testing.assert_allclose(made, pictures.mean(axis=(1, 2)), rtol=1e-6)
    with pytest.raises(NeuroFaceError, match="'houses', and .*houses holds 0 pictures"):
        localizer.read_pictures(tmp_path, "houses", 8, stretch=False)
    (tmp_path / "places" / "4.png").write_bytes(b"no picture")
    with pytest.raises(NeuroFaceError, match="4.png is no picture"):
        localizer.read_pictures(tmp_path, "places", 8, stretch=False)
