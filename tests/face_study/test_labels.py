"""Other labels than the default: the eight scripts decode music against speech, and no output speaks of the default."""

import io
import re
import shutil
import zipfile

from neuroface.bold.annotations import read_1d, read_stretches, touches
from neuroface.bold.labels import Labels
from neuroface.timeline.clock import gaps
from neuroface.timeline.figures import truth_text

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, STAGES, run_here, write_config

FILMS, PEOPLE = ("aurora", "harbour"), ("sub-1", "sub-2", "sub-3", "sub-4")
# Hashes may hold the word by chance.
HASH = r"\b[0-9a-f]{40,}\b"
NAMES = r"neuroface\w*|surface\w*|interface|8-moment_by_moment_face_prediction"
ALLOWED = re.compile(f"{HASH}|{NAMES}", re.IGNORECASE)
TEXT = (".tsv", ".json", ".html", ".log", ".py")


@pytest.fixture(scope="module")
def concert(tiny, tmp_path_factory):
    """The finished study of music (the tiny study's stretches) against speech (its gaps), and what the scripts printed."""
    folder = tmp_path_factory.mktemp("concert")
    stimuli = folder / "dataset" / "stimuli"
    stimuli.mkdir(parents=True)
    for film in FILMS:
        stretches = read_1d(tiny.dataset / "stimuli" / f"task-{film}_face-annotation.1D")
        np.savetxt(stimuli / f"task-{film}_music-annotation.1D", stretches, fmt="%.1f")
        np.savetxt(stimuli / f"task-{film}_speech-annotation.1D", gaps(stretches), fmt="%.1f")
    for person in PEOPLE:
        shutil.copytree(
            tiny.dataset / "derivatives" / person, folder / "dataset" / "derivatives" / person
        )
    regions = pd.read_csv(ROOT / "masks" / "face_rois.tsv", sep="\t").assign(
        roi="A1", source="test"
    )
    regions["roi"] = [f"A{i}" for i in range(len(regions))]
    regions.to_csv(folder / "auditory_regions.tsv", sep="\t", index=False)
    config = write_config(
        folder / "concert.py", DATASET="nndb-v1", DATASET_DIR=str(folder / "dataset"), DATA_DIR=str(folder / "data"),
        RUN_NAME="concert", LABELS=("music", "speech"), LABEL_EVENTS={"music": ("music",), "speech": ("speech",)},
        ROI_FILE=str(folder / "auditory_regions.tsv"), N_FOLDS=2, CV_SPLITS=("movie",), TRAINING_STEPS=12, BATCH_SIZE=8,
        CNN_FILTERS=(4, 4, 4), CNN_DENSE_UNITS=8, BASELINES=("linear", "rois"), N_PERMUTATIONS=20, IG_STEPS=8,
        LEARNING_RATE=0.003, CHECK_WINDOWS=2, WINDOW_TRS=4, ATTRIBUTION_CHECKS=("deletion",), N_FLIPS=20,
        N_RELABELLINGS=19, N_RANDOM_REGIONS=20, N_JOBS=1,
    )  # fmt: skip
    printed = {}
    for number in STAGES:
        done = run_here(number, config)
        assert done.returncode == 0, done.stderr
        printed[number] = done.stdout + done.stderr
    return folder / "data" / "concert", printed


def words_of(path) -> str:
    """The text of an output, without pictures and programs that are embedded in a page."""
    if path.suffix == ".keras":
        with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
            return "".join(
                archive.read(name).decode() for name in archive.namelist() if name.endswith(".json")
            )
    text = path.read_text()
    if path.suffix == ".html":
        text = re.sub(r'srcdoc="[^"]*"', "", text)
        text = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
        text = re.sub(r"data:[\w/+-]+;base64,[\w/+=]+", "", text)
    return text


def test_no_output_speaks_of_the_default_labels(concert):
    root, printed = concert
    looked_at = 0
    for path in sorted(root.rglob("*")):
        assert "face" not in ALLOWED.sub("", path.name), path
        if path.suffix in (*TEXT, ".keras"):
            looked_at += 1
            assert "face" not in ALLOWED.sub("", words_of(path)).lower(), path
        if path.name.endswith(".nii.gz"):
            assert b"face" not in nib.load(path).header.binaryblock
    assert looked_at > 60
    for text in printed.values():
        assert "face" not in ALLOWED.sub("", text).lower()


def test_results_and_sentences_have_the_labels(concert):
    root, printed = concert
    samples = pd.read_csv(root / "2-dataset" / "samples.tsv", sep="\t")
    assert set(samples["label"]) == {"music", "speech"}
    assert np.array_equal(
        np.load(root / "2-dataset" / "y.npy"), (samples["label"] == "music").astype(int)
    )
    assert "music, " in printed[2] and " speech windows" in printed[2]
    assert (root / "6-averages" / "group_contrast-music-minus-speech_ig_t.nii.gz").exists()
    assert (root / "3-model" / "linear" / "auditory-regions_ladder.json").exists()
    peaks = pd.read_csv(root / "6-averages" / "peaks.tsv", sep="\t")
    assert (
        "nearest_auditory_region" in peaks
        and peaks["nearest_auditory_region"].str.contains(" A").all()
    )
    timeline = pd.read_csv(root / "8-predictions" / "sub-1_task-aurora_predictions.tsv", sep="\t")
    assert set(timeline["music"].dropna()) == {0, 1}
    page = (root / "report.html").read_text()
    assert (
        "Decoding music against speech" in page
        and "music is present" in page
        and "the effect of music" in page
    )


def test_the_log_has_what_a_script_printed_and_the_versions(concert):
    root, printed = concert
    for number, (_, script) in STAGES.items():
        (log,) = (root / "logs").glob(f"{script.removesuffix('.py')}-*.log")
        text = log.read_text()
        assert f"# script: {script}" in text and re.search(r"^# numpy: \d", text, re.MULTILINE)
        for line in printed[number].splitlines():
            assert line in text, (script, line)


# ---------------------------------------------------------------- labels in sentences, events in
# files


def test_words_of_a_label_without_any_are_its_name():
    labels = Labels("music", "speech")
    assert (labels.singular, labels.plural, labels.is_there) == (
        "music",
        "music",
        "music is present",
    )
    assert labels.titles == ("music", "speech") and truth_text(labels) == "music present"


def test_several_annotation_files_of_one_label_are_joined(tmp_path):
    for name, rows in {"a": [[0, 5], [20, 2]], "b": [[4, 6], [30, 1]]}.items():
        np.savetxt(tmp_path / f"{name}.1D", rows)
    joined = read_stretches([("a", tmp_path / "a.1D"), ("b", tmp_path / "b.1D")])
    assert joined.tolist() == [[0, 10], [20, 2], [30, 1]]


def test_any_column_of_events_tsv_names_the_events(tmp_path):
    table = {
        "onset": [0, 12, 30],
        "duration": [11, 11, 11],
        "trial_type": ["x"] * 3,
        "place": ["in", "out", "in"],
    }
    pd.DataFrame(table).to_csv(tmp_path / "events.tsv", sep="\t", index=False)
    assert read_stretches([("in", tmp_path / "events.tsv")], "place").tolist() == [
        [0, 11],
        [30, 11],
    ]
    assert read_stretches([("on", tmp_path / "events.tsv")], "place").shape == (0, 2)


def test_an_interval_touches_a_stretch_that_it_overlaps_not_one_that_it_borders():
    stretches = np.array([[10.0, 5.0]])
    starts = np.array([0.0, 0.1, 14.9, 15.0, 12.0])
    assert touches(starts, 10.0, stretches).tolist() == [False, True, True, False, True]


def test_stretches_that_follow_each_other_do_not_overlap_because_a_log_has_two_decimals():
    # Stretches of 5.766 and 3.844 s, one behind the other from 11.436 s on, as a log with two
    # decimals states them.
    first, second = np.array([[11.44, 5.77]]), np.array([[17.20, 3.84]])
    assert first.sum() > second[0, 0]
    assert not touches(second[:, 0], 3.2, first).any()
