"""Tables that other programs wrote: no row vanishes, no column shifts, messages name the line of the file.

The cases come from public bug reports: free text with quotation marks, rests called ``null``,
spreadsheets' blanks and tabs.
"""

from neuroface import NeuroFaceError
from neuroface.bold import LabelEvents, stretches_of_labels, trial_types_of
from neuroface.bold.annotations import read_events
from neuroface.bold.run import Run
from neuroface.pipeline import numbers, read_text_table

import pytest

BLOCKS = [(10.0 + 28 * k, 14, ("face", "house")[k % 2]) for k in range(8)]


def write(path, rows, header="onset\tduration\ttrial_type", end="\n", encoding="utf-8"):
    lines = [header, *("\t".join(map(str, row)) for row in rows)]
    path.write_bytes((end.join(lines) + end).encode(encoding))
    return path


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(
            ["cat", '"Get out', "he said", "house", "tree", 'now!"', "end", "fin"],
            id="a pair over five rows",
        ),
        pytest.param(["cat", '"', "he", "house", "tree", "now", "end", "fin"], id="a mark alone"),
        pytest.param(
            ["cat", '"a whole cell"', "he", '""', "tree", "n/a", "end", "fin"],
            id="marks around cells",
        ),
    ],
)
def test_quotation_marks_swallow_no_row(tmp_path, words):
    rows = [(*block, word) for block, word in zip(BLOCKS, words)]
    path = write(tmp_path / "sub-1_task-x_events.tsv", rows, "onset\tduration\ttrial_type\tword")
    assert read_events(path, ("face",)).tolist() == [[10, 14], [66, 14], [122, 14], [178, 14]]
    assert len(read_text_table(path)) == 8


@pytest.mark.parametrize("rest", ["null", "None", "NA", "nan", "N/A", "NULL"])
def test_only_the_missing_value_of_bids_is_missing(tmp_path, rest):
    rows = [(onset, duration, {"house": rest}.get(name, name)) for onset, duration, name in BLOCKS]
    path = write(tmp_path / "events.tsv", [*rows, (300, 5, "n/a")])
    assert read_events(path, (rest,)).tolist() == [[38, 14], [94, 14], [150, 14], [206, 14]]
    assert trial_types_of(path) == ["face", rest]


@pytest.mark.parametrize("which", [range(8), range(1)], ids=["every row", "the first row"])
def test_a_tab_at_the_end_of_rows_shifts_no_column(tmp_path, which):
    rows = [(*block, "") if k in which else block for k, block in enumerate(BLOCKS)]
    path = write(tmp_path / "events.tsv", rows)
    assert len(read_events(path, ("face", "house"))) == 8


def test_blanks_around_names_do_not_count(tmp_path):
    rows = [
        (onset, duration, f" {name} " if onset < 100 else name) for onset, duration, name in BLOCKS
    ]
    path = write(tmp_path / "events.tsv", rows, "onset\t duration\ttrial_type ")
    assert len(read_events(path, ("face",))) == 4


def test_a_byte_order_mark_and_windows_line_ends(tmp_path):
    path = write(tmp_path / "events.tsv", BLOCKS, end="\r\n", encoding="utf-8-sig")
    assert len(read_events(path, ("face",))) == 4


def test_a_cell_in_marks_may_hold_a_tab(tmp_path):
    path = write(tmp_path / "a.tsv", [(1, '"two\twords"', 3)], "a\tb\tc")
    assert read_text_table(path).to_numpy().tolist() == [["1", "two\twords", "3"]]


def test_messages_name_the_line_of_the_file(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("onset\tword\n1\ta\n\n2,5\tb\n")
    table = read_text_table(path, ("onset",))
    assert table.index.tolist() == [2, 4]
    with pytest.raises(NeuroFaceError, match=r"a\.tsv, line 4: onset '2,5' is not a number"):
        numbers(table, "onset", path)


@pytest.mark.parametrize("cell", ["1_0", "0x1", "1 0", "12:30", "ten"])
def test_what_only_python_calls_a_number_is_refused(tmp_path, cell):
    path = write(tmp_path / "a.tsv", [(cell,)], "onset")
    with pytest.raises(NeuroFaceError, match="not a number"):
        numbers(read_text_table(path), "onset", path)


def test_a_negative_onset_is_valid_and_other_rows_may_lack_a_duration(tmp_path):
    path = write(
        tmp_path / "events.tsv", [(-6, 14, "face"), (30, "n/a", "fixation"), (40, 12, "face")]
    )
    assert read_events(path, ("face",)).tolist() == [[-6, 14], [40, 12]]


def study(path, **label_events):
    first, second = label_events
    conditions = LabelEvents((first, second), label_events, "trial_type", 2.0, 10.0)
    return Run("sub-1", "x", "1", "sub-1_task-x", path, None, (("", path),)), conditions


def test_names_that_differ_in_case_stop_the_run(tmp_path):
    rows = [
        (onset, duration, name.title() if onset > 100 else name) for onset, duration, name in BLOCKS
    ]
    path = write(tmp_path / "events.tsv", rows)
    with pytest.raises(
        NeuroFaceError, match=r"line 6: trial_type 'Face' is nearly 'face'.*name 'Face' as an event"
    ):
        stretches_of_labels(*study(path, face=("face",), noface=()))
    faces, gaps = stretches_of_labels(*study(path, face=("face", "Face"), noface=()))
    assert len(faces) == 4 and gaps is None


def test_conditions_that_differ_in_punctuation_stay_apart(tmp_path):
    path = write(tmp_path / "events.tsv", [(0, 5, "CS+"), (10, 5, "CS-"), (20, 5, "CS")])
    first, second = stretches_of_labels(*study(path, plus=("CS+",), minus=("CS-",)))
    assert (first.tolist(), second.tolist()) == ([[0, 5]], [[10, 5]])
