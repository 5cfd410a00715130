"""What ``--check`` says of problems that many files share."""

from types import SimpleNamespace

from neuroface import NeuroFaceError
from neuroface.face_study.study import STUDY
from neuroface.pipeline.checklist import Checklist, alike
from neuroface.pipeline.settings import command_of

import pytest


def test_a_problem_of_many_files_stands_once_with_their_names(tmp_path, capsys):
    cfg = SimpleNamespace(DATASET_DIR=str(tmp_path), DATA_DIR=str(tmp_path), RUN_NAME="x", N_JOBS=1)
    checklist = Checklist(STUDY, cfg)
    for n in range(90):
        checklist.wrong(f"/data/sub-{n}_bold.nii.gz: its header says TR = 0.8 s, TR_S is 1.5 s.")
    checklist.wrong("/data/sub-7_bold.nii.gz: cut off.")
    checklist.wrong("No run gives a window: none is long enough.")
    with pytest.raises(NeuroFaceError, match="92 problems"):
        checklist.finish()
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line.strip() for line in lines] == [
        "wrong: /data/sub-0_bold.nii.gz: its header says TR = 0.8 s, TR_S is 1.5 s.",
        "the same of 89 more: " + ", ".join(f"sub-{n}_bold.nii.gz" for n in range(1, 9)) + ", …",
        "wrong: /data/sub-7_bold.nii.gz: cut off.",
        "wrong: No run gives a window: none is long enough.",
    ]


def test_the_next_command_names_the_experiment_file(monkeypatch):
    monkeypatch.setenv("NEUROFACE_CONFIG", "our_film.py")
    assert command_of("2-load-data.py") == "NEUROFACE_CONFIG=our_film.py python 2-load-data.py"
    monkeypatch.delenv("NEUROFACE_CONFIG")
    assert command_of("2-load-data.py") == "python 2-load-data.py"


def test_only_problems_of_files_are_compared():
    sentences = ["First: the same reason.", "Second: the same reason."]
    sentences += [
        "/data/a.nii.gz was not fetched. Run: datalad get a.nii.gz",
        "ROI_FILE = /data/r.nii.gz is not there. Name a file.",
        "/data/x.nii is a volume, and BOLD has vertices: .dlabel.nii, or .label.gii",
        "/data/y.nii is not there, and BOLD has vertices: .dlabel.nii, or .label.gii",
    ]
    assert alike(sentences) == [(sentence, []) for sentence in sentences]
    of_lines = ["/data/a_events.tsv, line 5: onset n/a", "/data/b_events.tsv, line 7: onset n/a"]
    assert alike(of_lines) == [(of_lines[0], ["b_events.tsv, line 7"])]
