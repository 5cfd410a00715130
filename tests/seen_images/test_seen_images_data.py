"""Study "seen images": readers of NSD, THINGS-fMRI and plain tables on small folders of their layouts; what they refuse."""

import ast
import json
import re
from types import SimpleNamespace

from neuroface import NeuroFaceError

import h5py
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from PIL import Image
from scipy.io import savemat

pytest.importorskip("torch", reason="needs the extras of seen images: make images-test")

from neuroface.pipeline.settings import load_settings  # noqa: E402
from neuroface.pipeline.stage import settings_in  # noqa: E402
from seen_images.hdf5_voxels import read_voxels  # noqa: E402
from seen_images.settings import SeenSettings  # noqa: E402
from seen_images.sources import check_sessions, check_trials, open_source  # noqa: E402

FOLDER = ROOT / "studies" / "seen_images"

AFFINE = np.diag([1.8, 1.8, 1.8, 1.0])


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


# ---------------------------------------------------------------- NSD

SHAPE = (5, 4, 3)
IDS = [[3, 7, 3, 5], [7, 9, 5, 9]]  # 73KID, from 1, of each trial of two sessions; 7 is shared


def nsd_cfg(folder, **changes):
    base = dict(
        DATASET="nsd", DATASET_DIR=str(folder), SUBJECT="subj01", BETAS="betas_fithrf_GLMdenoise_RR", SESSIONS=(),
        EARLY_ROIS=("HCP_MMP1:V1", "HCP_MMP1:V2"), HIGHER_ROIS=("streams:ventral",), SPACE_FILE=None,
    )  # fmt: skip
    return SimpleNamespace(**base | changes)


@pytest.fixture
def nsd(tmp_path, rng):
    """A folder in NSD's layout, and its betas (session, trial, x, y, z) in percent: session 1 as HDF5, 2 as NIfTI."""
    stored = rng.integers(-3000, 3000, (2, 4, *SHAPE), dtype=np.int16)
    rows = "".join(
        f"1\t{s + 1}\t1\t{t + 1}\t{image}\n"
        for s, ids in enumerate(IDS)
        for t, image in enumerate(ids)
    )
    write(
        tmp_path / "nsddata/ppdata/subj01/behav/responses.tsv",
        "SUBJECT\tSESSION\tRUN\tTRIAL\t73KID\n" + rows,
    )
    atlas = np.zeros(SHAPE, np.int16)
    atlas[0, :2, 0], atlas[1, 1, :2], atlas[4] = 1, 4, 7
    streams = np.zeros(SHAPE, np.int16)
    streams[1, 1, 0], streams[3, 2, 2] = 5, 5  # the first is in V2 too
    for name, volume in (("HCP_MMP1", atlas), ("streams", streams)):
        file = tmp_path / f"nsddata/ppdata/subj01/func1pt8mm/roi/{name}.nii.gz"
        file.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(volume, AFFINE), file)
    write(
        tmp_path / "nsddata/freesurfer/fsaverage/label/HCP_MMP1.mgz.ctab",
        "0 Unknown\n1 V1\n4 V2\n7 MST\n",
    )
    write(
        tmp_path / "nsddata/freesurfer/subj01/label/streams.mgz.ctab",
        "0 Unknown\n1 early\n5 ventral\n",
    )
    experiment = tmp_path / "nsddata/experiments/nsd"
    experiment.mkdir(parents=True)
    savemat(experiment / "nsd_expdesign.mat", {"sharedix": np.array([[7, 8]])})
    write(
        experiment / "nsd_stim_info_merged.csv",
        "nsdId,cocoId,cocoSplit\n" + "".join(f"{n},{n + 100},val2017\n" for n in range(10)),
    )
    annotations = [
        {"image_id": 102, "caption": "a dog"},
        {"image_id": 102, "caption": " two dogs\n"},
        {"image_id": 9, "caption": "x"},
    ]
    stimuli = tmp_path / "nsddata_stimuli/stimuli/nsd"
    write(stimuli / "annotations/captions_val2017.json", json.dumps({"annotations": annotations}))
    with h5py.File(stimuli / "nsd_stimuli.hdf5", "w") as file:
        file["imgBrick"] = np.arange(10, dtype=np.uint8)[:, None, None, None] * np.ones(
            (1, 6, 6, 3), np.uint8
        )
    betas = tmp_path / "nsddata_betas/ppdata/subj01/func1pt8mm/betas_fithrf_GLMdenoise_RR"
    betas.mkdir(parents=True)
    with h5py.File(betas / "betas_session01.hdf5", "w") as file:
        file["betas"] = stored[0].transpose(0, 3, 2, 1)  # trials × z × y × x
    nib.save(
        nib.Nifti1Image(stored[1].transpose(1, 2, 3, 0), AFFINE), betas / "betas_session02.nii.gz"
    )
    return tmp_path, stored / 300


def test_nsd_trials_and_test_images(nsd):
    source = open_source(nsd_cfg(nsd[0]))
    assert source.trials["image"].tolist() == [f"nsd-{n:05d}" for n in (2, 6, 2, 4, 6, 8, 4, 8)]
    assert source.trials["split"].tolist() == [
        "train",
        "test",
        "train",
        "train",
        "test",
        "train",
        "train",
        "train",
    ]
    assert source.trials["session"].tolist() == ["01"] * 4 + ["02"] * 4


def test_nsd_betas_are_the_same_from_hdf5_and_nifti(nsd):
    folder, percent = nsd
    source = open_source(nsd_cfg(folder))
    columns = source.columns
    assert columns["roi"].tolist() == ["V1", "V1", "V2", "V2", "ventral", "ventral"]
    assert columns["part"].tolist() == ["early"] * 4 + ["higher"] * 2
    places = columns[["i", "j", "k"]].to_numpy(int)
    assert places.tolist() == [[0, 0, 0], [0, 1, 0], [1, 1, 0], [1, 1, 1], [1, 1, 0], [3, 2, 2]]
    for number, session in enumerate(("01", "02")):
        made = source.betas(session, columns["voxel"].to_numpy())
        assert np.allclose(made, percent[number][(slice(None), *places.T)], atol=1e-6)
    assert np.allclose(source.space[1], AFFINE)


def test_nsd_pictures_and_captions(nsd):
    source = open_source(nsd_cfg(nsd[0]))
    assert (
        source.picture("nsd-00006").shape == (6, 6, 3) and (source.picture("nsd-00006") == 6).all()
    )
    assert source.captions("nsd-00002") == ["a dog", "two dogs"]
    with pytest.raises(NeuroFaceError, match="'nsd-00004' has no caption"):
        source.captions("nsd-00004")


def test_nsd_sessions_may_be_chosen(nsd):
    assert set(open_source(nsd_cfg(nsd[0], SESSIONS=(2,))).trials["session"]) == {"02"}
    with pytest.raises(NeuroFaceError, match="SESSIONS names session 3"):
        open_source(nsd_cfg(nsd[0], SESSIONS=(1, 3)))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"EARLY_ROIS": ("HCP_MMP1:V9",)}, "has no label 'V9'. There are Unknown, V1, V2, MST"),
        ({"EARLY_ROIS": ("V1",)}, "write atlas:label"),
        ({"EARLY_ROIS": ("Kastner2015:V1v",)}, "Kastner2015.nii.gz is not there"),
        ({"BETAS": "betas_assumehrf"}, "holds no betas_session"),
    ],
)
def test_nsd_says_what_is_missing(nsd, changes, message):
    with pytest.raises(NeuroFaceError, match=message.replace(".", r"\.")):
        open_source(nsd_cfg(nsd[0], **changes)).columns  # noqa: B018


class CountingDataset:
    """An HDF5 data set that counts how often each of its values is read."""

    def __init__(self, stored):
        self.stored, self.reads = stored, np.zeros(stored.shape, int)

    def __getattr__(self, name):
        return getattr(self.stored, name)

    def __getitem__(self, key):
        self.reads[key] += 1
        return self.stored[key]


@pytest.mark.parametrize(
    "chunks, options",
    [
        pytest.param((12, 1, 1, 1), {}, id="NSD's own"),
        pytest.param((1, 7, 6, 5), {}, id="a trial each"),
        pytest.param((5, 3, 2, 4), {"compression": "gzip"}, id="compressed"),
        pytest.param(None, {}, id="none"),
    ],
)
def test_chosen_voxels_are_read_once_whatever_the_chunks(tmp_path, rng, chunks, options):
    """Blocks of trials over all voxels, as before, read each of NSD's chunks as often as there are blocks."""
    values = rng.integers(-3000, 3000, (12, 7, 6, 5), dtype=np.int16)
    places = rng.permutation(np.argwhere(rng.random((7, 6, 5)) < 0.2))
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        stored = file.create_dataset("betas", data=values, chunks=chunks, **options)
        counting = CountingDataset(stored)
        assert np.array_equal(read_voxels(counting, places), values[(slice(None), *places.T)])
        reads = counting.reads
    assert reads.max() == 1 and reads[(slice(None), *places.T)].min() == 1
    if chunks == (12, 1, 1, 1):
        assert reads.sum() == 12 * len(places)  # nothing else is read


def test_sessions_that_a_person_never_had_are_named(nsd):
    folder = nsd[0]
    cfg = nsd_cfg(folder, SESSIONS=tuple(range(1, 38)))
    with pytest.raises(NeuroFaceError, match="SESSIONS names session 3. Download it"):
        open_source(cfg)
    (folder / "nsddata/ppdata/subj01").rename(folder / "nsddata/ppdata/subj04")
    (folder / "nsddata_betas/ppdata/subj01").rename(folder / "nsddata_betas/ppdata/subj04")
    with pytest.raises(
        NeuroFaceError, match="subj04 has 30 sessions in all: take the others out of SESSIONS"
    ):
        open_source(nsd_cfg(folder, SUBJECT="subj04", SESSIONS=tuple(range(1, 38))))


def test_nsd_files_of_another_grid_or_length_are_refused(nsd):
    folder, _ = nsd
    file = (
        folder
        / "nsddata_betas/ppdata/subj01/func1pt8mm/betas_fithrf_GLMdenoise_RR/betas_session01.hdf5"
    )
    for shape, message in (
        ((4, 3, 4, 6), "has a grid of"),
        ((3, 3, 4, 5), "holds 3 trials, responses.tsv 4"),
    ):
        with h5py.File(file, "w") as stored:
            stored["betas"] = np.zeros(shape, np.int16)
        source = open_source(nsd_cfg(folder))
        with pytest.raises(NeuroFaceError, match=message):
            source.betas("01", source.columns["voxel"].to_numpy())
    file.write_bytes(b"not HDF5")
    with pytest.raises(NeuroFaceError, match="cannot be read"):
        source.betas("01", source.columns["voxel"].to_numpy())


# ---------------------------------------------------------------- THINGS


def things_cfg(folder, **changes):
    base = dict(
        DATASET="things", DATASET_DIR=str(folder), SUBJECT="sub-01", EARLY_ROIS=("V1", "hV4"), HIGHER_ROIS=("lFFA", "lLOC"),
        SPACE_FILE=None,
    )  # fmt: skip
    return SimpleNamespace(**base | changes)


@pytest.fixture
def things(tmp_path, rng):
    """A folder in the layout of THINGS-fMRI's tables, and its betas (voxel, trial)."""
    betas, folder = rng.standard_normal((6, 5)), tmp_path / "betas_csv"
    folder.mkdir()
    with h5py.File(
        folder / "sub-01_ResponseData.h5", "w"
    ) as file:  # as pandas' fixed format stores such a frame
        group = file.create_group("ResponseData")
        group["axis0"] = np.array([b"voxel_id", *(str(n).encode() for n in range(5))])
        group["block0_values"], group["block1_values"] = betas, np.arange(6)[:, None]
    names = ["dog_01b.jpg", "air_conditioner_02s.jpg", "x.jpg", "dog_01b.jpg", "cat_03n.jpg"]
    kinds = ["train", "test", "catch", "train", "train"]
    pd.DataFrame(
        {"trial_type": kinds, "session": [1, 1, 1, 2, 2], "run": [1, 2, 2, 1, 1], "stimulus": names}
    ).to_csv(folder / "sub-01_StimulusMetadata.csv")
    flags = {
        "V1": [1, 1, 0, 0, 0, 0],
        "hV4": [0, 0, 1, 0, 0, 0],
        "lFFA": [0, 0, 0, 1, 0, 0],
        "lLOC": [0, 0, 0, 1, 0, 1],
    }
    place = {f"voxel_{axis}": np.arange(6) + n for n, axis in enumerate("xyz")}
    pd.DataFrame({"voxel_id": np.arange(6), **place, "nc_testset": 0.3, **flags}).to_csv(
        folder / "sub-01_VoxelMetadata.csv"
    )
    (tmp_path / "images" / "dog").mkdir(parents=True)
    Image.fromarray(np.full((8, 8, 3), 9, np.uint8)).save(
        tmp_path / "images" / "dog" / "dog_01b.jpg"
    )
    definition = "Definition (from WordNet, Google, or Wikipedia)"
    write(
        tmp_path / "things_concepts.tsv",
        f"Word\tuniqueID\t{definition}\nair conditioner\tair_conditioner\ta cooler\n",
    )
    return tmp_path, betas


def test_things_trials_betas_and_regions_that_overlap(things):
    folder, betas = things
    source = open_source(things_cfg(folder))
    assert source.trials["image"].tolist() == [
        "dog_01b",
        "air_conditioner_02s",
        "dog_01b",
        "cat_03n",
    ]  # no catch trial
    assert source.trials["split"].tolist() == ["train", "test", "train", "train"]
    assert source.columns["roi"].tolist() == ["V1", "V1", "hV4", "lFFA", "lLOC", "lLOC"]
    voxels = source.columns["voxel"].to_numpy()
    assert voxels.tolist() == [0, 1, 2, 3, 3, 5]
    assert source.trials["session"].tolist() == ["01", "01", "02", "02"]
    assert source.trials["run"].tolist() == [1, 2, 1, 1]
    assert np.allclose(source.betas("01", voxels), betas[voxels][:, [0, 1]].T)
    assert np.allclose(source.betas("02", voxels), betas[voxels][:, [3, 4]].T)
    assert source.columns[["i", "j", "k"]].to_numpy(int)[-1].tolist() == [5, 6, 7]


def test_sessions_need_names_and_enough_trials_to_be_standardised(things):
    folder = things[0]
    trials = open_source(things_cfg(folder)).trials
    assert check_sessions(pd.concat([trials] * 10), "session") is None
    with pytest.raises(
        NeuroFaceError, match='session 01 has 1 training trials.*or set STANDARDIZE = "voxel"'
    ):
        check_sessions(trials, "session")
    file = folder / "betas_csv" / "sub-01_StimulusMetadata.csv"
    pd.read_csv(file).drop(columns=["session", "run"]).to_csv(file)
    source = open_source(things_cfg(folder))
    assert check_sessions(source.trials, "voxel") is None
    assert "takes all trials as one session" in check_sessions(source.trials, "session")


def test_things_pictures_and_captions(things):
    source = open_source(things_cfg(things[0]))
    assert (source.picture("dog_01b") == 9).all()  # in the folder of its concept
    assert source.captions("air_conditioner_02s") == ["air conditioner, a cooler"]
    with pytest.raises(NeuroFaceError, match="'cat_03n' has no caption"):
        source.captions("cat_03n")
    with pytest.raises(NeuroFaceError, match="cat_03n.jpg is not there"):
        source.picture("cat_03n")


def test_things_pictures_may_lie_in_object_images(things):
    """As they come from OSF."""
    folder = things[0]
    (folder / "images").rename(folder / "object_images")
    assert (open_source(things_cfg(folder)).picture("dog_01b") == 9).all()


# Rows of MRI/data/Categories_final_20200131.tsv of ViCCo-Group/THINGS-data (commit ea475893), which
# has no column uniqueID, and the names of these concepts in the picture files. Its last row holds
# sums.
CATEGORIES = {
    "air conditioner": ("air_conditioner", "a system that keeps air cool and dry"),
    "bat": ("bat1", "nocturnal mouselike mammal"),
    "bat ": ("bat2", "a club used for hitting a ball in various games"),
    "bow1": ("bow1", "a weapon"),
    "first-aid kit": ("first-aid_kit", '"kit; bandages"'),
    "flip-flop": ("flip_flop", "a shoe"),
    "": ("", ""),
}


def test_things_concepts_without_ids_are_found_by_their_words(things):
    folder, definition = things[0], "Definition (from WordNet, Google, or Wikipedia)"
    rows = "".join(f"{word}\t{text}\t1\n" for word, (_, text) in CATEGORIES.items())
    write(folder / "things_concepts.tsv", f"Word\t{definition}\tanimal\n{rows}")
    source = open_source(things_cfg(folder))
    for word, (concept, text) in CATEGORIES.items():
        if concept:
            expected = word.strip() + ", " + text.strip('"')
            assert source.captions(f"{concept}_01b") == [expected]
    write(folder / "things_concepts.tsv", "word\tfreq\ndog\t1\n")
    with pytest.raises(NeuroFaceError, match=r"lacks the column 'Word'; it has \['word', 'freq'\]"):
        open_source(things_cfg(folder)).captions("dog_01b")


def test_things_regions_with_line_breaks_can_be_named(things):
    folder = things[0]
    file = folder / "betas_csv" / "sub-01_VoxelMetadata.csv"
    pd.read_csv(file).rename(columns={"hV4": "glasser-p9-\n46v"}).to_csv(file, index=False)
    for name in ("glasser-p9-46v", "glasser-p9-\n46v"):
        source = open_source(things_cfg(folder, EARLY_ROIS=("V1", name)))
        assert source.columns["voxel"].tolist()[:3] == [0, 1, 2]
    with pytest.raises(NeuroFaceError, match=r"There are V1, glasser-p9-46v, lFFA, lLOC\.$"):
        open_source(things_cfg(folder, EARLY_ROIS=("V9",))).columns  # noqa: B018
    with pytest.raises(NeuroFaceError, match="'nc_testset' .* is no region: it holds 0.3"):
        open_source(things_cfg(folder, EARLY_ROIS=("nc_testset",))).columns  # noqa: B018


def test_things_names_a_region_that_is_misspelt(things):
    with pytest.raises(
        NeuroFaceError, match=r"name 'FFA', which .* does not have \(did you mean lFFA\?\)"
    ):
        open_source(things_cfg(things[0], HIGHER_ROIS=("FFA",))).columns  # noqa: B018


# ---------------------------------------------------------------- plain tables


def table_cfg(folder, **changes):
    base = dict(
        DATASET="table", DATASET_DIR=str(folder), EARLY_ROIS=("V1",), HIGHER_ROIS=("LO",), OTHER_SUBJECTS=()
    )  # fmt: skip
    return SimpleNamespace(**base | changes)


@pytest.fixture
def table(tmp_path, rng):
    np.save(tmp_path / "betas.npy", rng.standard_normal((4, 3)))
    write(tmp_path / "trials.tsv", "image\tsplit\n01\ttrain\n02\ttrain\n03\ttest\n03\ttest\n")
    write(tmp_path / "voxels.tsv", "roi\nV1\nLO\nV1\n")
    write(tmp_path / "captions.tsv", "image\tcaption\n01\ta dog\n01\tone dog\n02\t\n")
    (tmp_path / "images").mkdir()
    Image.fromarray(np.full((4, 4), 7, np.uint8)).save(tmp_path / "images" / "01.png")  # grey
    return tmp_path


def test_tables_are_read_as_they_are(table):
    source = open_source(table_cfg(table))
    assert source.trials["image"].tolist() == ["01", "02", "03", "03"]  # text, not numbers
    columns = source.columns
    assert columns["roi"].tolist() == ["V1", "V1", "LO"] and columns["i"].isna().all()
    expected = np.load(table / "betas.npy")[:, [0, 2, 1]]
    assert np.allclose(source.betas("all", columns["voxel"].to_numpy()), expected)
    assert source.picture("01").shape == (4, 4, 3) and source.captions("01") == ["a dog", "one dog"]
    assert source.space is None and source.attributes.empty


def test_a_quotation_mark_in_a_caption_swallows_no_row(table):
    rows = ['01\t"a dog', "01\tone dog", "02\ta cat", '03\t"a red car"', "03\tnull"]
    write(table / "captions.tsv", "image\tcaption\n" + "\n".join(rows) + "\n")
    source = open_source(table_cfg(table))
    assert [source.captions(image) for image in ("01", "02", "03")] == [
        ['"a dog', "one dog"],
        ["a cat"],
        ["a red car", "null"],
    ]


@pytest.mark.parametrize(
    "change, message",
    [
        (
            lambda f: np.save(f / "betas.npy", np.zeros((3, 3))),
            r"has shape \(3, 3\); trials.tsv has 4 rows and voxels.tsv 3",
        ),
        (lambda f: (f / "voxels.tsv").unlink(), "voxels.tsv is not there"),
        (
            lambda f: write(f / "trials.tsv", "picture\tsplit\n1\ttrain\n"),
            r"lacks the column 'image'; it has \['picture', 'split'\]",
        ),
        (lambda f: write(f / "voxels.tsv", "roi\nV1\nn/a\nV1\n"), "line 3 has no roi"),
        (lambda f: (f / "betas.npy").write_bytes(b"x"), "is not a complete .npy array"),
    ],
)
def test_a_damaged_table_is_named(table, change, message):
    change(table)
    with pytest.raises(NeuroFaceError, match=message):
        open_source(table_cfg(table)).columns  # noqa: B018


def test_a_missing_or_damaged_picture_or_caption_is_named(table):
    source = open_source(table_cfg(table))
    with pytest.raises(NeuroFaceError, match="02.png is not there"):
        source.picture("02")
    (table / "images" / "02.png").write_bytes(b"no picture")
    with pytest.raises(NeuroFaceError, match="02.png cannot be read as a picture"):
        source.picture("02")
    with pytest.raises(NeuroFaceError, match="'02' has no caption"):
        source.captions("02")


@pytest.mark.parametrize(
    "rows, message",
    [
        (
            [("a", "train"), ("a", "test")],
            "1 images are in training and in test trials, such as 'a'",
        ),
        ([("a", "train")], "There is no test trial"),
        ([("a", "train"), ("b", "test"), ("c", "val")], "holds 'val'"),
        ([("../a", "train"), ("b", "test")], "image '../a' cannot be part of a file's name"),
        ([(name, "train") for name in "ab"] + [("c", "test")] * 9, "test images is 1, and 3 are"),
        ([("a", "train")] * 9 + [(name, "test") for name in "bcd"], "train images is 1, and 2 are"),
    ],
)
def test_a_split_that_leaks_is_refused(rows, message):
    with pytest.raises(NeuroFaceError, match=message):
        check_trials(pd.DataFrame(rows, columns=["image", "split"]))


# ---------------------------------------------------------------- settings

EXPERIMENTS = sorted((FOLDER / "experiments").glob("*.py"))
# Of the machine, or of files whose contents are compared: they do not change a result under the
# same name.
NOT_STAMPED = {
    "DATASET", "DATASET_DIR", "DATA_DIR", "RUN_NAME", "MODEL_DIR", "GENERATOR_DIR", "SCORES_DIR", "DEVICE", "PRECISION",
    "N_JOBS", "DASK_SCHEDULER", "INFERENCE_BATCH", "DEMO",
}  # fmt: skip


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda path: path.stem)
def test_an_experiment_is_made_of_settings(experiment):
    settings = load_settings(SeenSettings, FOLDER / "config.py", experiment)
    assert settings.RUN_NAME != "images-demo"


def test_every_setting_that_a_script_reads_is_in_its_contract_and_every_setting_is_read():
    names = SeenSettings.fine_settings().keys() | {
        node.target.id
        for node in ast.parse((FOLDER / "config.py").read_text()).body
        if isinstance(node, ast.AnnAssign)
    }
    stamped, read = set(), set()
    for script in sorted(FOLDER.glob("[1-7]-*.py")):
        own = set(re.findall(r"\bcfg\.([A-Z][A-Z_0-9]+)", script.read_text()))
        contract = settings_in(ast.get_docstring(ast.parse(script.read_text())))
        assert contract <= names, script.name
        stamped |= contract  # of the scripts before too: their results are compared
        assert own <= stamped | NOT_STAMPED, (script.name, own - stamped - NOT_STAMPED)
    for file in [
        *FOLDER.glob("*.py"),
        *(FOLDER / "seen_images").glob("*.py"),
        *(ROOT / "neuroface" / "pipeline").glob("*.py"),
    ]:
        read |= set(re.findall(r"\b(?:cfg|settings)\.([A-Z][A-Z_0-9]+)", file.read_text()))
    assert names - {"DEMO"} <= read, names - read
