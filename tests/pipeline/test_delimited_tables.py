"""Comma-separated tables that other programs or people wrote: no row vanishes, as with tabs."""

import csv

from neuroface import NeuroFaceError
from neuroface.pipeline import numbers, one_line, read_delimited_table, read_header, read_text_table

import numpy as np
import pandas as pd
import pytest

ROWS = [
    ("1", "a word"),
    ("2", "two, words"),
    ("3", 'a "quoted" word'),
    ("4", "two\nlines"),
    ("5", "null"),
    ("6", "NA"),
]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.csv"


def test_a_table_of_the_csv_module_comes_back(path):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([("n", "word"), *ROWS])
    assert list(read_delimited_table(path, ("word",)).itertuples(index=False, name=None)) == ROWS


def test_a_table_of_pandas_comes_back(path):
    table = pd.DataFrame(
        {"x": np.arange(3) / 7, "box": ["(0, 0.5)", "(1, 2)", 'say "so"'], "y": [1.0, np.nan, 3.0]}
    )
    table.to_csv(path)  # with an unnamed column of row numbers
    read = read_delimited_table(path, ("x", "box"))
    assert numbers(read, "x", path).tolist() == table["x"].tolist()
    assert read["box"].tolist() == table["box"].tolist() and read["y"].isna().tolist() == [
        False,
        True,
        False,
    ]


@pytest.mark.parametrize(
    "words",
    [['"Wait', "b", "c", 'now"', "e"], ["a", '"', "c", "d", "e"], ["a", "b", 'c"', "d", '"e']],
)
def test_marks_without_a_partner_swallow_no_row(path, words):
    path.write_text("n,word\n" + "".join(f"{n},{word}\n" for n, word in enumerate(words)))
    table = read_delimited_table(path)
    assert table["n"].tolist() == list("01234") and table["word"].tolist() == words


def test_marks_that_join_cells_of_a_full_row_are_text(path):
    path.write_text('a,b,c\n"x,y",z,1\n"x,y",z\n')
    assert read_delimited_table(path).to_numpy().tolist() == [["x,y", "z", "1"], ['"x', 'y"', "z"]]


def test_names_with_line_breaks_are_written_on_one_line(path):
    names = ["voxel_id", "V1", "glasser-p9-\n46v", "glasser-a9-\n46v"]
    pd.DataFrame([[0, 1, 0, 1]], columns=names).to_csv(path, index=False)
    assert read_header(path) == names
    assert list(read_delimited_table(path)) == [
        "voxel_id",
        "V1",
        "glasser-p9-46v",
        "glasser-a9-46v",
    ]
    assert one_line("left\n fusiform ") == "left fusiform"


def test_byte_order_marks_blanks_and_short_rows(path):
    path.write_bytes("\ufeffstart, end ,label\r\n 1,2, FEAR \r\n\r\n3,4\r\n5,6,n/a,,\r\n".encode())
    table = read_delimited_table(path, ("end", "label"))
    assert table.index.tolist() == [2, 4, 5] and table["label"].tolist() == ["FEAR", None, None]


def test_semicolons_and_tabs_are_seen_in_the_header(path):
    path.write_text("index;name\n1;Left, inferior\n")
    assert read_delimited_table(path).to_numpy().tolist() == [["1", "Left, inferior"]]
    path.write_text('index\tname\n1\t"Left\n2\tright"\n')
    pd.testing.assert_frame_equal(read_delimited_table(path), read_text_table(path))


def test_what_is_wrong_is_named(path):
    path.write_text("a,b\n1,2\n1,2,3\n")
    with pytest.raises(NeuroFaceError, match=r"a\.csv, line 3 has 3 cells, the header 2"):
        read_delimited_table(path)
    with pytest.raises(NeuroFaceError, match=r"lacks the column 'c'; it has \['a', 'b'\]"):
        read_delimited_table(path, ("c",))
    path.write_text("")
    with pytest.raises(NeuroFaceError, match="is empty"):
        read_delimited_table(path)
    path.write_bytes("a,b\nß,1\n".encode("latin-1"))
    with pytest.raises(NeuroFaceError, match="is not a table in UTF-8"):
        read_delimited_table(path)
