"""Results as a BIDS derivative: the public validator, and readers that are not ours."""

import json
import os

from neuroface.pipeline import BidsName, Step, Study, map_name, mask_name
from neuroface.pipeline.derivative import camel_case, describe_run, public_url
from neuroface.pipeline.settings import SettingsModel

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from conftest import bids_errors
from nilearn.image import load_img
from nilearn.masking import apply_mask

STUDY = Study(
    "A study",
    (Step(1, "1-masks", "1-mask.py"), Step(2, "2-maps", "2-map.py")),
    SettingsModel,
    title=lambda settings: "",
    bids_names=(
        mask_name("1-masks/mask.nii.gz"),
        map_name("2-maps/{sub}_{label}_t.nii.gz", "{label} t", "A t.", "1-masks/{sub}/*.npy"),
        BidsName("2-maps/{sub}_{run}_p.tsv", "{sub}/func/{sub}_{run}_timeseries.tsv", "", "A p."),
    ),
)


@pytest.fixture
def results(tmp_path):
    """A finished run of two stages for one person, made from a data set beside it."""
    root = tmp_path / "results"
    for name in ("1-masks/sub-1/a.npy", "1-masks/sub-1/b.npy", "2-maps/sub-1_film_p.tsv"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("tr\tp\n0\t0.5\n")
    for name, dtype in {"1-masks/mask": np.uint8, "2-maps/sub-1_no-face_t": np.float32}.items():
        nib.Nifti1Image(np.ones((2, 2, 2), dtype), np.eye(4)).to_filename(root / f"{name}.nii.gz")
    (root / "2-maps" / "sub-1_film_p.json").write_text('{"p": {"Description": "probability"}}')
    images = {f"sub-1/func/sub-1_task-film_space-T1w_bold{end}": {} for end in (".nii.gz", ".json")}
    (root / "1-masks" / "manifest.json").write_text(json.dumps({"inputs": images}))
    dataset = tmp_path / "raw data"
    dataset.mkdir()
    (dataset / "dataset_description.json").write_text('{"DatasetDOI": "doi:10.1/x"}')
    return root, dataset


def test_bids_names_are_the_same_files_with_their_sources(results):
    root, dataset = results
    describe_run(root, STUDY, dataset)
    names = {
        "tpl-T1w/anat/tpl-T1w_desc-group_mask.nii.gz": "1-masks/mask.nii.gz",
        "sub-1/func/sub-1_space-T1w_desc-noFaceT_statmap.nii.gz": "2-maps/sub-1_no-face_t.nii.gz",
        "sub-1/func/sub-1_film_timeseries.tsv": "2-maps/sub-1_film_p.tsv",
    }
    for name, result in names.items():
        assert (root / name).samefile(root / result)

    def sidecar(name: str) -> dict:
        return json.loads((root / f"{name.partition('.')[0]}.json").read_text())

    mask, statmap, timeseries = map(sidecar, names)
    image = "bids:raw:sub-1/func/sub-1_task-film_space-T1w_bold.nii.gz"
    assert mask["Sources"] == timeseries["Sources"] == [image]
    assert statmap["Sources"] == ["bids::1-masks/sub-1/a.npy", "bids::1-masks/sub-1/b.npy"]
    assert statmap["SpatialReference"] == f"bids::{next(iter(names))}"
    assert timeseries["p"] == {"Description": "probability"}
    description = json.loads((root / "dataset_description.json").read_text())
    assert description["SourceDatasets"] == [{"URL": "../raw%20data", "DOI": "doi:10.1/x"}]
    assert bids_errors(root) == []


def test_a_name_follows_its_result_and_what_a_person_added_stays(results):
    root, dataset = results
    describe_run(root, STUDY, dataset)
    file, result = root / "dataset_description.json", root / "2-maps" / "sub-1_no-face_t.nii.gz"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"Authors": ["A", "B"], "Name": "x"}))
    (root / "README.md").write_text("mine")
    nib.Nifti1Image(np.full((2, 2, 2), 7.0), np.eye(4)).to_filename(root / "new.nii.gz")
    os.replace(root / "new.nii.gz", result)  # as a script that makes it again
    (root / "2-maps" / "sub-1_film_p.tsv").unlink()
    mine = root / "sub-1" / "func" / "notes.txt"
    # Tables of other programs, one without a sidecar, under names as ours.
    others = [
        mine.with_name(f"sub-1_film_desc-{name}_timeseries.{end}")
        for name, end in (("confounds", "tsv"), ("confounds", "json"), ("lost", "tsv"))
    ]
    for file_of_others in (mine, *others):
        file_of_others.write_text("[damaged" if file_of_others.suffix == ".json" else "mine")
    describe_run(root, STUDY, dataset)
    description = json.loads(file.read_text())
    assert description["Authors"] == ["A", "B"] and description["Name"] == "A study: results"
    assert (root / "README.md").read_text() == mine.read_text() == "mine"
    stem = "sub-1_space-T1w_desc-noFaceT_statmap"
    assert nib.load(mine.with_name(f"{stem}.nii.gz")).get_fdata().max() == 7
    assert {path.name for path in mine.parent.iterdir()} == {
        f"{stem}.nii.gz",
        f"{stem}.json",
        "notes.txt",
        *(file_of_others.name for file_of_others in others),
    }


@pytest.mark.parametrize(
    ("stated", "who"),
    [
        ({"Name": "x", "BIDSVersion": "1.4.0", "GeneratedBy": [{"Name": "fMRIPrep"}]}, "fMRIPrep"),
        ({"Name": "x", "BIDSVersion": "1.4.0", "GeneratedBy": ["fMRIPrep"]}, "the data set 'x'"),
        ({"Name": "Raw", "BIDSVersion": "1.4.0"}, "the data set 'Raw'"),
        ({"Authors": ["A"]}, ""),  # what a person wrote beforehand
        ({"Name": "x", "GeneratedBy": [{"Name": "A study"}, {"Name": "B"}]}, ""),
    ],
)
def test_a_folder_that_another_program_described_stays_as_it_is(results, stated, who):
    root, dataset = results
    (root / "dataset_description.json").write_text(json.dumps(stated))
    before = {path.relative_to(root) for path in root.rglob("*")}
    said = describe_run(root, STUDY, dataset)
    description = json.loads((root / "dataset_description.json").read_text())
    if who:
        assert f"is that of {who} and stays as it is" in said and description == stated
        assert {path.relative_to(root) for path in root.rglob("*")} == before
    else:
        assert said == "" and description["Name"] == "A study: results"
        assert description.get("Authors") == stated.get("Authors")


def test_maps_of_hemispheres_have_a_name_each(results):
    root, dataset = results
    for side in "LR":
        (root / "2-maps" / f"sub-1_no-face_t_hemi-{side}.func.gii").write_text(side)
    describe_run(root, STUDY, dataset)
    names = sorted(path.name for path in (root / "sub-1" / "func").glob("*statmap*"))
    stem = "sub-1_hemi-{}_space-T1w_desc-noFaceT_statmap"
    assert names == [stem.format(side) + end for side in "LR" for end in (".func.gii", ".json")]
    assert (root / "tpl-T1w" / "anat" / "tpl-T1w_desc-group_mask.nii.gz").exists()


def test_what_bids_has_no_name_for_is_an_error_unless_it_is_declared(results):
    root, dataset = results
    describe_run(root, STUDY, dataset)
    (root / ".bidsignore").write_text("")
    wrong = bids_errors(root)
    assert any("2-maps" in line for line in wrong) and any("_statmap" in line for line in wrong)
    assert not any("_mask" in line and "tpl-" in line for line in wrong)  # BIDS names masks


@pytest.mark.parametrize(
    ("remote", "url"),
    [
        ("https://name:token@example.org/lab/code.git", "https://example.org/lab/code"),
        ("git@example.org:lab/code.git", "https://example.org/lab/code"),
        ("ssh://git@example.org:22/lab/code", "https://example.org/lab/code"),
        ("/home/me/code", None),
        ("../code.git", None),
        ("", None),
    ],
)
def test_the_address_of_the_code_holds_no_password(remote, url):
    assert public_url(remote) == url


def test_labels_of_bids_have_letters_and_digits_only():
    assert camel_case("face-minus-noface ig logp-voxel") == "faceMinusNofaceIgLogpVoxel"


def test_results_of_the_face_study_are_read_by_other_tools(tiny):
    assert bids_errors(tiny.root) == []
    func = tiny.root / "sub-3" / "func"
    file = func / "sub-3_space-study_desc-faceIg_statmap.nii.gz"
    image, mask = load_img(file), nib.load(next(tiny.root.glob("tpl-study/anat/*_mask.nii.gz")))
    assert image.header.get_xyzt_units() == ("mm", "sec")
    assert image.header.get_zooms() == (10, 10, 10, 1)  # voxels of 10 mm, a volume per second
    assert int(image.header["sform_code"]) > 0 and np.array_equal(image.affine, mask.affine)
    assert set(np.unique(mask.dataobj)) == {0, 1}
    sources = json.loads(file.with_name(file.name[: -len(".nii.gz")] + ".json").read_text())
    windows = [tiny.root / source.removeprefix("bids::") for source in sources["Sources"]]
    mean = np.mean([apply_mask(str(window), mask) for window in windows], axis=0)
    np.testing.assert_allclose(apply_mask(image, mask), mean, rtol=1e-5, atol=1e-8)
    series = pd.read_csv(
        func / "sub-3_task-harbour_desc-probability_timeseries.tsv", sep="\t", na_values="n/a"
    )
    columns = json.loads((func / "sub-3_task-harbour_desc-probability_timeseries.json").read_text())
    assert set(series) <= set(columns) and series["probability"].dropna().between(0, 1).all()
