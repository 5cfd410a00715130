"""Bad input, case by case, through the scripts: one line that names the culprit and says what to do, or a listed exclusion.

Each case damages one thing in a small data set, in the settings, or in the results of an earlier
script. A refusal must leave nothing half-written; where the input is only unusual, the windows must
be those of the plain data set.
"""

import gzip
import json
import re
import shutil
import zipfile
from pathlib import Path

from neuroface.decoding.network import build_network, save_network
from neuroface.pipeline.files import PARTIAL, read_json, write_json, write_npy
from neuroface.pipeline.provenance import MANIFEST, STAMP, describe_outputs, digest

import nibabel as nib
import numpy as np
import pytest
from conftest import STAGES, copy_of, run_here, write_config

WHO, FILM = "sub-4", "orchard"
SERIES = f"derivatives/{WHO}/func/{WHO}_task-{FILM}_bold_preprocessedICA.nii.gz"
MASK = f"derivatives/{WHO}/anat/{WHO}_T1w_mask.nii.gz"
ANNOTATION = f"stimuli/task-{FILM}_face-annotation.1D"


# ---------------------------------------------------------------- what can be done to a file


def content(new: bytes):
    return lambda path: path.write_bytes(new)


def text(change):
    return lambda path: path.write_text(change(path.read_text()))


def raw(change):
    """Change the bytes behind the compression."""

    def damage(path):
        path.write_bytes(gzip.compress(change(bytearray(gzip.decompress(path.read_bytes()))), 1))

    return damage


def header(**fields):
    """Set header fields; ``dim__1=7`` is element 1 of ``dim``."""

    def change(data):
        head = nib.Nifti1Header(bytes(data[:348]), check=False)
        for name, value in fields.items():
            field, _, i = name.partition("__")
            if i:
                head[field][int(i)] = value
            else:
                head[field] = value
        return head.binaryblock + data[348:]

    return raw(change)


def values(change, dtype=None, endianness="<", affine=None):
    """Change an image's values, type or place, and save it anew."""

    def damage(path):
        image = nib.load(path)
        data = change(image.get_fdata())
        new = nib.Nifti1Header(endianness=endianness)
        new.set_data_dtype(np.dtype(dtype or np.float32).newbyteorder(endianness))
        new = nib.Nifti1Image(data, image.affine if affine is None else affine, new)
        new.header.set_xyzt_units("mm", "sec")
        nib.save(new, path)

    return damage


def at_a_voxel(value):
    """Set one voxel, at three volumes, that lies in everybody's mask; None: to its own first value, for the whole run."""

    def change(data):
        voxel = np.unravel_index(np.argmax(data.std(axis=3)), data.shape[:3])
        data[voxel][5:8] = data[voxel][0] if value is None else value
        if value is None:
            data[voxel][:] = data[voxel][0]
        return data

    return values(change)


def lost_volume(data):
    data[..., 17] = 0
    return data


def only_a_corner(mask):
    corner = np.zeros_like(mask)
    corner[0, 0, 0] = 1
    return corner


def half_of(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_a_byte(path):
    packed = bytearray(
        gzip.compress(gzip.decompress(path.read_bytes()), 0)
    )  # stored: only the checksum can tell
    packed[len(packed) // 2] ^= 0xFF
    path.write_bytes(packed)


SHIFTED = np.diag([12.0, 12, 12, 1])
SHIFTED[0, 3] = 5.0
# (case, file, what happens to it, what the one line says besides the file's name, what it says to
# do)
REFUSED = [
    ("gzip cut in half", SERIES, half_of, "ends early|is damaged", "Download it again"),
    ("gzip with a byte flipped", SERIES, flip_a_byte, "is damaged", "Download it again"),
    ("zero bytes", SERIES, content(b""), "cannot be read as NIfTI", "again"),
    ("a web page in gzip's place", SERIES, content(b"<html>503</html>" * 40), "cannot be read as NIfTI", "again"),
    ("text, compressed", SERIES, content(gzip.compress(b"onset 3\n" * 90)), "cannot be read as NIfTI", "again"),
    ("wrong magic", SERIES, header(magic=b"xx1", sizeof_hdr=7), "cannot be read as NIfTI", "again"),
    ("fewer volumes than promised", SERIES, raw(lambda d: d[:-5000]), "after volume 19[0-9] of the 200", "again"),
    ("3D for 4D", SERIES, values(lambda d: d[..., 0]), "4D", "Put the series in its place"),
    ("a voxel of NaN", SERIES, at_a_voxel(np.nan), "1 of .* voxels of the mask hold NaN", "Repair the file"),
    ("a voxel of infinity", SERIES, at_a_voxel(np.inf), "1 of .* voxels of the mask hold NaN or inf", "EXCLUDE"),
    ("a volume of zeros", SERIES, values(lost_volume), "volume 18 is 0 in all voxels", "EXCLUDE"),
    ("nothing but zeros", SERIES, values(np.zeros_like), "volume 1 is 0 in all voxels", "EXCLUDE"),
    ("another place in space", SERIES, values(lambda d: d, affine=SHIFTED), "different positions in space", "Resample"),
    ("another grid", SERIES, values(lambda d: d[1:]), "has a grid of .* the mask", "Resample"),
    ("no place in space", SERIES, header(sform_code=1, srow_x=0, srow_y=0, srow_z=0), "no valid position", "again"),
    ("huge dimensions", SERIES, header(dim=[4, 32767, 32767, 32767, 32767, 1, 1, 1]), "more than a file of", "again"),
    ("dimensions below 1", SERIES, header(dim__1=-4), "states a shape of|cannot be read as NIfTI", "again"),
    ("complex values", SERIES, header(datatype=32, bitpix=64), "values of type complex64", "again"),
    ("no such type", SERIES, header(datatype=77), "cannot be read as NIfTI", "again"),
    ("offset before the file", SERIES, header(vox_offset=-900), "offset of -900|cannot be read as NIfTI", "again"),
    ("offset far behind the file", SERIES, header(vox_offset=4e9), "more than a file of", "again"),
    ("TR in ms, called s", SERIES, header(pixdim__4=1000.0), "TR = 1000 s, the setting TR_S is 1 s", "Correct TR_S"),
    ("another TR", SERIES, header(pixdim__4=2.5), "TR = 2.5 s, the setting TR_S is 1 s", "Correct TR_S"),
    ("annotation with a header", ANNOTATION, text(lambda t: "onset duration\n" + t), "two columns", "Correct the file"),
    ("annotation with commas", ANNOTATION, text(lambda t: t.replace(" ", ",")), "two columns", "Correct the file"),
    ("annotation, one column", ANNOTATION, content(b"1.0\n20.0\n"), "has 1 columns", "Correct the file"),
    ("annotation, three columns", ANNOTATION, content(b"1 2 3\n4 5 6\n"), "has 3 columns", "Correct the file"),
    ("annotation, negative onset", ANNOTATION, text(lambda t: "-3.0 1.0\n" + t), r"row 1: \[-3", "Correct the file"),
    ("annotation, NaN onset", ANNOTATION, text(lambda t: t + "nan 12.0\n"), r"row \d+: \[nan", "Correct the file"),
    ("annotation in ms", ANNOTATION, text(lambda t: t + "200000 1000\n"), "seconds of the film", "Correct the file"),
    ("annotation, empty", ANNOTATION, content(b""), "is empty", "Put the film's annotation there"),
    ("annotation that is no text", ANNOTATION, content(bytes(range(256)) * 9), "two columns", "Correct the file"),
    ("mask, empty", MASK, values(np.zeros_like), "is empty", "EXCLUDE"),
    ("mask, not binary", MASK, values(lambda d: d * 0.31), "values such as 0.31", "Threshold it"),
    ("mask of NaN", MASK, values(lambda d: d * np.nan), "values such as nan", "Threshold it"),
    ("mask, 4D", MASK, values(lambda d: np.stack([d, d], axis=3)), "a mask is 3D", "Name another file"),
    ("mask, cut off", MASK, lambda path: path.write_bytes(path.read_bytes()[:-20]), "cannot be read", "again"),
    ("mask, huge dimensions", MASK, header(dim=[3, 32767, 32767, 32767, 1, 1, 1, 1]), "more than a file of", "again"),
    ("mask on another grid", MASK, values(lambda d: d[1:]), "grid of", "EXCLUDE"),
    ("masks that share no voxel", MASK, values(only_a_corner), "No voxel lies in more", "MASK_THRESHOLD"),
    ("a person twice", SERIES, lambda p: shutil.copy(p, str(p).replace(FILM, "midnight").replace(WHO, "sub-3")),
     "is a copy of .*sub-3_task-midnight", "EXCLUDE"),
    ("a series as .nii and .nii.gz", SERIES, lambda p: p.with_suffix("").write_bytes(gzip.decompress(p.read_bytes())),
     "is there as .nii too", "Remove one"),
]  # fmt: skip
# (case, file, what happens to it, what is printed): the other people's windows are made
LEFT_OUT = [
    ("voxels that never change", SERIES, at_a_voxel(None), "1 of [0-9,]* voxels never change over the run and count as 0"),
    ("no annotation", ANNOTATION, lambda path: path.unlink(), f"no annotation {ANNOTATION}"),
    ("no mask", MASK, lambda path: path.unlink(), f"{WHO}: no anat/"),
    ("no BOLD", SERIES, lambda path: path.unlink(), f"{WHO}: no func/"),
    ("a film with no no-face window", ANNOTATION, content(b"2 180\n"), "no stretch of one class that is long enough"),
    ("annotation beyond the film", ANNOTATION, text(lambda t: t + "300 20\n340 15\n"), "windows that would run past"),
    ("a header without TR", SERIES, header(pixdim__4=0.0), "neither its header nor a sidecar states a TR; TR_S = 1 s"),
]  # fmt: skip
# (case, file, what happens to it, largest difference of z-scored windows): nothing to complain
# about
TAKEN = [
    ("big-endian", SERIES, values(lambda d: d, endianness=">"), 0),
    ("int16 with a slope", SERIES, values(lambda d: d, np.int16), 0.01),
    ("float64", SERIES, values(lambda d: d, np.float64), 0),
    ("TR in ms, called ms", SERIES, header(pixdim__4=1000.0, xyzt_units=2 + 16), 0),
    ("unsorted annotation", ANNOTATION, text(lambda t: "\n".join(reversed(t.split("\n")))), 0),
    ("overlapping annotation", ANNOTATION, text(lambda t: t + t), 0),
    ("windows line ends", ANNOTATION, text(lambda t: t.replace("\n", "\r\n")), 0),
]
# (settings, what the one line says)
SETTINGS = [
    ({"EPOCS": 3}, r"EPOCS is not a setting \(did you mean EPOCHS\?\)"),
    ({"EPOCHS": "3"}, "EPOCHS = '3': .*integer"),
    ({"TR_S": -1.0}, "TR_S = -1.0: .*greater than 0"),
    (
        {"WINDOW_TRS": 20},
        "WINDOW_TRS × TR_S = 20 s is longer than MIN_STRETCH_S = 10 s.*Lower WINDOW_TRS",
    ),
    ({"RUN_NAME": "../elsewhere"}, r"RUN_NAME = '\.\./elsewhere'"),
    (
        {"DATASET": "nndb-v1", "DATASET_DIR": "/nowhere"},
        "DATASET_DIR = /nowhere is not there. Set it",
    ),
    ({"EXCLUDE": ("sub-99",)}, "EXCLUDE names sub-99, who is not in"),
    ({"MASK_FILE": "/nowhere/mask.nii.gz"}, "/nowhere/mask.nii.gz cannot be read"),
    ({"MIN_STRETCH_S": 500.0}, "No run gives a window. Check .*MIN_STRETCH_S"),
]


def ids(cases):
    return [case[0] if isinstance(case[0], str) else str(case[0]) for case in cases]


@pytest.fixture
def study(small_dataset, tmp_path):
    """A copy of the small data set, and the config of a study of it."""
    shutil.copytree(small_dataset, tmp_path / "dataset")
    settings = {
        "DATASET_DIR": str(tmp_path / "dataset"),
        "DATA_DIR": str(tmp_path / "data"),
        "N_JOBS": 1,
    }
    return tmp_path / "dataset", write_config(tmp_path / "c.py", **settings), settings


@pytest.fixture(scope="module")
def plain_windows(small_dataset, tmp_path_factory):
    """Folder of the windows that script 1 makes of the undamaged data set."""
    folder = tmp_path_factory.mktemp("plain")
    config = write_config(
        folder / "c.py", DATASET_DIR=str(small_dataset), DATA_DIR=str(folder), N_JOBS=1
    )
    done = run_here(1, config)
    assert done.returncode == 0, done.stderr
    return folder / "demo" / STAGES[1][0]


def assert_refused(done, *says):
    """One line on stderr with all of ``says``, exit code 1."""
    assert done.returncode == 1, done.stdout
    line = done.stderr.strip()
    assert line.startswith("error: ") and "\n" not in line, line
    for pattern in says:
        assert re.search(pattern, line), f"{pattern!r} not in {line!r}"


def windows_in(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("sub-*/*_windows.*")}


def assert_nothing_half_written(folder, *, resumes=False):
    """No leftover, unless the script goes on with it; no stamp that says finished; every array whole."""
    assert resumes or not list(folder.rglob(f"{PARTIAL}*"))
    for stamp in folder.rglob(STAMP):
        assert not read_json(stamp)["finished"]
    for file in folder.rglob("sub-*.npy"):
        np.load(file)


@pytest.mark.filterwarnings("ignore:invalid value encountered")
@pytest.mark.parametrize(("case", "file", "damage", "says", "do"), REFUSED, ids=ids(REFUSED))
def test_a_bad_file_is_refused_and_mending_it_loses_no_work(
    study, small_dataset, plain_windows, case, file, damage, says, do
):
    folder, config, settings = study
    data = folder.parent / "data"
    damage(folder / file)
    named = "4 people" if "share no voxel" in case else Path(file).name.split(".")[0]
    assert_refused(run_here(1, config), named, says, do)
    assert_nothing_half_written(data)
    finished = {path: path.stat().st_mtime_ns for path in data.rglob("*.npy")}
    shutil.rmtree(folder)
    shutil.copytree(small_dataset, folder)
    done = run_here(1, config)
    assert done.returncode == 0, done.stderr
    assert all(path.stat().st_mtime_ns == then for path, then in finished.items())
    assert windows_in(data / "demo" / STAGES[1][0]) == windows_in(plain_windows)


@pytest.mark.parametrize(("case", "file", "damage", "says"), LEFT_OUT, ids=ids(LEFT_OUT))
def test_what_cannot_be_used_is_listed_and_the_rest_is_made(
    study, plain_windows, case, file, damage, says
):
    folder, config, _ = study
    damage(folder / file)
    done = run_here(1, config)
    assert done.returncode == 0 and re.search(says, done.stdout), done.stderr + done.stdout
    made, expected = (
        windows_in(folder.parent / "data" / "demo" / STAGES[1][0]),
        windows_in(plain_windows),
    )
    others = [name for name in expected if name.endswith(".tsv") and WHO not in name]
    assert len(others) == 3 and all(made[name] == expected[name] for name in others)


@pytest.mark.parametrize(("case", "file", "damage", "atol"), TAKEN, ids=ids(TAKEN))
def test_what_is_only_unusual_gives_the_same_windows(
    study, plain_windows, case, file, damage, atol
):
    folder, config, _ = study
    before = (folder / file).read_bytes()
    damage(folder / file)
    assert (folder / file).read_bytes() != before
    done = run_here(1, config)
    assert done.returncode == 0, done.stderr
    (expected,) = plain_windows.glob(f"{WHO}/*.npy")
    made = folder.parent / "data" / "demo" / STAGES[1][0] / WHO / expected.name
    np.testing.assert_allclose(np.load(made), np.load(expected), atol=atol)
    assert made.with_suffix(".tsv").read_text() == expected.with_suffix(".tsv").read_text()


@pytest.mark.parametrize(("changes", "says"), SETTINGS, ids=ids(SETTINGS))
def test_a_bad_setting_is_refused(study, changes, says):
    folder, _, settings = study
    config = write_config(folder.parent / "bad.py", **settings | changes)
    assert_refused(run_here(1, config), says)
    assert not list((folder.parent / "data").rglob("*.npy"))


# ---------------------------------------------------------------- results of an earlier script


def pickled(path):
    """An object array; unpickling it would raise."""
    np.save(path, np.array([Unpickled()], dtype=object), allow_pickle=True)


class Unpickled:
    def __reduce__(self):
        return pytest.fail, ("unpickled",)


def array(change):
    return lambda path: write_npy(path, change(np.load(path)))


def with_nan(array):
    array[3, 5, 2] = np.nan
    return array


def keras_file(change):
    """Change the parts of a ``.keras`` file: name → content."""

    def damage(path):
        with zipfile.ZipFile(path) as file:
            parts = {name: file.read(name) for name in file.namelist()}
        change(parts)
        with zipfile.ZipFile(path, "w") as file:
            for name, part in parts.items():
                file.writestr(name, part)

    return damage


def newer_keras(parts):
    parts["metadata.json"] = json.dumps({"keras_version": "99.0"}).encode()
    parts["config.json"] = parts["config.json"].replace(b"Dense", b"Denser")


def with_code(parts):
    config = json.loads(parts["config.json"])
    config["config"]["layers"][2] |= {
        "class_name": "Lambda",
        "config": {
            "function": {
                "class_name": "__lambda__",
                "config": {"code": "4wAA", "defaults": None, "closure": None},
            }
        },
    }
    parts["config.json"] = json.dumps(config).encode()


W = "1-windows/sub-1/sub-1_task-aurora_windows"
IG = "4-attributions/sub-1/sub-1_task-aurora_label-face_ig.npy"
MODEL, PREDICTIONS = "3-model/movie/best/fold-2.keras", "3-model/movie/best/predictions.tsv"
# (case, script that meets it, file, what happens to it, what it says, what it says to do)
ALTERED = [
    ("windows cut off", 2, f"{W}.npy", half_of, "bytes, [0-9,]* were written", "Delete it, then: python 1-"),
    ("windows gone", 2, f"{W}.npy", lambda p: p.unlink(), "is gone", "Run again: python 1-"),
    ("windows of somebody else", 2, f"{W}.npy", lambda p: shutil.copy(p, p.with_name("sub-1_task-x_windows.npy")),
     "task-x_windows.npy was not written by", "Move it elsewhere"),
    ("a brain map gone", 6, "5-brain-maps/sub-2/sub-2_task-aurora_label-face_window-0_ig.nii.gz", lambda p: p.unlink(),
     "is gone", "Run again: python 5-"),
    ("a stamp that is no JSON", 2, f"1-windows/{STAMP}", half_of, "is not JSON", "Delete it"),
    ("a stamp of something else", 2, f"1-windows/{STAMP}", content(b"[1]"), "was not written by a script", "Delete"),
    ("no manifest", 2, f"1-windows/{MANIFEST}", lambda p: p.unlink(), "is gone", "Run: python 1-"),
]  # fmt: skip
# The same where the manifest has been made to agree, as of files that were put together elsewhere.
ALTERED_AND_SIGNED = [
    ("windows that are pickled", 2, f"{W}.npy", pickled, "not a complete .npy array", "Delete it"),
    ("windows of other voxels", 2, f"{W}.npy", array(lambda a: a[:, 1:]), "holds windows of|the first run", "script 1"),
    ("more windows than rows", 2, f"{W}.npy", array(lambda a: np.concatenate([a, a])), "windows; .* rows", "script 1"),
    ("a table of bytes", 2, f"{W}.tsv", content(bytes(range(128, 256)) * 9), "is not a table", "Delete it"),
    ("a name that leads out", 2, f"{W}.tsv", text(lambda t: t.replace("sub-1\t", "../../sub-1\t")),
     "subject '../../sub-1' cannot be part of a file's name", "rerun"),
    ("X pickled", 3, "2-dataset/X.npy", pickled, "not a complete .npy array", "Delete it"),
    ("X with NaN", 3, "2-dataset/X.npy", array(with_nan), "NaN or infinite values near row 0", "Rerun script 1"),
    ("y too short", 3, "2-dataset/y.npy", array(lambda a: a[:-1]), "X.npy has 204 windows, y.npy 203", "rerun script 2"),
    ("a model of another shape", 4, MODEL, lambda p: save_network(p, build_network(50, 10, (2, 2, 2), 3)),
     r"takes windows of \(50, 10\); the data have \(1109, 10\)", "train again"),
    ("a model that is none", 4, MODEL, content(b"PK" * 300), "cannot be loaded as a Keras model", "train again"),
    ("a model of a newer Keras", 4, MODEL, keras_file(newer_keras), "Keras 99.0 saved it, this is Keras", "train again"),
    ("a model with code in it", 4, MODEL, keras_file(with_code), "cannot be loaded as a Keras model .*ambda", "train again"),
    ("a fold that leads out", 4, PREDICTIONS, text(lambda t: re.sub(r"\t\d(\t\S+\t\S+)$", r"\t../1\1", t, flags=re.M)),
     "has no fold '../1'", "train again"),
    ("attributions of another mask", 5, IG, array(lambda a: a[:, 1:]), "1108 voxels, the group mask 1109", "Rerun"),
    ("a map on another grid", 6, "5-brain-maps/sub-1/sub-1_task-aurora_label-face_window-0_ig.nii.gz",
     values(lambda d: d[1:]), "has a grid of", "Resample"),
    ("a group map cut off", 7, "6-averages/group_label-face_ig.nii.gz", half_of, "damaged|ends early", "again"),
    ("another group mask", 8, "1-windows/group_mask.nii.gz", values(lambda d: d * (np.cumsum(d).reshape(d.shape) > 1)),
     r"takes windows of \(1109, 10\); the data have \(1108, 10\)", "train again"),
]  # fmt: skip


def sign(root, folder):
    """Make manifest and stamp of a stage, and what later stages remember of it, agree with its files."""
    stage = root / folder
    write_json(
        stage / MANIFEST,
        read_json(stage / MANIFEST) | {"outputs": (outputs := describe_outputs(stage, {}))},
    )
    write_json(stage / STAMP, read_json(stage / STAMP) | {"digest": digest(outputs)})
    for stamp in root.glob(f"*/{STAMP}"):
        later = read_json(stamp)
        if folder in later["inputs"]:
            later["inputs"][folder] = digest(outputs)
            write_json(stamp, later)


@pytest.mark.parametrize(
    ("case", "number", "file", "damage", "says", "do", "signed"),
    [(*case, False) for case in ALTERED] + [(*case, True) for case in ALTERED_AND_SIGNED],
    ids=ids(ALTERED + ALTERED_AND_SIGNED),
)
def test_results_that_were_altered_are_refused(
    tiny, tmp_path, case, number, file, damage, says, do, signed
):
    root, config = copy_of(tiny, tmp_path)
    shutil.rmtree(root / STAGES[number][0])
    damage(root / file)
    if signed:
        sign(root, file.split("/")[0])
    assert_refused(run_here(number, config), says, do)
    assert_nothing_half_written(root / STAGES[number][0], resumes=number == 4)
