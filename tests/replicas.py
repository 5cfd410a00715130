"""Small replicas of public data sets: their names, tables and numbers of volumes, and BOLD whose values are volume numbers.

Facts, not copies: names and lengths as in OpenNeuro's ds002837, ds000105, ds000113 and ds004044 and
in fMRIPrep's releases 21 and 25. Every voxel of a brain of volume v holds 1000 + v; one corner
voxel tells people and runs apart.
"""

import json
from pathlib import Path

import nibabel as nib
import numpy as np

CATEGORIES = ("scissors", "face", "cat", "shoe", "house", "scrambledpix", "bottle", "chair")
BLOCK_ONSETS_S = (12, 48, 84, 120, 156, 192, 228, 264)
MNI = "_space-MNI152NLin2009cAsym"
FILM_LENGTHS = (451, 441, 438, 488, 462, 439, 542, 338)  # ds000113, task-movie, all people


def brain(shape):
    """A ball in a box, (x, y, z) bool."""
    places = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    centre = (np.array(shape) - 1) / 2
    return (((places - centre) / (0.75 * (centre + 0.5))) ** 2).sum(-1) < 1


def bold(path, n_volumes, tr_s, tag=0, shape=(6, 7, 6), mm=20.0, zero=(), origin=0.0):
    """A series: 1000 + volume number in the brain, 0 outside; ``tag`` in the first voxel; volumes ``zero`` are empty."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.zeros((*shape, n_volumes), np.int16)
    values[brain(shape)] = 1000 + np.arange(n_volumes)
    values[0, 0, 0] = tag
    values[..., list(zero)] = 0
    affine = np.diag([mm, mm, mm, 1.0])
    affine[:3, 3] = origin
    image = nib.Nifti1Image(values, affine)
    image.header.set_zooms((mm, mm, mm, tr_s))
    image.header.set_xyzt_units("mm", "sec")
    nib.save(image, path)
    return path


def mask(path, shape=(6, 7, 6), mm=20.0, origin=0.0):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([mm, mm, mm, 1.0])
    affine[:3, 3] = origin
    nib.save(nib.Nifti1Image(brain(shape).astype(np.uint8), affine), path)
    return path


def text(path, content):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def haxby(root, people=("sub-1", "sub-2"), runs=3):
    """ds000105 and its fMRIPrep 21 derivative beside it; the raw data have no mask, and run-01 where fMRIPrep has run-1."""
    raw, derivative = root / "ds000105", root / "ds000105-fmriprep"
    text(
        raw / "task-objectviewing_bold.json", {"RepetitionTime": 2.5, "TaskName": "object viewing"}
    )
    for person in people:
        for run in range(1, runs + 1):
            order = np.roll(CATEGORIES, run - 1)
            rows = [
                f"{o + 2 * k:.3f}\t0.500\t{name}\n"
                for o, name in zip(BLOCK_ONSETS_S, order)
                for k in range(12)
            ]
            stem, tag = f"{person}_task-objectviewing_run-", 10 * int(person[4:]) + run
            text(
                raw / person / "func" / f"{stem}{run:02d}_events.tsv",
                "onset\tduration\ttrial_type\n" + "".join(rows),
            )
            bold(
                raw / person / "func" / f"{stem}{run:02d}_bold.nii.gz",
                121,
                2.5,
                tag,
                (12, 13, 12),
                12.0,
            )
            for space in ("", f"{MNI}_res-2", "_space-T1w"):
                name = f"{stem}{run}{space}_desc-preproc_bold"
                bold(derivative / person / "func" / f"{name}.nii.gz", 121, 2.5, tag + 100)
                text(
                    derivative / person / "func" / f"{name}.json",
                    {"RepetitionTime": 2.5, "SliceTimingCorrected": False},
                )
                mask(derivative / person / "func" / f"{stem}{run}{space}_desc-brain_mask.nii.gz")
            aroma = f"{stem}{run}_space-MNI152NLin6Asym_desc-smoothAROMAnonaggr_bold.nii.gz"
            bold(derivative / person / "func" / aroma, 121, 2.5, tag + 200)
    return raw, derivative


def somatotopy(root, people=("sub-01", "sub-02"), runs=2):
    """ds004044 and its published derivative: T1w only, no func/, no mask, no JSON, run-1 against run-01, _bold_denoised."""
    for number, person in enumerate(people):
        for run in range(1, runs + 1):
            codes = [0, *np.random.default_rng(run).permutation(np.repeat(np.arange(13), 3))[:28]]
            rows = "".join(f"{16 * block}\t16\t{code}\n" for block, code in enumerate(codes))
            stem = f"{person}_ses-1_task-motor_run-"
            raw = root / person / "ses-1" / "func"
            text(raw / f"{stem}{run:02d}_events.tsv", "onset\tduration\ttrial_type\n" + rows)
            bold(raw / f"{stem}{run:02d}_bold.nii.gz", 232, 2.0, 10 * number + run)
            for ending in ("", "_denoised"):
                name = f"{stem}{run}_space-T1w_desc-preproc_bold{ending}.nii.gz"
                folder = root / "derivatives" / "fmriprep" / person
                tag = 100 * (number + 1) + 10 * run + len(ending)
                bold(
                    folder / name, 232, 2.0, tag, (12 + number, 13, 12), 12.0, origin=float(number)
                )
    return root, root / "derivatives" / "fmriprep"


def studyforrest(root, people=("sub-01", "sub-02")):
    """fMRIPrep's output of ds000113: eight parts of a film with StartTime, and a session of localizers."""
    for number, person in enumerate(people):
        for run, n in enumerate(FILM_LENGTHS, 1):
            stem = f"{person}_ses-movie_task-movie_run-{run}{MNI}"
            folder = root / person / "ses-movie" / "func"
            bold(folder / f"{stem}_desc-preproc_bold.nii.gz", n, 2.0, 10 * number + run)
            mask(folder / f"{stem}_desc-brain_mask.nii.gz")
            sidecar = {
                "RepetitionTime": 2.00000061,
                "SliceTimingCorrected": True,
                "StartTime": 0.971,
                "TaskName": "movie",
            }
            text(folder / f"{stem}_desc-preproc_bold.json", sidecar)
        stem = f"{person}_ses-localizer_task-movielocalizer_run-1{MNI}"
        bold(
            root / person / "ses-localizer" / "func" / f"{stem}_desc-preproc_bold.nii.gz",
            48,
            2.0,
            100 + number,
        )
        mask(root / person / "ses-localizer" / "func" / f"{stem}_desc-brain_mask.nii.gz")
    return root


def nndb(root, people, stretches, censored=()):
    """ds002837, v1 and v2 side by side. ``people``: person → (film, volumes of v1, of v2); film → stretches with a face."""
    for film, rows in stretches.items():
        text(
            root / "stimuli" / f"task-{film}_face-annotation.1D",
            "".join(f"{o:.1f} {d:.1f}\n" for o, d in rows),
        )
    small = {"shape": (3, 3, 3), "mm": 40.0}
    for number, (person, (film, n_v1, n_v2)) in enumerate(people.items(), 1):
        folder, stem = root / "derivatives" / person, f"{person}_task-{film}"
        if n_v1:
            bold(
                folder / "func" / f"{stem}_bold_preprocessedICA.nii.gz", n_v1, 1.0, number, **small
            )
            mask(folder / "anat" / f"{person}_T1w_mask.nii.gz", **small)
        bold(folder / "func" / f"{stem}_bold_blur_no_censor_ica.nii.gz", n_v2, 1.0, number, **small)
        bold(
            folder / "func" / f"{stem}_bold_blur_censor.nii.gz",
            n_v2,
            1.0,
            number,
            zero=censored,
            **small,
        )
        mask(folder / "anat" / f"{person}_t1w_mask_epi_anat.nii.gz", **small)
        marks = np.ones(n_v2, int)
        marks[list(censored)] = 0
        text(
            folder / "regressors" / f"{stem}_censored_timepoints.1D",
            "".join(f" {mark}\n" for mark in marks),
        )
    return root


def fmriprep25(root, sessions=(), people=("sub-01", "sub-02"), tr_s=1.5):
    """A plain fMRIPrep 25 derivative beside its raw data set, one film in two runs, with or without sessions."""
    raw, derivative = root / "bids", root / "fmriprep"
    for number, person in enumerate(people):
        for session in sessions or ("",):
            places = [part for part in (person, session) if part]
            for run in ("01", "02"):
                stem = "_".join([*places, f"task-film_run-{run}"])
                rows = "".join(
                    f"{o}\t14\t{n}\n"
                    for o, n in ((10, "music"), (40, "speech"), (70, "music"), (100, "speech"))
                )
                text(
                    raw.joinpath(*places, "func", f"{stem}_events.tsv"),
                    "onset\tduration\ttrial_type\n" + rows,
                )
                tag = 100 * number + 10 * len(session) * (session[-1:] == "2") + int(run)
                bold(raw.joinpath(*places, "func", f"{stem}_bold.nii.gz"), 100, tr_s, tag)
                folder = derivative.joinpath(*places, "func")
                bold(folder / f"{stem}{MNI}_res-2_desc-preproc_bold.nii.gz", 100, tr_s, tag + 1000)
                mask(folder / f"{stem}{MNI}_res-2_desc-brain_mask.nii.gz")
                sidecar = {"RepetitionTime": tr_s, "StartTime": 0.7, "SliceTimingCorrected": True}
                text(folder / f"{stem}{MNI}_res-2_desc-preproc_bold.json", sidecar)
                text(folder / f"{stem}_desc-confounds_timeseries.tsv", "trans_x\n" + "0.1\n" * 100)
            mask(
                derivative.joinpath(person, "anat", f"{person}_desc-brain_mask.nii.gz"),
                (5, 5, 5),
                2.0,
            )
    return raw, derivative


def development_fmri(root, people=("sub-pixar123", "sub-pixar124", "sub-pixar125", "sub-pixar126")):
    """What nilearn 0.14.1's fetch_development_fmri leaves: one folder for all files; no mask, no events, no sidecar."""
    columns = (
        "trans_x",
        "trans_y",
        "trans_z",
        "rot_x",
        "rot_y",
        "rot_z",
        "framewise_displacement",
        "csf",
        "white_matter",
    )
    rows = "".join(
        "\t".join(f"{(row + k) % 7 / 7:.3f}" for k in range(len(columns))) + "\n"
        for row in range(168)
    )
    text(
        root / "participants.tsv",
        "participant_id\tAge\tAgeGroup\tChild_Adult\tGender\tHandedness\n",
    )
    for tag, person in enumerate(people, 1):
        bold(
            root / f"{person}_task-pixar{MNI}_desc-preproc_bold.nii.gz",
            168,
            2.0,
            tag,
            (12, 13, 12),
            12.0,
        )
        text(
            root / f"{person}_task-pixar_desc-reducedConfounds_regressors.tsv",
            "\t".join(columns) + "\n" + rows,
        )
    return root
