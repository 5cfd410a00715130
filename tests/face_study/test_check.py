"""``--check``: each kind of damage is named, a whole data set passes, and script 1 agrees with it."""

import gzip
import json
import os
import shutil
from types import SimpleNamespace

from neuroface import NeuroFaceError
from neuroface.bold import inspection
from neuroface.bold.images import read_masked
from neuroface.bold.run import Run
from neuroface.face_study import check
from neuroface.face_study.settings import FaceSettings
from neuroface.face_study.study import STUDY
from neuroface.pipeline.checklist import Checklist
from neuroface.pipeline.settings import load_settings

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from block_design import AFFINE, bids, save
from conftest import ROOT, run_here, write_config, wrong_lines


@pytest.fixture
def study(small_dataset, tmp_path):
    """A copy that a test may break, and its settings as a "demo", which no listing knows."""
    shutil.copytree(small_dataset, tmp_path / "dataset")
    config = write_config(
        tmp_path / "c.py",
        DATASET_DIR=str(tmp_path / "dataset"),
        DATA_DIR=str(tmp_path),
        N_JOBS=1,
        N_FOLDS=2,
    )
    return tmp_path / "dataset", load_settings(FaceSettings, ROOT / "config.py", config), config


def problems_of(config) -> list[str]:
    return wrong_lines(ROOT / STUDY.steps[0].script, config)


def bids_config(folder, **settings):
    blocks = dict(
        DATASET="bids", DATASET_DIR=str(folder / "dataset"), DATA_DIR=str(folder / "data"), RUN_NAME="r", TR_S=2.0,
        WINDOW_TRS=5, LABEL_EVENTS={"face": ("face",), "noface": ("house",)}, CV_SPLITS=("subject",), N_FOLDS=3,
        HELD_OUT_SPLIT="subject", MODELS=("linear_plus",), EXPLAINED_MODEL="linear_plus", BASELINES=("linear-mean",),
        N_PERMUTATIONS=20, SPACE="MNI", ROI_FILE=None, FILM_DIR=str(folder / "films"),
    )  # fmt: skip
    return write_config(folder / "c.py", **blocks | settings)


def first(folder, pattern):
    return sorted(folder.rglob(pattern))[0]


def test_a_whole_data_set_passes_and_every_person_is_listed(study):
    folder, cfg, config = study
    done = run_here(1, config, "--check")
    assert done.returncode == 0, done.stderr
    printed = done.stdout
    assert (
        "4 people with 4 runs that can be used, 4 films or tasks: aurora 1, harbour 1, midnight 1, orchard 1"
        in printed
    )
    own = [nib.load(f).get_fdata() > 0 for f in sorted(folder.rglob("*_T1w_mask.nii.gz"))]
    mask = np.mean(own, axis=0) > cfg.MASK_THRESHOLD
    assert f"group mask: {mask.sum():,} voxels" in printed
    without_first = np.logical_and.reduce(own[1:]).sum() - mask.sum()
    row = next(line.split() for line in printed.splitlines() if line.startswith("  sub-1 "))
    assert row[:4] == ["sub-1", "task-aurora", str(own[0].sum()), str(without_first)]
    assert "volumes: 200 (all runs)" in printed and "TR in the header, s: 1 (all runs)" in printed
    assert (
        "no run has: TR in the sidecar, s; volumes fewer than the raw run; confounds (columns)\n"
        in printed
    )
    assert "disk:" in printed and "memory:" in printed and "GPU:" in printed
    for step in STUDY.steps[:3]:
        assert f"python {ROOT / step.script}\n" in printed


def test_first_windows_are_those_that_script_1_cuts(tmp_path):
    """Second of the run and of the scan: an onset at 12 s, a lag of 4 s, a TR of 2 s → volume 8, second 16."""
    bids(tmp_path / "dataset")
    config = bids_config(tmp_path)
    printed = run_here(1, config, "--check").stdout
    assert (
        "first face window: 12 → 16 (all runs)" in printed
        and "first noface window: 38 → 42 (all runs)" in printed
    )
    assert run_here(1, config).returncode == 0
    table = pd.read_csv(
        tmp_path / "data/r/1-windows/sub-01/sub-01_task-loc_run-1_windows.tsv", sep="\t"
    )
    assert (
        table["first_tr"].tolist()[:2] == [8, 21]
        and f"face windows: {(table['label'] == 'face').sum()} " in printed
    )


def cut_off(file):
    file.write_bytes(file.read_bytes()[:-1000])


def shorten(file):
    """Whole as gzip, but with fewer volumes than its header says."""
    file.write_bytes(gzip.compress(gzip.decompress(file.read_bytes())[:-5000]))


def no_image(file):
    file.write_bytes(b"<html>503</html>" * 30)


def not_even_a_gzip_end(file):
    file.write_bytes(b"")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (cut_off, "is cut off or damaged"),
        (shorten, "is cut off or damaged"),
        (no_image, "cannot be read as NIfTI"),
        (not_even_a_gzip_end, "cannot be read as NIfTI"),
    ],
)
def test_a_damaged_series_is_named_and_the_others_pass(study, damage, says):
    folder, cfg, config = study
    file = first(folder, "*_bold_*.nii.gz")
    damage(file)
    problem, *others = problems_of(config)
    assert says in problem and str(file) in problem
    assert not [other for other in others if "sub-1" in other]


def test_a_damaged_mask_and_annotation_are_named(study):
    folder, _, config = study
    mask, annotation = first(folder, "sub-1_T1w_mask.nii.gz"), first(folder, "*harbour*.1D")
    cut_off(mask)
    annotation.write_text("4.0 12.2\nfive six\n")
    problems = problems_of(config)
    assert str(mask) in problems[0] and str(annotation) in problems[1]


# ---------------------------------------------------------------- script 1 reads what --check
# passes, and only that


def bgzip(content: bytes) -> bytes:
    """Several members of 64 KB and an empty last one, as samtools' bgzip and parallel writers make them."""
    parts = [content[start : start + 65_280] for start in range(0, len(content), 65_280)]
    return b"".join(gzip.compress(part) for part in [*parts, b""])


SERIES = {
    "plain": (".nii", lambda content: content),
    "gzip": (".nii.gz", gzip.compress),
    "several members": (".nii.gz", bgzip),
    "zeros behind the stream": (".nii.gz", lambda content: gzip.compress(content) + bytes(1024)),
    "zeros behind the volumes": (".nii", lambda content: content + bytes(512)),
    "zeros behind the volumes, packed": (
        ".nii.gz",
        lambda content: gzip.compress(content + bytes(512)),
    ),
    "cut off": (".nii.gz", lambda content: gzip.compress(content)[:-1000]),
    "cut off by its last byte": (".nii.gz", lambda content: gzip.compress(content[:-1])),
    "several members, one lost": (".nii.gz", lambda content: bgzip(content[:-70_000])),
    "several members, cut off": (".nii.gz", lambda content: bgzip(content)[:-3000]),
    "plain, cut off": (".nii", lambda content: content[:-1]),
    "cut off and filled with zeros": (
        ".nii.gz",
        lambda content: gzip.compress(content)[:-1000] + bytes(1000),
    ),
}


@pytest.mark.parametrize("kind", SERIES)
def test_a_series_passes_if_and_only_if_its_volumes_can_be_read(tmp_path, kind):
    """Field log, rows 34 and 35: --check called several members, and zeros behind a stream, damaged."""
    values = np.random.default_rng(1).standard_normal((6, 6, 6, 90)).astype(np.float32)
    save(tmp_path / "whole.nii", values)
    ending, pack = SERIES[kind]
    file = tmp_path / f"b{ending}"
    file.write_bytes(pack((tmp_path / "whole.nii").read_bytes()))
    try:
        read = read_masked(file, np.ones((6, 6, 6), bool), AFFINE)
    except NeuroFaceError:
        read = None
    assert (read is None) == ("cut off" in kind or "lost" in kind)
    if read is None:
        with pytest.raises(
            NeuroFaceError, match="is cut off or damaged: its header states 78,112 bytes"
        ):
            inspection.check_length(file, 352 + 6**3 * 90 * 4)
    else:
        np.testing.assert_array_equal(read, values.reshape(-1, 90))
        inspection.check_length(file, 352 + 6**3 * 90 * 4)


def test_a_whole_file_beyond_4_gib_is_not_decompressed(tmp_path):
    path = tmp_path / "b.nii.gz"
    content = gzip.compress(bytes(100))
    path.write_bytes(content[:-4] + (13 * 2**30 + 5).__mod__(2**32).to_bytes(4, "little"))
    inspection.check_length(path, 13 * 2**30 + 5)
    with pytest.raises(NeuroFaceError, match="cut off"):
        inspection.check_length(path, 13 * 2**30 + 6)


# ---------------------------------------------------------------- what else would stop scripts 1 to
# 3


def test_no_window_is_wrong_and_the_events_that_are_there_are_listed(tmp_path):
    bids(tmp_path / "dataset", events=("faces", "houses"))
    config = bids_config(tmp_path)
    (problem,) = problems_of(config)
    assert problem.startswith(
        "No run gives a window. Check LABEL_EVENTS, MIN_STRETCH_S and the annotations:"
    )
    assert "the longest stretch is none for face and none for noface" in problem
    for done in (run_here(1, config, "--check"), run_here(1, config)):
        assert (
            "no event 'face', which LABEL_EVENTS gives for 'face'; it has 'faces', 'houses'"
            in done.stdout
        )
        assert done.returncode == 1


def rewrite(file, change):
    head, *rows = file.read_text().splitlines()
    file.write_text("\n".join([head, *change(rows)]) + "\n")


def test_rows_that_stand_twice_give_one_window(tmp_path):
    """Copies of a window in training and in the held-out fold would be recognised, not decoded."""
    bids(tmp_path / "dataset", runs=(1,))
    config = bids_config(tmp_path, BALANCE="none")
    rewrite(first(tmp_path, "sub-02*_events.tsv"), lambda rows: rows + rows)
    printed = run_here(1, config, "--check").stdout
    assert "in all 18 face, 18 noface windows" in printed
    assert run_here(1, config).returncode == 0
    tables = [
        pd.read_csv(file, sep="\t")
        for file in sorted(tmp_path.glob("data/r/1-windows/*/*_windows.tsv"))
    ]
    assert [len(table) for table in tables] == [12, 12, 12]


def test_events_without_a_duration_are_wrong_and_the_lengths_are_named(tmp_path):
    bids(tmp_path / "dataset", runs=(1,))
    for file in tmp_path.rglob("*_events.tsv"):
        rewrite(file, lambda rows: [row.replace("\t16\t", "\t0\t") for row in rows])
    config = bids_config(tmp_path)
    (problem,) = problems_of(config)
    assert (
        "the longest stretch is 0 s for face and 0 s for noface" in problem
        and problem in run_here(1, config).stderr
    )


def test_a_voxel_without_a_number_is_wrong_as_script_1_says_it(tmp_path):
    bids(tmp_path / "dataset", runs=(1,))
    series = first(tmp_path, "sub-02*_bold.nii.gz")
    values = np.asarray(nib.load(series).dataobj).copy()
    values[1, 2, 3] = np.nan
    save(series, values, 2.0)
    config = bids_config(tmp_path)
    (problem,) = problems_of(config)
    assert (
        "1 of 64 voxels of the mask hold NaN or infinite values" in problem
        and problem in run_here(1, config).stderr
    )


def test_one_label_without_a_window_is_wrong_as_script_2_says_it(tmp_path):
    bids(tmp_path / "dataset", events=("face",))
    config = bids_config(tmp_path, BALANCE="none")
    (problem,) = problems_of(config)
    assert run_here(1, config).returncode == 0
    assert problem in run_here(2, config).stderr and "no noface window" in problem


def test_people_without_a_mask_are_named(tmp_path):
    bids(tmp_path / "dataset", people=2, mask=False)
    printed = run_here(1, bids_config(tmp_path, N_FOLDS=2), "--check").stdout
    assert (
        "no brain mask of 2 people (sub-01, sub-02): it will be computed from the BOLD" in printed
    )


def test_masks_that_share_no_voxel_are_wrong_as_script_1_says_it(tmp_path):
    bids(tmp_path / "dataset", people=2, runs=(1,))
    for number, mask in enumerate(sorted(tmp_path.rglob("*_mask.nii.gz"))):
        save(mask, np.arange(64).reshape(4, 4, 4) % 2 == number)
    config = bids_config(tmp_path, N_FOLDS=2)
    (problem,) = problems_of(config)
    assert "No voxel lies in more than 99%" in problem and problem in run_here(1, config).stderr


def test_a_mask_file_on_another_grid_is_wrong(tmp_path):
    bids(tmp_path / "dataset", people=2, runs=(1,))
    save(tmp_path / "m.nii.gz", np.ones((4, 4, 5)))
    config = bids_config(tmp_path, MASK_FILE=str(tmp_path / "m.nii.gz"), N_FOLDS=2)
    (problem,) = problems_of(config)
    assert "has a grid of (4, 4, 4) voxels, the mask (4, 4, 5)" in problem
    assert problem in run_here(1, config).stderr


@pytest.mark.parametrize(
    "settings, says",
    [
        (dict(CV_SPLITS=("movie",), HELD_OUT_SPLIT="movie"), "Split 'movie' has 1 group:"),
        (
            dict(CV_SPLITS=("event",), HELD_OUT_SPLIT="event", N_FOLDS=30, EMBARGO_TRS=0),
            "Split 'event' has 24 groups and N_FOLDS is 30",
        ),
    ],
)
def test_an_impossible_split_is_wrong_as_script_3_says_it(tmp_path, settings, says):
    bids(tmp_path / "dataset")
    config = bids_config(tmp_path, **settings)
    (problem,) = problems_of(config)
    assert says in problem
    assert run_here(1, config).returncode == run_here(2, config).returncode == 0
    assert problem in run_here(3, config).stderr


@pytest.mark.parametrize(
    "people, runs, why", [(3, (1, 2), "windows has none of"), (2, (1,), "is empty")]
)
def test_blocks_in_random_order_pass_and_their_event_split_is_named(tmp_path, people, runs, why):
    """Field log, row 1: 12 blocks of 16 s, 26 s apart, an embargo of 10; script 3 ended with an IndexError."""
    bids(tmp_path / "dataset", people, runs, order="random")
    config = bids_config(tmp_path, EMBARGO_TRS=10, BALANCE="none", N_FOLDS=people)
    done = run_here(1, config, "--check")
    (line,) = [
        line
        for line in done.stdout.splitlines()
        if "not possible, and not in CV_SPLITS: Split 'event'" in line
    ]
    assert done.returncode == 0 and why in line
    assert [run_here(number, config).returncode for number in (1, 2, 3)] == [0, 0, 0]
    metrics = json.loads((tmp_path / "data/r/3-model/metrics.json").read_text())
    assert any(why in reason for reason in metrics["not_possible"].values())


def test_a_run_that_lost_its_name_is_listed(tmp_path):
    bids(tmp_path / "dataset")
    first(tmp_path, "sub-02_task-loc_run-2_bold.nii.gz").rename(
        tmp_path / "dataset/sub-02/func/sub-02_loc2_bold.nii.gz"
    )
    printed = run_here(1, bids_config(tmp_path), "--check").stdout
    assert "left out: sub-02_loc2_bold.nii.gz: its name has no task-<name>" in printed
    assert "note: sub-02 has no run of loc_run-2, which 2 of 3 people have" in printed


def test_a_folder_that_cannot_be_written_is_wrong(tmp_path, monkeypatch):
    bids(tmp_path / "dataset", people=2, runs=(1,))
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    (problem,) = problems_of(bids_config(tmp_path, N_FOLDS=2))
    assert problem.startswith(f"DATA_DIR: {tmp_path} cannot be written")


def test_sidecars_raw_runs_and_confounds_are_shown(tmp_path):
    """fMRIPrep's names: the TR from the sidecar, half a TR of slice timing, four dropped volumes, three confounds."""
    bids(tmp_path / "dataset", people=2, runs=(1,))
    for person in ("sub-01", "sub-02"):
        func = tmp_path / "dataset" / "derivatives" / "fmriprep" / person / "func"
        stem = func / f"{person}_task-loc_run-1"
        func.mkdir(parents=True)
        save(
            f"{stem}_space-T1w_desc-preproc_bold.nii.gz",
            100 + np.random.default_rng(2).random((4, 4, 4, 166)),
            1.0,
        )
        save(f"{stem}_space-T1w_desc-brain_mask.nii.gz", np.ones((4, 4, 4)))
        sidecar = '{"RepetitionTime": 2.0, "StartTime": 1.0, "NumberOfVolumesDiscardedByUser": 4}'
        (func / f"{stem.name}_space-T1w_desc-preproc_bold.json").write_text(sidecar)
        (func / f"{stem.name}_desc-confounds_timeseries.tsv").write_text(
            "csf\twhite_matter\ttrans_x\n"
        )
    config = bids_config(
        tmp_path, DATASET_DIR=str(tmp_path / "dataset/derivatives/fmriprep"), N_FOLDS=2
    )
    printed = run_here(1, config, "--check").stdout
    assert "no run has" not in printed
    for line in ("TR in the header, s: 1", "TR in the sidecar, s: 2", "first volume shows second (film or run): 9",
                 "volumes fewer than the raw run: 4", "confounds (columns): desc-confounds_timeseries.tsv (3)",
                 "first face window: 12 → 6"):  # 12 + 4 − 9 = 7 s: volume 3, which begins at 6 s  # fmt: skip
        assert f"  {line} (all runs)" in printed


def test_costs_of_masks_are_what_the_group_gains_without_a_person(tmp_path):
    rng = np.random.default_rng(3)
    masks = rng.random((5, 4, 4, 4)) < 0.8
    runs = []
    for number, mask in enumerate(masks):
        save(tmp_path / f"{number}.nii", mask.astype(float))
        runs.append(
            Run(
                f"sub-{number}",
                "film",
                "1",
                f"sub-{number}_film",
                tmp_path,
                tmp_path / f"{number}.nii",
                (),
            )
        )
    for threshold, needed in ((0.99, lambda n: n), (0.5, lambda n: n // 2 + 1)):
        for number, (own, cost) in enumerate(inspection.costs_of_masks(runs, threshold).values()):
            others = np.delete(masks, number, axis=0).sum(axis=0) >= needed(4)
            assert own == masks[number].sum()
            assert cost == (others & ~(masks.sum(axis=0) >= needed(5))).sum()


# ---------------------------------------------------------------- the published listing


@pytest.mark.parametrize(
    ("dataset", "variant", "people", "per_person", "gigabytes"),
    [
        ("nndb-v1", "", 85, 2, 184.4),
        ("nndb-v2", "blur_censor", 86, 3, 162.8),
        ("nndb-v2", "blur_no_censor_ica", 86, 2, 163.3),
        ("nndb-v2", "no_blur_no_censor", 86, 2, 169.2),
    ],
)
def test_the_listing_is_the_published_data_set(dataset, variant, people, per_person, gigabytes):
    listed = check.published_files(dataset, variant)
    assert len(listed) == people * per_person + 10
    assert sum(listed.values()) / 1e9 == pytest.approx(gigabytes, abs=0.05)
    paper = {path.split("/")[1] for path in listed if "_bold_" in path}
    assert len(paper) == people and ("sub-1" in paper) == (dataset == "nndb-v2")
    assert check.published_files("bids") == {} == check.published_files("demo")


@pytest.mark.parametrize("people", ["derivatives", "."])
@pytest.mark.parametrize("stimuli", ["stimuli/", "stimuli/stimuli-", ""])
def test_missing_files_and_other_sizes_are_told_apart(tmp_path, people, stimuli):
    listed = {
        "derivatives/sub-2/anat/sub-2_T1w_mask.nii.gz": 5,
        "derivatives/sub-3/anat/sub-3_T1w_mask.nii.gz": 5,
        "derivatives/sub-4/anat/sub-4_T1w_mask.nii.gz": 5,
        "stimuli/task-split_face-annotation.1D": 3,
    }
    for subject, n in (("sub-2", 5), ("sub-3", 4)):
        file = tmp_path / people / subject / "anat" / f"{subject}_T1w_mask.nii.gz"
        file.parent.mkdir(parents=True)
        file.write_bytes(bytes(n))
    annotation = tmp_path / f"{stimuli}task-split_face-annotation.1D"
    annotation.parent.mkdir(exist_ok=True)
    annotation.write_bytes(bytes(3))
    listed["derivatives/sub-2/func/sub-2_task-split_bold_preprocessedICA.nii.gz"] = 9
    wrong = check.compare_with_listing(tmp_path, listed, ())
    assert len(wrong) == 2
    assert "sub-3_T1w_mask.nii.gz has 4 bytes, 5 were published" in wrong[0]
    missing = "derivatives/sub-2/func/sub-2_task-split_bold_preprocessedICA.nii.gz"
    assert wrong[1] == f"{missing} is missing (9 bytes as published)"
    assert len(check.compare_with_listing(tmp_path, listed, ("sub-2",))) == 1


def test_a_part_of_the_people_can_be_checked(tmp_path, capsys):
    """Of NNDb v1 only sub-71 is here: the others are named as not downloaded, their films' annotations are not missing."""
    listed = check.published_files("nndb-v1")
    mine = [path for path in listed if "/sub-71/" in path]
    for path in [*mine, "stimuli/task-split_face-annotation.1D"]:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        with open(tmp_path / path, "wb") as file:
            file.truncate(listed[path])
    assert check.compare_with_listing(tmp_path, listed, ()) == []
    printed = capsys.readouterr().out
    assert "3 are here with the same size" in printed
    assert (
        "not downloaded: 84 of 85 people (sub-2, sub-3, sub-4, sub-5, sub-6, …); the others are checked"
        in printed
    )
    (tmp_path / "stimuli/task-split_face-annotation.1D").unlink()
    (lost,) = check.compare_with_listing(tmp_path, listed, ())
    assert lost.startswith("stimuli/task-split_face-annotation.1D is missing")


# ---------------------------------------------------------------- the machine, the command


def test_too_little_disk_and_memory_are_wrong(study, monkeypatch):
    _, cfg, _ = study
    cfg.MODELS = ("linear_plus",)
    mask = np.ones((41, 1, 1), bool)  # stands for 41 voxels
    window_gb = 41 * 10 * 4 * 4 / 1e9  # four times on disk
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: SimpleNamespace(free=int(99.5 * window_gb * 1e9))
    )
    for n_windows, n_jobs, says in (
        (98, 1, None),
        (101, 1, "are needed"),
        (98, 10**6, "too little memory"),
    ):
        checklist, cfg.N_JOBS = Checklist(STUDY, cfg), n_jobs
        check.check_machine(checklist, mask, n_windows, cfg)
        assert len(checklist.problems) == bool(says)
        assert not says or says in checklist.problems[0]


def test_memory_grows_with_jobs_and_with_the_network(study):
    _, cfg, _ = study
    mask = np.ones((20, 20, 10), bool)
    cfg.MODELS, cfg.CNN_FILTERS, cfg.CNN_DENSE_UNITS, cfg.BATCH_SIZE = (
        ("voxel_time_cnn",),
        (64, 32, 32),
        128,
        20,
    )
    one, script = check.memory_of_scripts(mask, 500, cfg)
    assert "script 3 (voxel_time_cnn, 20 windows at a time)" in script
    # Activations of the three convolutions (4,000 × 10 × 64, 2,000 × 10 × 32, 1,000 × 5 × 32) and
    # the dense layer; 30 bytes each, 20 windows; Adam's four arrays of the weights, which the dense
    # layer's 500 × 2 × 32 × 128 dominate.
    network_gb = (20 * 30 * (2_560_000 + 640_000 + 160_000 + 129) + 16 * 4_150_000) / 1e9
    assert one == pytest.approx(check.GB_OF_A_PROCESS + network_gb, rel=0.01)
    cfg.N_JOBS = 2
    assert check.memory_of_scripts(mask, 500, cfg)[0] == pytest.approx(
        3 * check.GB_OF_A_PROCESS + 2 * network_gb, rel=0.01
    )


def test_memory_of_clusters_grows_with_the_windows(study):
    """4,000 voxels in clusters of 20: 10 means of 200 clusters per window, twice, and ten kernels."""
    _, cfg, _ = study
    cfg.MODELS, cfg.WINDOW_TRS, cfg.N_JOBS = ("clustered_ridge",), 10, 1
    cfg.MODEL_OPTIONS = {"clustered_ridge": {"voxels_per_cluster": 20}}
    gigabytes, script = check.memory_of_scripts(np.ones((20, 20, 10), bool), 3606, cfg)
    assert "script 3 (clustered_ridge)" in script
    own_gb = (2 * 4 * 3606 * 200 * 10 + 10 * 8 * 3606**2) / 1e9
    assert gigabytes == pytest.approx(check.GB_OF_A_PROCESS + own_gb)


def test_the_work_of_a_network_is_that_of_its_layers(study):
    _, cfg, _ = study
    mask = np.ones((20, 20, 10), bool)
    cfg.MODELS = ("polynomial_network", "voxel_time_cnn", "screened_ridge")
    cfg.CNN_FILTERS, cfg.CNN_DENSE_UNITS, cfg.BATCH_SIZE = (64, 32, 32), 128, 20
    cfg.TRAINING, cfg.TRAINING_STEPS, cfg.WINDOW_TRS = "robust", 100, 10
    cfg.BASELINES = ()
    first, second, advice = check.work_of_networks(mask, 500, cfg, has_gpu=False)
    # 4 linear units and 8 directions of 4,000 voxels; then 12 numbers to one logit.
    assert f"polynomial_network: {100 * 20 * 3 * (12 * 4_000 + 12):.1e} " in first
    assert "100 steps × 20 windows" in second and second.startswith("voxel_time_cnn")
    assert advice.endswith("set MODELS = ('polynomial_network', 'screened_ridge')")
    cfg.BASELINES = ("linear", "shuffled-cnn")  # the same network on voxels in random order
    *_, third, advice = check.work_of_networks(mask, 500, cfg, has_gpu=False)
    assert third == second.replace("voxel_time_cnn", "shuffled-cnn").removesuffix(" and seed")
    assert advice.endswith("('polynomial_network', 'screened_ridge') and BASELINES = ('linear',)")
    cfg.BASELINES = ()
    assert len(check.work_of_networks(mask, 500, cfg, has_gpu=True)) == 2
    cfg.TRAINING, cfg.EPOCHS = "paper", 150
    assert "3,750 steps" in check.work_of_networks(mask, 500, cfg, has_gpu=True)[0]


def test_memory_of_the_demo_is_what_was_measured(study):
    """Largest resident sizes of script 3 on the demo, two workers: 0.95 + 1.11 + 1.17 + 0.05 GB."""
    _, cfg, _ = study
    cfg.N_JOBS = 2
    gigabytes, _ = check.memory_of_scripts(
        np.ones((5, 433, 1), bool), 274, cfg
    )  # the demo has 2,165 voxels
    assert gigabytes == pytest.approx(3.28, rel=0.1)


def test_only_script_1_has_the_mode(study):
    other = run_here(2, study[2], "--check")
    assert other.returncode == 2 and "usage" in other.stderr


def test_the_listing_names_its_source():
    assert "ds002837" in check.LISTING.read_text().splitlines()[0]
    assert list(pd.read_csv(check.LISTING, sep="\t", comment="#")) == ["path", "bytes"]
