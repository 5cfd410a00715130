"""The arrays of a data set are checked before models are trained on them."""

from neuroface import NeuroFaceError
from neuroface.decoding import read_samples
from neuroface.pipeline import write_npy, write_table

import numpy as np
import pandas as pd
import pytest

N = 130  # more than two chunks of rows


@pytest.fixture
def folder(tmp_path):
    write_npy(tmp_path / "X.npy", np.ones((N, 3), np.float32))
    write_npy(tmp_path / "y.npy", np.zeros(N, np.int8))
    write_table(tmp_path / "samples.tsv", pd.DataFrame({"label": ["a"] * N}))
    return tmp_path


def test_a_whole_data_set_gives_its_table(folder):
    assert read_samples(folder, "volumes", "script 2", "script 1")["label"].tolist() == ["a"] * N


def test_arrays_of_different_lengths_are_named(folder):
    write_npy(folder / "y.npy", np.zeros(N - 1, np.int8))
    with pytest.raises(NeuroFaceError, match="130 volumes, y.npy 129, .* rerun script 2"):
        read_samples(folder, "volumes", "script 2", "script 1")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_found_in_any_chunk(folder, value):
    X = np.ones((N, 3), np.float32)
    X[129, 2] = value
    write_npy(folder / "X.npy", X)
    with pytest.raises(NeuroFaceError, match="near row 128. Rerun script 1"):
        read_samples(folder, "volumes", "script 2", "script 1")
