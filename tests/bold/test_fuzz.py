"""Headers and annotations of any content: what is read is sound, or the error is this project's own.

``make test-full`` tries 10,000 cases of each (``NEUROFACE_FULL=1``).
"""

import gzip
import struct

from neuroface import NeuroFaceError
from neuroface.bold import Run, annotations, check_tr, images as bold, windows
from neuroface.bold.labels import Labels

import nibabel as nib
import numpy as np
import pytest
from conftest import FULL
from hypothesis import HealthCheck, given, settings, strategies as st

SHAPE, N_TRS, AFFINE = (4, 3, 3), 5, np.diag([3.0, 3, 3, 1])
fuzz = settings(
    max_examples=10_000 if FULL else 150,
    deadline=None,
    derandomize=not FULL,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    database=None,
)


def image_bytes(shape) -> bytes:
    data = np.random.default_rng(0).integers(1, 100, shape).astype(np.float32)
    image = nib.Nifti1Image(data, AFFINE)
    image.header.set_xyzt_units("mm", "sec")
    return image.to_bytes()


WHOLE, WHOLE_MASK = image_bytes((*SHAPE, N_TRS)), image_bytes(SHAPE)
FIELDS = [(nib.Nifti1Header.template_dtype.fields[name][1], nib.Nifti1Header.template_dtype[name])
          for name in nib.Nifti1Header.template_dtype.names]  # fmt: skip
NASTY = [struct.pack("<f", x) for x in (np.nan, np.inf, -np.inf, 0, -1, 1e38, 1e-38, 352, 1e9)]
NASTY += [struct.pack("<h", x) for x in (0, -1, 1, 7, 32767, -32768, 4, 16, 64, 2304)] + [
    bytes(4),
    b"\xff" * 4,
]


@st.composite
def changed(draw, whole: bytes):
    """A file with some header fields overwritten, by nasty values or by anything; maybe cut, maybe compressed."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        offset, dtype = draw(st.sampled_from(FIELDS))
        item = dtype.base.itemsize
        at = offset + item * draw(st.integers(0, max(0, dtype.itemsize // item - 1)))
        new = draw(st.sampled_from(NASTY) | st.binary(min_size=1, max_size=max(1, min(item, 8))))
        data[at : at + len(new)] = new
    if draw(st.booleans()) and draw(st.booleans()):
        del data[draw(st.integers(0, len(data))) :]
    return bytes(data), draw(st.booleans())


def write(folder, content: bytes, packed: bool):
    path = folder / ("f.nii.gz" if packed else "f.nii")
    path.write_bytes(gzip.compress(content, 1) if packed else content)
    return path


@pytest.mark.filterwarnings("ignore")
@fuzz
@given(file=changed(WHOLE))
def test_a_series_with_any_header_is_read_or_refused(tmp_path, file):
    path = write(tmp_path, *file)
    mask = np.ones(SHAPE, dtype=bool)
    try:
        image, shape = bold.open_header(path)
        check_tr(Run("sub-1", "x", "1", "sub-1_task-x", path, None, ()), image, shape[3], 1.0)
        matrix = bold.read_masked(path, mask, AFFINE)
    except NeuroFaceError as error:
        assert str(path) in str(error) and "\n" not in str(error)
    else:
        assert matrix.shape == (mask.sum(), shape[3]) and np.isfinite(matrix).all()


@pytest.mark.filterwarnings("ignore")
@fuzz
@given(file=changed(WHOLE_MASK))
def test_a_mask_with_any_header_is_read_or_refused(tmp_path, file):
    path = write(tmp_path, *file)
    try:
        mask, affine = bold.read_mask(path)
    except NeuroFaceError as error:
        assert str(path) in str(error) and "\n" not in str(error)
    else:
        assert mask.dtype == bool and mask.ndim == 3 and mask.any() and np.isfinite(affine).all()


number = (
    st.floats().map(repr)
    | st.integers().map(str)
    | st.sampled_from(["1e999", "-0", "0x1p3", "1_0", "１", "1,5", "n/a"])
)
line = st.lists(number | st.text(max_size=5), max_size=4).flatmap(
    lambda parts: st.sampled_from([" ", "\t", ",", "  "]).map(lambda between: between.join(parts))
)
sound_line = st.tuples(st.integers(0, 50_000), st.integers(0, 500)).map(
    lambda row: f"{row[0] / 5} {row[1] / 5}"
)
annotation = (
    st.lists(line | sound_line, max_size=6)
    .map("\n".join)
    .map(lambda t: t.encode("utf-8", "surrogatepass"))
)


def assert_sound(stretches) -> None:
    """Sorted, apart, finite, and windows can be cut from them."""
    assert stretches.shape[1] == 2 and np.isfinite(stretches).all() and (stretches >= 0).all()
    assert (stretches[1:, 0] > stretches[:-1].sum(axis=1)).all()
    table = windows.window_table(stretches, None, Labels("face", "noface"), 10.0, 1.0, 4.0)
    assert (table["first_tr"] >= 0).all() and table["first_tr"].is_monotonic_increasing


@pytest.mark.filterwarnings("ignore")
@fuzz
@given(content=annotation | st.binary(max_size=60))
def test_an_annotation_of_any_text_is_read_or_refused(tmp_path, content):
    path = tmp_path / "task-x_face-annotation.1D"
    path.write_bytes(content)
    try:
        stretches = annotations.read_1d(path)
    except NeuroFaceError as error:
        assert str(path) in str(error)
    else:
        assert_sound(stretches)


cell = st.sampled_from(["face", "house", "0", "12.5", "n/a", "-3", "", "1e300"]) | st.text(
    max_size=4
)
cells = st.lists(cell, min_size=1, max_size=5).map("\t".join)
sound_row = sound_line.map(lambda line: "\t".join([*line.split(), "face"]))
events = st.lists(cells | sound_row, max_size=6).map(
    lambda rows: "\n".join(["onset\tduration\ttrial_type", *rows]).encode("utf-8", "surrogatepass")
)
marks = st.lists(st.sampled_from(["0", "1", "2", "x", "", "1 0", "nan"]), max_size=8).map("\n".join)


@pytest.mark.filterwarnings("ignore")
@fuzz
@given(content=events | st.binary(max_size=60))
def test_an_events_table_of_any_text_is_read_or_refused(tmp_path, content):
    path = tmp_path / "sub-1_task-x_events.tsv"
    path.write_bytes(content)
    try:
        stretches = annotations.read_events(path, ("face",))
    except NeuroFaceError as error:
        assert str(path) in str(error)
    else:
        if len(stretches):
            assert_sound(stretches)


@pytest.mark.filterwarnings("ignore")
@fuzz
@given(content=marks, n=st.integers(0, 8))
def test_a_censor_list_of_any_text_is_read_or_refused(tmp_path, content, n):
    path = tmp_path / "censored_timepoints.1D"
    path.write_text(content)
    try:
        kept = windows.read_censor(path, n)
    except NeuroFaceError as error:
        assert str(path) in str(error)
    else:
        assert kept.dtype == bool and kept.sum() == n
