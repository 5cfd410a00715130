"""Study "seen images" on replicas of the Natural Scenes Dataset and of THINGS-fMRI: real names, columns, types and chunks.

Responses are synthetic: a level per session, as real sessions have, and noise. The shipped
experiment files run as they are, but for their paths.
"""

import json
import warnings

import h5py
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, script_here
from PIL import Image
from scipy.io import savemat
from scipy.stats import zscore

pytest.importorskip("torch", reason="needs the extras of seen images: make images-test")
FOLDER = ROOT / "studies" / "seen_images"

from neuroface.pipeline.settings import load_settings  # noqa: E402
from seen_images.settings import SeenSettings  # noqa: E402
from seen_images.sources import open_source  # noqa: E402

MEBIBYTE = 2**20


def experiment_of(name, folder, **changes):
    """The shipped experiment file with other paths, as a user edits it."""
    text = (FOLDER / "experiments" / f"{name}.py").read_text()
    lines = [
        f"{key} = {value!r}" for key, value in ({"DATASET_DIR": str(folder)} | changes).items()
    ]
    (folder.parent / f"{name}.py").write_text("\n".join([text, *lines]) + "\n")
    return folder.parent / f"{name}.py"


def load_patterns(name, folder, **changes):
    """Script 1 with an experiment file; its folder of results, and what it printed."""
    config = experiment_of(name, folder, DATA_DIR=str(folder.parent / "results"), **changes)
    done = script_here(FOLDER / "1-load_betas.py", config)
    assert done.returncode == 0, done.stderr
    (results,) = (folder.parent / "results").iterdir()
    return results / "1-betas", done.stdout


def size(folder):
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


# ---------------------------------------------------------------- NSD

GRID, SESSIONS, TRIALS = (6, 5, 4), 40, 15  # really 81 × 104 × 83 and 750 trials
RESPONSES = (
    "SUBJECT SESSION RUN TRIAL 73KID 10KID TIME ISOLD ISCORRECT RT CHANGEMIND MEMORYRECENT MEMORYFIRST ISOLDCURRENT "
    "ISCORRECTCURRENT TOTAL1 TOTAL2 BUTTON MISSINGDATA"
).split()
EDGE = (1, 1, 1)  # a voxel of V1 that session 2 did not measure


@pytest.fixture(scope="module")
def nsd(tmp_path_factory):
    """(folder, 73KID of each trial, ids of the shared images, stored responses (session, trial, x, y, z))."""
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("nsd") / "nsd"
    shared = np.sort(rng.choice(73000, 1000, replace=False)) + 1
    own = np.setdiff1d(np.arange(1, 73001), shared)
    ids = np.concatenate(
        [rng.choice(own[:80], (SESSIONS, 12)), rng.choice(shared[:20], (SESSIONS, 3))], axis=1
    )
    ids = rng.permuted(ids, axis=1)
    behaviour = folder / "nsddata/ppdata/subj01/behav"
    behaviour.mkdir(parents=True)
    rows = pd.DataFrame(0, index=np.arange(ids.size), columns=RESPONSES)
    rows["SUBJECT"], rows["SESSION"], rows["73KID"] = (
        1,
        np.repeat(np.arange(1, SESSIONS + 1), TRIALS),
        ids.ravel(),
    )
    rows["RT"] = np.nan
    rows.to_csv(behaviour / "responses.tsv", sep="\t", index=False, na_rep="NaN")
    experiment = folder / "nsddata/experiments/nsd"
    experiment.mkdir(parents=True)
    savemat(
        experiment / "nsd_expdesign.mat",
        {"sharedix": shared[None].astype(np.uint16), "basiccnt": np.zeros((3, 40))},
    )
    seen = np.unique(ids) - 1
    info = pd.DataFrame(
        {"cocoId": seen + 532481, "cocoSplit": np.where(seen % 9, "train2017", "val2017")}
    )
    info["cropBox"], info["loss"], info["nsdId"] = "(0, 0, 0.1671875, 0.1671875)", 0.16, seen
    info.to_csv(experiment / "nsd_stim_info_merged.csv")
    atlas, streams = np.full(GRID, -1, np.int16), np.zeros(GRID, np.int16)
    for value, x in ((1, 1), (4, 2), (5, 3), (6, 4)):
        atlas[x, 1:4, 1:3] = value
    streams[5, 1:4, 1:3] = 5
    for name, volume in (("HCP_MMP1", atlas), ("streams", streams)):
        file = folder / f"nsddata/ppdata/subj01/func1pt8mm/roi/{name}.nii.gz"
        file.parent.mkdir(exist_ok=True, parents=True)
        nib.save(nib.Nifti1Image(volume, np.diag([1.8, 1.8, 1.8, 1])), file)
    for who, atlas_name, labels in (
        ("fsaverage", "HCP_MMP1", "0 Unknown\n1 V1\n2 MST\n3 V6\n4 V2\n5 V3\n6 V4\n"),
        (
            "subj01",
            "streams",
            "0 Unknown\n1 early\n2 midventral\n3 midlateral\n4 midparietal\n5 ventral\n",
        ),
    ):
        file = folder / f"nsddata/freesurfer/{who}/label/{atlas_name}.mgz.ctab"
        file.parent.mkdir(parents=True)
        file.write_text(labels)
    stored = (
        rng.normal(np.arange(SESSIONS)[:, None, None, None, None], 1, (SESSIONS, TRIALS, *GRID))
        * 300
    )
    stored = np.rint(stored).astype(np.int16)
    stored[1][(slice(None), *EDGE)] = 0
    betas = folder / "nsddata_betas/ppdata/subj01/func1pt8mm/betas_fithrf_GLMdenoise_RR"
    betas.mkdir(parents=True)
    for session in range(37):  # as many as the experiment file names
        with h5py.File(betas / f"betas_session{session + 1:02d}.hdf5", "w") as file:
            file.create_dataset(
                "betas", data=stored[session].transpose(0, 3, 2, 1), chunks=(TRIALS, 1, 1, 1)
            )
    stimuli = folder / "nsddata_stimuli/stimuli/nsd"
    (stimuli / "annotations").mkdir(parents=True)
    with h5py.File(stimuli / "nsd_stimuli.hdf5", "w") as file:
        brick = file.create_dataset(
            "imgBrick", (73000, 425, 425, 3), np.uint8, chunks=(1, 425, 425, 3), compression="gzip"
        )
        brick[seen[0]] = 9
    for split in ("train2017", "val2017"):
        notes = [
            {"image_id": int(n) + 532481, "id": int(n), "caption": f"picture {n}"} for n in seen
        ]
        notes = [
            note for note, n in zip(notes, seen) if ("train2017" if n % 9 else "val2017") == split
        ]
        (stimuli / f"annotations/captions_{split}.json").write_text(
            json.dumps({"images": [], "annotations": notes})
        )
    return folder, ids[:37], shared, stored[:37]


def test_the_experiment_of_nsd_finds_every_trial_picture_and_caption(nsd):
    folder, ids, shared, _ = nsd
    assert size(folder) < MEBIBYTE
    source = open_source(
        load_settings(SeenSettings, FOLDER / "config.py", experiment_of("nsd", folder))
    )
    assert source.trials["image"].tolist() == [f"nsd-{number - 1:05d}" for number in ids.ravel()]
    assert (source.trials["split"] == "test").tolist() == np.isin(ids.ravel(), shared).tolist()
    assert source.columns.groupby("roi").size().to_dict() == dict.fromkeys(
        ["V1", "V2", "V3", "V4", "ventral"], 6
    )
    first = ids.min() - 1
    assert (source.picture(f"nsd-{first:05d}") == 9).all() and source.captions(
        f"nsd-{first:05d}"
    ) == [f"picture {first}"]


def test_sessions_of_nsd_have_mean_0_and_a_voxel_that_one_did_not_measure_is_left_out(nsd):
    folder, ids, shared, stored = nsd
    results, printed = load_patterns("nsd", folder)
    assert "left out: 1 voxels of V1: not measured in session 02" in printed
    voxels = pd.read_csv(results / "voxels.tsv", sep="\t")
    places = voxels[["i", "j", "k"]].to_numpy()
    assert len(voxels) == 29 and list(EDGE) not in places.tolist() and not voxels["constant"].any()
    lost = pd.read_csv(results / "unmeasured.tsv", sep="\t", dtype=str)
    assert lost[["roi", "i", "j", "k", "sessions"]].to_numpy().tolist() == [
        ["V1", "1", "1", "1", "02"]
    ]
    train, is_train, start = np.load(results / "train.npy"), ~np.isin(ids, shared), 0
    for session in range(37):
        expected = zscore(
            stored[session][is_train[session]][(slice(None), *places.T)].astype(float), axis=0
        )
        assert np.allclose(train[start : start + len(expected)], expected, atol=1e-4)
        start += len(expected)
    assert start == len(train)


# ---------------------------------------------------------------- THINGS

REGIONS = (
    "V1", "V2", "V3", "hV4", "VO1", "VO2", "LO1 (prf)", "LO2 (prf)", "TO1", "TO2", "V3b", "V3a", "lEBA", "rEBA", "lFFA",
    "rFFA", "lOFA", "rOFA", "lSTS", "rSTS", "lPPA", "rPPA", "lRSC", "rRSC", "lTOS", "rTOS", "lLOC", "rLOC", "IT",
    "glasser-V1", "glasser-MST", "glasser-V6", "glasser-p9-\n46v", "glasser-a9-\n46v",
)  # fmt: skip
CONCEPTS = (
    "aardvark",
    "air_conditioner",
    "bat1",
    "candelabra",
    "hula_hoop",
    "jack-o-lantern",
    "t-shirt",
)
VOXELS_PER_REGION = 5


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    """(folder, table of stimuli, responses (n_voxels, n_trials)); trials of two sessions, in the order of the sessions."""
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("things") / "things-fmri"
    trained = [f"{concept}_{number:02d}s.jpg" for concept in CONCEPTS for number in range(1, 13)]
    tested = [f"{concept}_{number}s.jpg" for concept in CONCEPTS for number in (14, 16)]
    trials = [("train", session, name) for session in (1, 2) for name in trained[session - 1 :: 2]]
    trials += [("test", session, name) for session in (1, 2) for name in tested * 3]
    trials = sorted((trials[k] for k in rng.permutation(len(trials))), key=lambda trial: trial[1])
    stimuli = pd.DataFrame(trials, columns=["trial_type", "session", "stimulus"])
    stimuli.insert(2, "run", 1)
    stimuli.insert(3, "subject_id", 1)
    stimuli.insert(4, "trial_id", np.arange(len(stimuli)))
    stimuli["concept"] = stimuli["stimulus"].str.rpartition("_")[0]
    (folder / "betas_csv").mkdir(parents=True)
    stimuli.to_csv(folder / "betas_csv/sub-01_StimulusMetadata.csv", index=False)
    n = len(REGIONS) * VOXELS_PER_REGION
    voxels = pd.DataFrame({"voxel_id": np.arange(n), "subject_id": 1})
    voxels[["voxel_x", "voxel_y", "voxel_z"]] = np.argwhere(np.ones((6, 6, 5)))[:n]
    for name in (
        "nc_singletrial",
        "nc_testset",
        "splithalf_uncorrected",
        "prf-eccentricity",
        "prf-rsquared",
    ):
        voxels[name] = rng.random(n)
    for number, name in enumerate(REGIONS):
        voxels[name] = (np.arange(n) // VOXELS_PER_REGION == number).astype(int)
    voxels.to_csv(folder / "betas_csv/sub-01_VoxelMetadata.csv", index=False)
    betas = rng.standard_normal((n, len(stimuli))) * 0.05 + 0.1 * stimuli["session"].to_numpy()
    (folder / "brainmasks").mkdir()
    nib.save(
        nib.Nifti1Image(np.ones((6, 6, 5), np.uint8), np.diag([2.0, 2, 2, 1])), mask_of(folder)
    )
    definition = "Definition (from WordNet, Google, or Wikipedia)"
    words = pd.DataFrame(
        {
            "Word": [c.replace("_", " ") for c in CONCEPTS],
            "uniqueID": CONCEPTS,
            "WordNet ID": "n00000000",
        }
    )
    words[definition] = [f'a "thing" called {concept}' for concept in CONCEPTS]
    words.to_csv(folder / "things_concepts.tsv", sep="\t", index=False)
    for name, concept in set(zip(stimuli["stimulus"], stimuli["concept"])):
        (folder / "object_images" / concept).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), (len(name), 0, 0)).save(
            folder / "object_images" / concept / name
        )
    return folder, stimuli, betas


def mask_of(folder):
    return folder / "brainmasks/sub-01_space-T1w_brainmask.nii.gz"


def write_like_pandas(folder, betas):
    """Pandas' fixed frame of voxel_id, 0 … n, as others read it with plain h5py: blocks of one type each."""
    with h5py.File(folder / "betas_csv/sub-01_ResponseData.h5", "w") as file:
        group = file.create_group("ResponseData")
        group["block0_values"], group["block1_values"] = betas, np.arange(len(betas))[:, None]


def write_by_pandas(folder, betas):
    pytest.importorskip(
        "tables", reason="pandas writes HDF5 with PyTables, which this project does not need"
    )
    frame = pd.concat(
        [pd.Series(np.arange(len(betas)), name="voxel_id"), pd.DataFrame(betas)], axis=1
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names of two types
        frame.to_hdf(folder / "betas_csv/sub-01_ResponseData.h5", key="ResponseData", mode="w")


@pytest.mark.parametrize("write", [write_like_pandas, write_by_pandas])
def test_the_experiment_of_things_finds_every_trial_picture_and_caption(things, write):
    folder, stimuli, betas = things
    write(folder, betas)
    source = open_source(
        load_settings(SeenSettings, FOLDER / "config.py", experiment_of("things", folder))
    )
    assert source.trials["image"].tolist() == [
        name.removesuffix(".jpg") for name in stimuli["stimulus"]
    ]
    assert source.trials["split"].tolist() == stimuli["trial_type"].tolist()
    assert source.trials["session"].tolist() == [f"{number:02d}" for number in stimuli["session"]]
    columns = source.columns["voxel"].to_numpy()
    for number in (1, 2):
        expected = betas[columns][:, stimuli["session"] == number].T
        assert np.allclose(source.betas(f"{number:02d}", columns), expected, atol=1e-6)
    for image in source.trials["image"].unique():
        concept = image.rpartition("_")[0]
        assert source.captions(image) == [
            f'{concept.replace("_", " ")}, a "thing" called {concept}'
        ]
        assert source.picture(image).shape == (16, 16, 3)


def test_sessions_of_things_have_mean_0(things):
    folder, stimuli, betas = things
    write_like_pandas(folder, betas)
    assert size(folder) < MEBIBYTE
    changes = {
        "SPACE_FILE": str(mask_of(folder)),
        "EARLY_ROIS": ("V1", "V2", "hV4", "glasser-p9-46v"),
    }
    results, printed = load_patterns(
        "things", folder, **changes, GCN_NODES=(("V1", "V2"), ("hV4", "glasser-p9-46v"))
    )
    assert (
        "early glasser-p9-46v: 5 voxels" in printed
        and "84 training trials of 84 images, 14 test images" in printed
    )
    train, trials = np.load(results / "train.npy"), pd.read_csv(results / "trials.tsv", sep="\t")
    voxels = pd.read_csv(results / "voxels.tsv", sep="\t")["voxel"].to_numpy()
    for number in (1, 2):
        mine = ((stimuli["session"] == number) & (stimuli["trial_type"] == "train")).to_numpy()
        assert np.allclose(
            train[trials["session"] == number], zscore(betas[voxels][:, mine].T, axis=0), atol=1e-4
        )


def check_of(name, folder):
    """What ``--check`` prints with a shipped experiment, and what it calls wrong; nothing is written."""
    config = experiment_of(name, folder, DATA_DIR=str(folder.parent / "nothing"))
    done = script_here(FOLDER / "1-load_betas.py", config, "--check")
    assert not (folder.parent / "nothing").exists()
    wrong = [line for line in done.stdout.splitlines() if line.startswith("  wrong: ")]
    assert done.returncode == bool(wrong), done.stderr
    return done.stdout, wrong


def rows_of(printed):
    return [line.split() for line in printed.splitlines()]


def test_check_counts_trials_pictures_and_voxels_of_nsd(nsd):
    folder, ids, shared, _ = nsd
    printed, wrong = check_of("nsd", folder)
    # The weights of the generator are not part of the data set.
    assert len(wrong) == 1 and "MODEL_DIR" in wrong[0]
    n_images = len(np.unique(ids))
    assert f"subj01: {ids.size} trials in {len(ids)} sessions" in printed
    assert f"pictures: {n_images} of {n_images} images have them" in printed
    assert f"captions: {n_images} of {n_images} images have them" in printed
    for number, session in enumerate(ids.reshape(len(ids), -1), 1):
        is_test = np.isin(session, shared)
        counts = (
            (~is_test).sum(),
            len(set(session[~is_test])),
            is_test.sum(),
            len(set(session[is_test])),
        )
        assert [f"{number:02d}", *map(str, counts)] in rows_of(printed)


def test_check_counts_trials_pictures_and_voxels_of_things(things):
    folder, stimuli, betas = things
    write_like_pandas(folder, betas)
    printed, wrong = check_of("things", folder)
    assert len(wrong) == 1 and "MODEL_DIR" in wrong[0]
    n_images = stimuli["stimulus"].nunique()
    assert f"{len(stimuli)} trials in 2 sessions" in printed
    assert f"pictures: {n_images} of {n_images} images have them" in printed
    for session, trials in stimuli.groupby("session"):
        is_test = trials["trial_type"] == "test"
        images = trials.groupby(is_test)["stimulus"].nunique()
        counts = (~is_test).sum(), images[False], is_test.sum(), images[True]
        assert [f"{session:02d}", *map(str, counts)] in rows_of(printed)
