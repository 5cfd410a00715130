"""Study "seen images": brain correlation, from a drawn picture through an encoding model to voxels."""

from types import SimpleNamespace

from neuroface.pipeline import write_npy, write_table

import numpy as np
import pandas as pd
import pytest

torch = pytest.importorskip("torch", reason="needs the extras of seen images: make images-test")
for extra in ("diffusers", "transformers", "himalaya", "skimage"):
    pytest.importorskip(extra, reason="needs the extras of seen images: make images-test")

from seen_images import brain_scores  # noqa: E402
from seen_images.networks import load_decoder  # noqa: E402

torch.set_num_threads(1)
CFG = SimpleNamespace(
    N_FOLDS=3, SEED=1, ALPHAS=(0.1, 1.0, 10.0), DEVICE="cpu", N_BOOTSTRAP=200, N_SHUFFLES=40,
    INFERENCE_BATCH=32,
)  # fmt: skip


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Voxels that are a linear function of CLIP embeddings, signal and noise of SD 1: 200 training and 50 test images."""
    root, rng = tmp_path_factory.mktemp("brain"), np.random.default_rng(6)
    folders = [root / name for name in ("1-betas", "2-embeddings", "3", "4", "5-scores")]
    embedded = rng.standard_normal((250, 8)).astype(np.float32)
    signal = embedded @ rng.standard_normal((8, 30)) / np.sqrt(8)
    patterns = (signal + rng.standard_normal(signal.shape)).astype(np.float32)
    names = np.array([f"i{number}" for number in range(250)])
    split = np.where(np.arange(250) < 50, "test", "train")
    write_npy(folders[0] / "test.npy", patterns[:50])
    write_npy(folders[0] / "train.npy", patterns[50:])
    write_table(folders[0] / "trials.tsv", pd.DataFrame({"image": names[50:]}))
    write_table(folders[0] / "voxels.tsv", pd.DataFrame({"part": ["higher"] * 30, "roi": "LO"}))
    write_npy(folders[1] / "clip.npy", embedded)
    write_table(folders[1] / "images.tsv", pd.DataFrame({"image": names, "split": split}))
    brain_scores.fit_encoder(folders, CFG, "higher")
    return SimpleNamespace(folders=folders, embedded=embedded, root=root)


def correlations_of(planted, embedded):
    write_npy(planted.root / "clip.npy", embedded[:, None])
    files = SimpleNamespace(folders=planted.folders)
    return brain_scores.correlate(files, "higher", "x", planted.root / "clip.npy", CFG)


def test_the_seen_pictures_reach_the_correlation_that_the_noise_allows(planted):
    """Signal and noise of equal variance: √(1/2), less what 200 trials cannot teach."""
    seen = correlations_of(planted, planted.embedded[:50])
    assert np.diag(seen).mean() == pytest.approx(np.sqrt(0.5), abs=0.04)
    apart = seen[~np.eye(50, dtype=bool)]
    assert abs(apart.mean()) < 0.03
    mean = correlations_of(planted, np.tile(planted.embedded[50:].mean(axis=0), (50, 1)))
    assert np.allclose(mean, mean[0])  # the same picture for every pattern
    table = brain_scores.table_of_correlations(
        {"higher": {"seen": seen, "start": seen[::-1], "mean picture": mean}}, CFG
    ).set_index("kind")
    assert table.loc["seen", "difference_low"] > 0.5
    assert table.loc["start", "difference_high"] < 0.1  # pictures of other images
    assert table.loc["mean picture", "difference_value"] == pytest.approx(0, abs=1e-9)
    wrong = table.loc["shuffled brains"]
    assert wrong["low"] < wrong["value"] < wrong["high"]


def test_the_encoding_model_knows_no_test_image(planted):
    """Fitted to training trials alone: without the test images it is the same, to the last digit."""
    stored = load_decoder(brain_scores.encoder_file(planted.folders[4], "higher"))
    write_npy(planted.folders[0] / "test.npy", np.zeros((50, 30), np.float32))
    changed = planted.embedded.copy()
    changed[:50] = 0
    write_npy(planted.folders[1] / "clip.npy", changed)
    brain_scores.fit_encoder(planted.folders, CFG, "higher")
    again = load_decoder(brain_scores.encoder_file(planted.folders[4], "higher"))
    assert torch.equal(stored.last.weight, again.last.weight)
    assert torch.equal(stored.last.bias, again.last.bias)


def test_higher_voxels_need_clip_embeddings_and_clip(tmp_path):
    for name in ("latents.npy", "clip.npy"):
        write_npy(tmp_path / name, np.zeros(3))
    assert brain_scores.parts_at_hand(tmp_path, {"CLIP": "x"}) == ["early", "higher"]
    assert brain_scores.parts_at_hand(tmp_path, {}) == ["early"]
    (tmp_path / "clip.npy").unlink()
    assert brain_scores.parts_at_hand(tmp_path, {"CLIP": "x"}) == ["early"]
