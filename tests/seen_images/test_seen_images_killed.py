"""Study "seen images": every script killed at any file that it writes, and numbers that are not finite.

A script runs in a copy of the test process (fork), which has imported everything, and kills itself
(SIGKILL) right after it has renamed or removed its n-th file. ``make test-full`` kills each script
at many more files.
"""

import os
import random
import runpy
import shutil
import signal
import traceback
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

from neuroface import NeuroFaceError
from neuroface.pipeline.files import PARTIAL, create_npy

import numpy as np
import pandas as pd
import pytest
from conftest import FULL, ROOT, differing, script_here, write_config

torch = pytest.importorskip("torch", reason="needs the extras of seen images: make images-test")
for extra in ("diffusers", "transformers", "himalaya", "skimage", "efficientnet_lite_pytorch"):
    pytest.importorskip(extra, reason="needs the extras of seen images: make images-test")
FOLDER = ROOT / "studies" / "seen_images"

from seen_images import demo  # noqa: E402
from seen_images.finite import check_finite  # noqa: E402
from seen_images.latents import decoded_latents  # noqa: E402

SCRIPTS = {int(path.name[0]): path for path in sorted(FOLDER.glob("[1-7]-*.py"))}
KILLED = -signal.SIGKILL
torch.set_num_threads(1)


@pytest.fixture(scope="module")
def smallest(tmp_path_factory):
    """The study of 4 test images and few training images, ridge regression alone; how many files each script names."""
    folder = tmp_path_factory.mktemp("killed")
    demo.write_demo(folder / "dataset", 42, 16, 4, noise_sd=0.7)
    settings = dict(
        DATASET_DIR=str(folder / "dataset"), DATA_DIR=str(folder), RUN_NAME="small", SPLIT="given",
        STANDARDIZE="voxel", IMAGE_DECODERS=("ridge",), IMAGE_DECODER="ridge", TEXT_DECODERS=("ridge",),
        TEXT_DECODER="ridge", CLIP_DECODERS=(), ALPHAS=(100.0,), DDIM_STEPS=2, N_DRAWS=1, ALSO_DRAW=(),
        N_BOOTSTRAP=100, N_SHUFFLES=20, RETRIEVAL_N=2, ATTRIBUTES=(), IG_STEPS=1, N_JOBS=1, N_EXAMPLES=1,
    )  # fmt: skip
    config = write_config(folder / "whole.py", **settings)
    n_operations = {number: killed_at(None, number, config) for number in SCRIPTS}
    return SimpleNamespace(root=folder / "small", settings=settings, n_operations=n_operations)


def killed_at(n: int | None, number: int, config: Path) -> int:
    """Run a script in a fork that kills itself after its ``n``-th file operation; None: to its end.

    Returns
    -------
    The exit code, negative for a signal; with None the number of file operations.
    """
    read_end, write_end = os.pipe()
    if not (child := os.fork()):
        operations = 0

        def counted(do):
            def then_die(*arguments, **options):
                nonlocal operations
                result = do(*arguments, **options)
                operations += 1
                if operations == n:
                    os.kill(os.getpid(), signal.SIGKILL)
                return result

            return then_die

        for name in ("replace", "rename", "unlink"):
            setattr(os, name, counted(getattr(os, name)))
        try:
            done = script_here(SCRIPTS[number], config)
            os.write(write_end, f"{operations} {done.stderr}".encode())
            os._exit(done.returncode)
        except BaseException:  # the child must not go on as a second test process
            os.write(write_end, traceback.format_exc().encode())
            os._exit(1)
    os.close(write_end)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with os.fdopen(read_end) as told:
        text = told.read()
    assert code in (0, KILLED), text
    return code if n is not None else int(text.split()[0])


def test_every_script_killed_anywhere_ends_with_the_same_results(smallest, tmp_path):
    rng = random.Random(5)
    other = write_config(tmp_path / "c.py", **smallest.settings | {"DATA_DIR": str(tmp_path)})
    for number, script in SCRIPTS.items():
        folder = tmp_path / "small" / read_folder(script)
        n_operations = smallest.n_operations[number]
        assert n_operations > 3
        kills = {rng.randrange(1, n_operations) for _ in range(8 if FULL else 1)}
        for n in sorted(kills):
            shutil.rmtree(folder, ignore_errors=True)
            assert killed_at(n, number, other) == KILLED
            done = script_here(script, other)
            assert done.returncode == 0, (number, n, done.stderr)
            assert not different(folder, smallest.root / folder.name), (number, n)
            assert not list(folder.rglob(f"{PARTIAL}*"))


def different(folder: Path, expected: Path) -> list[str]:
    """Names of results that are not the same; tables of decoders without the seconds that fitting took."""

    def without_seconds(file: Path) -> pd.DataFrame:
        return pd.read_csv(file, sep="\t").drop(columns="seconds")

    return [
        name
        for name in differing(folder, expected)
        if Path(name).name.removeprefix("table_") not in ("image.tsv", "text.tsv")
        or not without_seconds(folder / name).equals(without_seconds(expected / name))
    ]


def read_folder(script: Path) -> str:
    """``1-betas`` of ``1-load_betas.py``."""
    from seen_images.study import STUDY

    return next(step.folder for step in STUDY.steps if step.script == script.name)


def test_the_parts_of_the_pictures_are_joined_after_a_kill_at_every_file(smallest, tmp_path):
    """Script 2 with two parts of ten pictures: killed after each file of the join in turn, until it is through."""
    script = runpy.run_path(str(SCRIPTS[2]))
    images = script["list_images"](smallest.root / "1-betas", ())
    chunks = [images[:10], images[10:]]
    cfg = SimpleNamespace(IMAGE_DECODERS=("ridge",), TEXT_DECODERS=("ridge",), CLIP_DECODERS=(),
                          DATASET="demo", DATASET_DIR=smallest.settings["DATASET_DIR"], OTHER_SUBJECTS=())  # fmt: skip
    for chunk in chunks:
        for name, file in script["chunk_files"](tmp_path, chunk, cfg).items():
            shape = {"pixel-sum": (4, 4, 3), "image": (10, 4, 8, 8), "text": (10, 15, 64)}[name]
            np.save(file, np.full(shape, chunk.index[0], np.float32))
    finished = tmp_path / "images.tsv"
    for n in range(1, 9):
        child = os.fork()
        if not child:
            kill_after(n)
            script["join"](tmp_path, images, chunks, cfg, finished)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code == 0:
            break
        assert code == KILLED and len(list(tmp_path.glob("image-*.npy"))) == 2
    assert n > 4 and finished.exists()
    for name, shape in (("latents", (4, 8, 8)), ("text", (15, 64))):
        joined = np.load(tmp_path / f"{name}.npy")
        assert joined.shape == (20, *shape)
        assert (joined[:10] == 0).all() and (joined[10:] == 10).all()


def kill_after(n: int) -> None:
    """This process kills itself right after its ``n``-th file got its final name."""
    replace, done = os.replace, []

    def then_die(*arguments):
        replace(*arguments)
        done.append(1)
        if len(done) == n:
            os.kill(os.getpid(), signal.SIGKILL)

    os.replace = then_die


def test_what_a_kill_between_two_folders_left_is_replaced(tmp_path):
    """Script 0 saves the two towers of CLIP one after the other."""
    save_whole = runpy.run_path(str(FOLDER / "0-train_demo_generator.py"))["save_whole"]
    for text in ("first", "second"):
        save_whole(
            tmp_path / "tower", lambda to, text=text: (to.mkdir(), (to / "f").write_text(text))
        )
    assert (tmp_path / "tower" / "f").read_text() == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["tower"]


# ---------------------------------------------------------------- numbers that are not finite


def test_a_number_that_is_not_finite_stops_with_its_stage_and_place():
    values = np.zeros((2, 3))
    assert check_finite(values, "Script 9, x", "Do.") is values
    values[1, 2], values[1, 0] = np.inf, np.nan
    with pytest.raises(
        NeuroFaceError, match=r"Script 9, x hold 2 values of 6 .*nan at \(1, 0\) of \(2, 3\)\. Do\."
    ):
        check_finite(values, "Script 9, x", "Do.")


@pytest.mark.parametrize(
    "number, patched, message",
    [
        (3, "predict", "Script 3, ridge (image): decoded latents of the test images hold"),
        (6, "integrated_gradients", "Script 6, attributions of image along seen hold"),
    ],
)
def test_a_script_names_itself_where_its_numbers_are_not_finite(
    smallest, tmp_path, monkeypatch, number, patched, message
):
    """What the networks and measures of each script return is replaced by NaN; the other scripts check their inputs."""
    import seen_images.attribution
    import seen_images.training

    nothing = {
        "predict": lambda network, voxels, *rest: np.full((len(voxels), 256), np.nan),
        "integrated_gradients": lambda decoder, voxels, *rest: (voxels * np.nan, voxels[:, 0]),
    }
    for module in (seen_images.attribution, seen_images.training):
        if hasattr(module, patched):
            monkeypatch.setattr(module, patched, nothing[patched])
    shutil.copytree(smallest.root, tmp_path / "small")
    folder = tmp_path / "small" / read_folder(SCRIPTS[number])
    shutil.rmtree(folder)
    config = write_config(tmp_path / "c.py", **smallest.settings | {"DATA_DIR": str(tmp_path)})
    stopped = script_here(SCRIPTS[number], config)
    assert stopped.returncode == 1 and message in stopped.stderr, stopped.stderr
    assert len(stopped.stderr.splitlines()) == 1


def test_a_measure_that_is_not_finite_names_script_5(tmp_path, monkeypatch):
    script = runpy.run_path(str(SCRIPTS[5]))
    monkeypatch.setitem(
        script["compare_pairs"].__globals__, "pair_scores", lambda *rest: np.array([np.nan])
    )
    files = SimpleNamespace(
        images=["a", "b", "c"], kinds=["decoded"], folders=[tmp_path], of=lambda kind, row: np.zeros((1, 8, 8, 3))
    )  # fmt: skip
    cfg = SimpleNamespace(N_JOBS=1, SEED=1)
    with pytest.raises(NeuroFaceError, match="Script 5, SSIM of decoded hold 63 values of 63"):
        script["compare_pairs"](files, {}, cfg, ("decoded", "SSIM"))
    assert not list(tmp_path.rglob("*.npy"))


def test_a_generator_whose_loss_is_not_finite_is_not_saved():
    progress = runpy.run_path(str(FOLDER / "0-train_demo_generator.py"))["Progress"]("vae", 9)
    progress(1, 0.5)
    with pytest.raises(NeuroFaceError, match="Script 0, vae: the loss is nan at step 2 of 9"):
        progress(2, float("nan"))


# ---------------------------------------------------------------- what drawing reads


def test_drawing_reads_the_rows_of_its_test_images_alone(tmp_path):
    """Embeddings of 100 MB on the disk: drawing three images takes less than 0.1 MB of them into memory."""
    folders = [tmp_path / name for name in ("1-betas", "2-embeddings", "3-decoders")]
    (folders[2] / "image").mkdir(parents=True)
    folders[1].mkdir()
    create_npy(folders[1] / "latents.npy", (25_000, 4, 16, 16)).flush()
    create_npy(folders[2] / "image" / "ridge.npy", (1000, 1024)).flush()
    cfg = SimpleNamespace(IMAGE_DECODER="ridge", SELECTION="inner")
    tracemalloc.start()
    decoded = decoded_latents(folders, "image", [7, 3, 999], cfg)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert decoded.shape == (3, 4, 16, 16) and peak < 100_000
    script = SCRIPTS[4].read_text()
    assert "open_problem" not in script  # which reads the latents of all training images
