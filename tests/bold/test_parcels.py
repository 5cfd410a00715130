"""Tables of parcels' time series as BOLD: the windows of the same values in an image, and what is refused."""

import os
import re

from neuroface import NeuroFaceError
from neuroface.bold import Labels, parcel_names, write_map, write_nifti
from neuroface.bold.datasets import find_runs
from neuroface.bold.group_mask import check_mask_file
from neuroface.bold.images import open_header, read_mask, stream_masked
from neuroface.bold.parcels import parcel_image, read_parcels
from neuroface.bold.places import AFFINE
from neuroface.bold.smoothing import smoothed_volumes
from neuroface.maps import contrasts_of, peak_table, write_parcel_maps

import numpy as np
import pandas as pd
import pytest
from conftest import run_here, write_config
from plain_stage import PlainStage
from scipy.ndimage import label

N_TRS, N_PARCELS, TR_S = 120, 6, 2.0
LOST = 4  # the parcel that a person's field of view does not cover
EVENTS = "onset\tduration\ttrial_type\n" + "".join(
    f"{onset}\t20\t{kind}\n" for onset, kind in zip(range(10, 220, 30), "face noface ".split() * 4)
)


def write_study(folder):
    """Three people in a derivative as XCP-D names it, and the same values in images of 6 × 1 × 1 voxels."""
    rng = np.random.default_rng(5)
    for person in ("sub-01", "sub-02", "sub-03"):
        series = rng.normal(size=(N_TRS, N_PARCELS)).astype(np.float32)
        table = pd.DataFrame(series, columns=[f"region-{n}" for n in range(N_PARCELS)])
        if person == "sub-02":
            table.iloc[:, LOST] = np.nan
        stem = f"{person}_task-film_space-MNI152NLin6Asym"
        func = {kind: folder / kind / person / "func" for kind in ("tables", "images")}
        for place in func.values():
            place.mkdir(parents=True)
            (place / f"{person}_task-film_events.tsv").write_text(EVENTS)
            (place / f"{person}_task-film_bold.json").write_text(f'{{"RepetitionTime": {TR_S}}}')
        table.to_csv(
            func["tables"] / f"{stem}_seg-Six_stat-mean_timeseries.tsv",
            sep="\t", index=False, na_rep="n/a",
        )  # fmt: skip
        (func["tables"] / f"{person}_task-film_desc-confounds_timeseries.tsv").write_text(
            "csf\n0\n"
        )
        image = series.T[:, None, None]
        write_nifti(func["images"] / f"{stem}_desc-preproc_bold.nii.gz", image, np.eye(4), TR_S)
        mask = table.notna().all().to_numpy()[:, None, None].astype(np.uint8)
        write_nifti(func["images"] / f"{stem}_desc-brain_mask.nii.gz", mask, np.eye(4))


def cut(folder, kind, *arguments, **settings):
    """Script 1 on one of both, with the experiment's other settings."""
    own = {"tables": {"SPACE": "native", "BIDS_FILTER": "seg-Six_stat-mean_timeseries"}}
    settings = {
        "DATASET": "bids", "DATASET_DIR": str(folder / kind), "DATA_DIR": str(folder), "RUN_NAME": f"of-{kind}",
        "TR_S": TR_S, "WINDOW_TRS": 5, "N_JOBS": 1, "ROI_FILE": None, "DENOISE": "none", "BALANCE": "none",
        "LABEL_EVENTS": {"face": ("face",), "noface": ("noface",)},
    } | own.get(kind, {}) | settings  # fmt: skip
    return run_here(1, write_config(folder / f"{kind}.py", **settings), *arguments)


def test_windows_of_a_table_are_those_of_the_same_values_in_an_image(tmp_path):
    write_study(tmp_path)
    for kind in ("tables", "images"):
        done = cut(tmp_path, kind)
        assert done.returncode == 0, done.stderr
    tables, images = (tmp_path / f"of-{kind}" / "1-windows" for kind in ("tables", "images"))
    files = sorted(images.glob("sub-*/*_windows.npy"))
    assert len(files) == 3
    for file in files:
        windows = np.load(tables / file.relative_to(images))
        assert windows.shape == (7, N_PARCELS - 1, 5)
        np.testing.assert_array_equal(windows, np.load(file))
    kept = [f"region-{n}" for n in range(N_PARCELS) if n != LOST]
    assert parcel_names(tables) == kept and parcel_names(images) == []


def test_no_two_parcels_are_neighbours(tmp_path):
    file = tmp_path / "sub-1_task-a_seg-x_timeseries.tsv"
    file.write_text("a\tb\tc\n" + "1\t0\t5\n" * 4)
    image, shape = open_header(file)
    assert shape == (5, 1, 1, 4) and image.header["pixdim"][4] == 0  # a table states no TR
    mask = np.array([1, 0, 1, 0, 1], bool)[:, None, None]
    assert label(mask, np.ones((3, 3, 3)))[1] == 3  # clusters of voxels that touch, even at corners
    smooth = smoothed_volumes(image.get_fdata().transpose(3, 2, 1, 0), AFFINE, 20.0)
    np.testing.assert_allclose(smooth.reshape(4, 5)[:, ::2], [[1, 0, 5]] * 4, atol=1e-6)
    parts = list(stream_masked(file, mask, AFFINE, n=3))
    assert [len(part) for part in parts] == [3, 1] and parts[1].tolist() == [[1, 0, 5]]


def test_a_mask_with_gaps_of_the_grid_is_refused(tmp_path):
    file = tmp_path / "sub-01_timeseries.tsv"
    file.write_text("a\tb\n" + "0.5\t1.5\n" * 4)
    own = tmp_path / "mask.nii.gz"
    check_mask_file(own, np.array([1, 0, 1], bool)[:, None, None], AFFINE, file)
    with pytest.raises(NeuroFaceError, match="3 voxels, 2 of which are parcels"):
        check_mask_file(own, np.ones((3, 1, 1), bool), AFFINE, file)


def test_maps_of_parcels_are_tables_with_their_names(tmp_path):
    mask = np.array([1, 0, 0, 0, 1], bool)[:, None, None]
    write_map(tmp_path / "group_t.nii.gz", np.array([[1, 2, 3], [4, 5, 6.0]]), mask, AFFINE, 1.0)
    (tmp_path / "partial-group_p.nii.gz").write_bytes(b"left by a killed run")

    stage, table_file = PlainStage(tmp_path), tmp_path / "group_t.tsv"
    table_file.write_text("volume\n0\n")  # of a map that was made again since
    os.utime(table_file, ns=(0, 0))
    write_parcel_maps(stage, ["a", "c"], mask)
    table = pd.read_csv(table_file, sep="\t")
    assert table.to_dict("list") == {"volume": [0, 1, 2], "a": [1, 2, 3], "c": [4, 5, 6]}


def test_a_peak_of_parcels_is_named(tmp_path):
    mask = np.array([1, 0, 1, 0, 1], bool)[:, None, None]
    values = np.array([[0, 0], [0, 3], [1, 0.0]], np.float32)
    for what in ("mean", "t"):
        write_map(tmp_path / f"group_contrast-face_ig_{what}.nii.gz", values, mask, AFFINE, 2.0)
    about = contrasts_of(Labels("face", "noface"))
    table = peak_table(
        tmp_path, [("face", "ig")], about, mask, AFFINE, None, "roi", 2.0,
        pd.DataFrame({"parcel": ["a", "b", "c"]}),
    )  # fmt: skip
    assert table.loc[0, ["parcel", "second", "mean"]].tolist() == ["b", 2.0, 3.0]
    assert "x_mm" not in table


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1.5\t2.5\n0.1\t0.2\n", "no list of 2 parcels"),
        ("a\tb\n1\t2\t3\n", "no list of 3 parcels"),
        ("a\ta\n1\t2\n", "names parcel 'a' twice"),
        ("a\tb\n1\tx\n", "cannot be read as a table of numbers"),
        ("a\tb\n", "cannot be read as a table of numbers"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path, text, message):
    file = tmp_path / "sub-1_task-a_seg-x_timeseries.tsv"
    file.write_text(text)
    with pytest.raises(NeuroFaceError, match=message):
        read_parcels(file)


def test_missing_values_are_n_a(tmp_path):
    file = tmp_path / "sub-1_task-a_seg-x_timeseries.tsv"
    file.write_text("a\tb\nn/a\t2\n1\t-3e-1\n")
    names, series = read_parcels(file)
    assert names == ("a", "b") and np.isnan(series[0, 0])
    np.testing.assert_array_equal(series[1], np.float32([1, -0.3]))
    file.write_text("a\tb\n7\t2\n1\t-3e-1\n")  # written again: not what was read before
    assert parcel_image(file).get_fdata()[0, 0, 0, 0] == 7


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        (None, {"SPACE": "MNI"}, 'Set SPACE = "native"'),
        (None, {"SMOOTHING_MM": 6.0}, "cannot be smoothed"),
        (("region-2", "region-x"), {}, "has parcel 'region-x' where .* has 'region-2'"),
    ],
)
def test_what_parcels_cannot_do_is_said(tmp_path, change, settings, message):
    write_study(tmp_path)
    if change:
        file = next((tmp_path / "tables" / "sub-03").rglob("*_seg-*.tsv"))
        file.write_text(file.read_text().replace(*change))
    done = cut(tmp_path, "tables", **settings)
    assert done.returncode == 1 and re.search(message, done.stderr), done.stderr


def test_the_mask_of_a_person_are_the_parcels_with_values(tmp_path):
    write_study(tmp_path)
    checked = cut(tmp_path, "tables", "--check")
    assert checked.returncode == 0 and "nothing is wrong" in checked.stdout, checked.stderr
    assert cut(tmp_path, "tables").returncode == 0
    own = tmp_path / "of-tables" / "1-windows" / "own_masks" / "sub-02_desc-brain_mask.nii.gz"
    mask, affine = read_mask(own)
    assert (
        mask[::2, 0, 0].tolist() == [n != LOST for n in range(N_PARCELS)] and not mask[1::2].any()
    )
    assert np.array_equal(affine, AFFINE)


def test_a_byte_order_mark_is_no_name_and_a_blank_row_is_a_volume(tmp_path):
    table = tmp_path / "sub-1_timeseries.tsv"
    table.write_text("V1\n1.5\n\n2.5\n", encoding="utf-8-sig")
    names, series = read_parcels(table)
    assert names == ("V1",)
    np.testing.assert_array_equal(series[:, 0], [1.5, np.nan, 2.5])


def test_our_own_predictions_are_no_parcels(tmp_path):
    """A finished run in ``derivatives/``, and one named as DATASET_DIR: its tables end with _timeseries.tsv too."""
    run = tmp_path / "derivatives" / "mine"
    file = run / "sub-01" / "func" / "sub-01_task-film_desc-probability_timeseries.tsv"
    file.parent.mkdir(parents=True)
    file.write_text("tr\tprobability\n0\t0.5\n")
    for folder in (tmp_path, run):  # as another program's table it would be taken
        found, _ = find_runs("bids", folder, bids_filter="_timeseries", annotated=False)
        assert [run.bold for run in found] == [file]
    (run / "8-predictions").mkdir()
    (run / "8-predictions" / "settings.json").write_text("{}")
    for folder in (tmp_path, run):
        with pytest.raises(NeuroFaceError, match="predictions of these scripts are none|no folder"):
            find_runs("bids", folder, bids_filter="_timeseries", annotated=False)
