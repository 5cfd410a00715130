"""Small BIDS data sets of a block design, for tests of several studies."""

import nibabel as nib
import numpy as np

AFFINE = np.diag([4.0, 4, 4, 1])


def bids(
    folder,
    people=3,
    runs=(1, 2),
    events=("face", "house"),
    n_volumes=170,
    tr_s=2.0,
    order=None,
    mask=True,
):
    """A block design: blocks of 16 s, 26 s apart; every run has a mask of all voxels (4 × 4 × 4)."""
    for person in range(1, people + 1):
        func = folder / f"sub-{person:02d}" / "func"
        func.mkdir(parents=True)
        for run in runs:
            stem, rng = f"sub-{person:02d}_task-loc_run-{run}", np.random.default_rng([person, run])
            save(
                func / f"{stem}_bold.nii.gz", 100 + rng.standard_normal((4, 4, 4, n_volumes)), tr_s
            )
            if mask:
                save(func / f"{stem}_desc-brain_mask.nii.gz", np.ones((4, 4, 4)))
            labels = list(events) * (12 // len(events))
            labels = rng.permutation(labels) if order == "random" else labels
            rows = [f"{12 + 26 * number}\t16\t{label}\n" for number, label in enumerate(labels)]
            (func / f"{stem}_events.tsv").write_text(
                "onset\tduration\ttrial_type\n" + "".join(rows)
            )


def save(path, values, tr_s=None):
    image = nib.Nifti1Image(values.astype(np.float32), AFFINE)
    image.header.set_xyzt_units("mm", "sec")
    if tr_s:
        image.header.set_zooms((4, 4, 4, tr_s))
    nib.save(image, path)
