"""TensorFlow and JAX: the same weights give the same answers, and the stages run on both."""

import os
import subprocess
import sys

from neuroface.pipeline.files import open_npy, read_table

import numpy as np
import pytest
from conftest import FULL, ROOT, STAGES, popen_arguments, write_config

pytest.importorskip("jax", reason="JAX is an extra: pip install 'jax[cpu]'")

SHAPE = dict(n_voxels=40, window_trs=8, filters=(4, 4, 4), dense_units=8)
OTHERS = {
    "cnn3d": {"filters": (3, 3, 3), "dense_units": 4},
    "transformer": {"width": 8, "heads": 2, "depth": 1, "feed_forward": 8},
    "hybrid": {"filters": (3, 3, 4), "width": 8, "heads": 2, "depth": 1, "feed_forward": 8},
}
# Runs in a process of its own, because Keras takes its backend once. Files: X.npy, y.npy,
# fixed.keras → answers.npz.
ANSWER = """
import gc
import sys
from pathlib import Path
import numpy as np
from neuroface.attribution.integrated_gradients import IntegratedGradients
from neuroface.pipeline.backend import keras
from neuroface.decoding.folds import Fold
from neuroface.decoding.network import build_network, load_network, logit_network, predict_logits
from neuroface.decoding import training
from neuroface.decoding.training import train_network

gc.freeze()  # as in conftest.py: tracing need not look at what was imported
folder = Path(sys.argv[1])
X, y = np.load(folder / "X.npy", mmap_mode="r"), np.load(folder / "y.npy")
network = load_network(folder / "fixed.keras", *X.shape[1:])
methods = [IntegratedGradients(network, rule, 12, 5) for rule in ("right", "secant")]  # they must outlive a prediction
logits = predict_logits(logit_network(network), X, 16)
maps = np.concatenate([method(np.array(X[:4]), np.zeros_like(X[:4]), np.zeros(4))[0] for method in methods])
rows = np.arange(len(X))
fold = Fold(1, rows[:48], rows[48:64], rows[64:], "window")
trained = {}


def build(dtype):  # without dropout, which TensorFlow draws in the precision of what it drops
    network = build_network(40, 8, (4, 4, 4), 8, dtype)
    for layer in network.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    return network


cases = ("float32", 8, False), ("float32", 4, True), ("float32", 4, False), ("float16", 4, True)
for precision, per_pass, stored in cases:
    training.windows_fit = lambda *_: stored
    fitted, history, _, _ = train_network(
        X, y, fold, build, epochs=2, batch_size=8, learning_rates=(1e-3,),
        precision=precision, seed=3, per_pass=per_pass,
    )
    name = f"{precision}_{per_pass}" + "_stored" * stored
    trained[name] = predict_logits(logit_network(fitted), X[fold.test], 8)
    trained[f"{name}_losses"] = history[["val_loss", "loss"]]
for file in sorted(folder.glob("other-*.keras")):
    other = load_network(file, *X.shape[1:])
    trained[f"{file.stem}_logits"] = predict_logits(logit_network(other), X[:16], 16)
    fitted, others_history, _, _ = train_network(
        X, y, fold, lambda dtype: keras.models.clone_model(other), epochs=1, batch_size=8, learning_rates=(1e-3,),
        precision="float32", seed=3,
    )
    trained[f"{file.stem}_loss"] = others_history["loss"]
    ends = np.array(X[:2])
    trained[f"{file.stem}_maps"] = IntegratedGradients(other, "midpoint", 8, 16)(ends, 0 * ends, np.zeros(2))[0]
if keras.backend.backend() == "jax":
    import jax

    variables = [[v.value for v in part] for part in (network.trainable_variables, network.non_trainable_variables)]
    program = jax.jit(network.stateless_call).lower(*variables, X[:2, ..., None]).as_text()
    operations = [line for line in program.splitlines() if "stablehlo.convolution" in line or "stablehlo.dot" in line]
    full = [line.count("HIGHEST") == 2 for line in operations]
else:
    import tensorflow as tf

    full = [not tf.config.experimental.tensor_float_32_execution_enabled()]
np.savez(folder / f"{keras.backend.backend()}.npz", logits=logits, maps=maps, full_float32=full, **trained)
"""


def answers(folder, backend):
    # XLA's optimisations take longer than what they optimise here.
    variables = {"KERAS_BACKEND": backend, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    arguments = dict(env=os.environ | variables, cwd=ROOT, capture_output=True, text=True)
    done = subprocess.run([sys.executable, "-c", ANSWER, folder], **arguments)
    assert done.returncode == 0, done.stderr
    return dict(np.load(folder / f"{backend}.npz"))


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    from neuroface.decoding.architectures import build
    from neuroface.decoding.network import build_network
    from neuroface.pipeline.backend import keras

    folder = tmp_path_factory.mktemp("backends")
    rng = np.random.default_rng(0)
    y = np.arange(80) % 2
    X = rng.standard_normal((80, SHAPE["n_voxels"], SHAPE["window_trs"])).astype(np.float32)
    X[:, 10:20] += 1.5 * y[:, None, None]
    np.save(folder / "X.npy", X)
    np.save(folder / "y.npy", y)
    keras.utils.set_random_seed(1)
    network = build_network(**SHAPE)
    network.set_weights([w + 0.1 * rng.random(w.shape) for w in network.get_weights()])
    network.save(folder / "fixed.keras")
    mask = np.arange(64).reshape(4, 4, 4) < SHAPE["n_voxels"]
    for name, options in OTHERS.items():
        build(name, mask, SHAPE["window_trs"], options).save(folder / f"other-{name}.keras")
    return {backend: answers(folder, backend) for backend in ("tensorflow", "jax")}


def test_the_same_weights_give_the_same_logits(both):
    tensorflow, jax = both["tensorflow"], both["jax"]
    assert tensorflow["logits"].std() > 0.01
    np.testing.assert_allclose(jax["logits"], tensorflow["logits"], atol=1e-4)


def test_the_same_weights_give_the_same_attributions(both):
    tensorflow, jax = both["tensorflow"], both["jax"]
    for mine, theirs in zip(jax["maps"], tensorflow["maps"]):
        assert np.linalg.norm(mine - theirs) < 1e-4 * np.linalg.norm(theirs)


@pytest.mark.parametrize("name", OTHERS)
def test_the_other_architectures_answer_alike(both, name):
    for what in ("logits", "maps"):
        theirs, mine = (both[backend][f"other-{name}_{what}"] for backend in ("tensorflow", "jax"))
        assert theirs.std() > 0
        assert np.linalg.norm(mine - theirs) < 1e-4 * np.linalg.norm(theirs)


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_training_works_on_both(both, backend):
    found = both[backend]
    assert all(np.isfinite(found[f"other-{name}_loss"]).all() for name in OTHERS)
    for name in ("float32_8", "float32_4"):  # a batch at once, and accumulated over two passes
        assert np.isfinite(found[name]).all() and found[name].std() > 0
        assert np.isfinite(found[f"{name}_losses"]).all()
    np.testing.assert_array_equal(
        found["float32_4_stored"], found["float32_4"]
    )  # all windows on the device


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_training_in_float16_takes_the_way_of_float32(both, backend):
    found = both[backend]
    np.testing.assert_allclose(
        found["float16_4_stored_losses"], found["float32_4_losses"], rtol=0.05
    )
    assert (found["float16_4_stored"] != found["float32_4"]).all()


@pytest.mark.parametrize(
    ("backend", "said"),
    [("torch", "backend is torch, on which the scripts do not run. Set KERAS_BACKEND to tensorflow or jax"),
     ("jax", "backend is jax, which is not installed. Set KERAS_BACKEND to tensorflow or jax, or install one.")],
)  # fmt: skip
def test_a_backend_that_is_not_there_is_said_in_one_line(tmp_path, backend, said):
    (tmp_path / "jax.py").write_text("raise ModuleNotFoundError('no', name='jax')")
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError('no', name='torch')")
    environment = os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": str(tmp_path)}
    arguments = dict(env=environment, cwd=ROOT, capture_output=True, text=True)
    done = subprocess.run([sys.executable, "3-train_voxel_time_cnn.py"], **arguments)
    assert done.returncode == 1 and said in done.stderr and done.stderr.count("\n") == 1, (
        done.stderr
    )


def test_float32_is_not_rounded_to_tensor_float_32_on_a_gpu(both):
    """JAX: each product of the compiled network asks for all bits. TensorFlow has one switch."""
    assert len(both["jax"]["full_float32"]) == 5  # three convolutions, two dense layers
    assert both["jax"]["full_float32"].all() and both["tensorflow"]["full_float32"].all()


@pytest.mark.skipif(not FULL, reason="takes a minute: make test-full")
def test_stages_4_and_8_run_on_jax_with_models_trained_on_tensorflow(tiny, tmp_path):
    """Their folders are linked into a study of its own, less what stages 4 and 8 wrote."""
    study = tmp_path / tiny.root.name
    study.mkdir()
    for number in (1, 2, 3):
        (study / STAGES[number][0]).symlink_to(tiny.root / STAGES[number][0])
    config = write_config(
        tmp_path / "jax.py", **tiny.settings | {"DATA_DIR": str(tmp_path), "ATTRIBUTION_CHECKS": ()}
    )
    arguments = popen_arguments(config)
    arguments["env"] |= {"KERAS_BACKEND": "jax"}
    for number in (4, 8):
        done = subprocess.run([sys.executable, ROOT / STAGES[number][1]], **arguments)
        assert done.returncode == 0, done.stderr
    errors = []
    for file in sorted(tiny.root.glob(f"{STAGES[4][0]}/*/*_ig.npy")):
        theirs, mine = open_npy(file), open_npy(study / file.relative_to(tiny.root))
        errors += [np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(mine, theirs)]
    # Where rounding decides a tie in a max-pooling or at a leaky rectifier's kink, one step's
    # gradient takes another way.
    assert np.median(errors) < 1e-5 and max(errors) < 0.05
    for file in sorted(tiny.root.glob(f"{STAGES[8][0]}/*_predictions.tsv")):
        theirs, mine = read_table(file), read_table(study / file.relative_to(tiny.root))
        np.testing.assert_allclose(mine["logit"], theirs["logit"], atol=1e-4)
