"""The demo data set: drawn films as MP4 files, and BOLD of people whose visual cortex is synthetic, in BIDS.

One film goes on with sound after its picture has ended; another has frames at uneven times. Runs
begin a few seconds before the film, a little differently for each person; ``events.tsv`` says when.
"""

from pathlib import Path

from film_encoding.demo_cortex import (
    STEPS_PER_TR,
    Tuning,
    bold_response,
    brain,
    moved,
    person_bold,
    person_shift,
)
from film_encoding.demo_film import (
    THINGS,
    draw_face_picture,
    draw_frame,
    draw_place_picture,
    draw_shots,
)
from film_encoding.film_frames import write_film
from neuroface.bold import write_nifti
from neuroface.pipeline import begin_demo, write_json, write_table

import numpy as np
import pandas as pd
from PIL import Image

TR_S = 1.3
FILMS = {"harbour": 190, "kites": 200, "lanterns": 170, "orchard": 180}  # name → length in TRs
N_PEOPLE = 6
FRAMES_PER_S = 10
WIDTH, HEIGHT = 112, 84
VOXEL_MM = 4
LOOK_PIXELS = 48  # at which the synthetic cortex sees the film, and of the masks of things
LEAD_TRS, TAIL_TRS = 3, 8  # volumes before the film begins and after it ends
SOUND_TAIL_S = 4.0
N_PICTURES = 24  # of each kind, for the virtual localizer
PERCENT_CHANGE = 1.5  # of BOLD, per SD


def write_demo(
    folder: Path, seed: int, films: dict[str, int] | None = None, n_people: int = N_PEOPLE
) -> bool:
    """Write the demo data set to ``folder`` unless it is there.

    ``stimuli/<film>.mp4``; ``stimuli/task-<film>_face-annotation.1D`` (onset and duration of
    stretches with a face); ``stimuli/<film>_things.npz`` (``times_s``, ``labels`` (n, px, px): 0
    background, 1 face, 2 shape, 3 grating; ``names`` of the labels); ``sub-<n>/func/…_bold.nii.gz`` int16 and
    ``…_events.tsv``; ``atlas.nii.gz``, ``atlas.tsv``; ``localizer/faces/``,
    ``localizer/places/``, pictures; ``truth.json``.

    Parameters
    ----------
    films : name → length in TRs; None: those of the demo.

    Returns
    -------
    Whether it was written now.
    """
    folder, films = Path(folder), films or FILMS
    partial = begin_demo(folder, "truth.json", seed=seed)
    if partial is None:
        return False
    mask, affine, atlas, regions = brain(VOXEL_MM)
    voxels = atlas > 0
    row = atlas[voxels] - 1
    names, follows = (regions[column].to_numpy(str)[row] for column in ("name", "follows"))
    tuning = Tuning(np.random.default_rng([seed, 0]), names, follows, LOOK_PIXELS)
    write_nifti(partial / "atlas.nii.gz", atlas, affine)
    write_table(partial / "atlas.tsv", regions)
    shifts = {person: person_shift(seed, person) for person in range(1, n_people + 1)}
    for number, (film, n_trs) in enumerate(films.items(), 1):
        response = _write_stimulus(
            partial / "stimuli", film, n_trs, np.random.default_rng([seed, number]), tuning, number
        )
        for person in range(1, n_people + 1):
            bold = person_bold(
                np.random.default_rng([seed, number, person]),
                response,
                tuning.noise_sd,
                moved(voxels, shifts[person]),
            )
            _write_person(partial, f"sub-{person:02d}", film, bold, voxels, affine, n_trs, person)
    _write_localizer(partial / "localizer", np.random.default_rng([seed, 0, 0]))
    planted = {
        "seed": seed,
        "films": films,
        "n_people": n_people,
        "shifts_voxels": {f"sub-{person:02d}": shift.tolist() for person, shift in shifts.items()},
        "voxels": {str(name): int(n) for name, n in zip(*np.unique(names, return_counts=True))},
    }
    write_json(partial / "truth.json", planted | {"tr_s": TR_S, "voxel_mm": VOXEL_MM})
    partial.rename(folder)
    return True


def _write_stimulus(
    folder: Path, film: str, n_trs: int, rng: np.random.Generator, tuning: Tuning, number: int
) -> np.ndarray:
    """Write a film, its face annotation and the masks of its things; returns the noise-free BOLD response to it."""
    film_s = n_trs * TR_S
    shots = draw_shots(rng, film_s)
    times = np.arange(int(film_s * FRAMES_PER_S)) / FRAMES_PER_S
    if (
        number == 2
    ):  # a variable frame rate: every fifth frame is missing, its neighbour stays on the screen
        times = np.delete(times, slice(4, None, 5))
    frames = ((time_s, draw_frame(shots, time_s, WIDTH, HEIGHT)[0]) for time_s in times)
    sound_s = film_s + SOUND_TAIL_S if number == 1 else 0.0
    write_film(folder / f"{film}.mp4", frames, rate=FRAMES_PER_S, sound_s=sound_s)
    faces = [
        (shot.onset_s, min(shot.duration_s, film_s - shot.onset_s))
        for shot in shots
        if shot.thing == "face"
    ]
    np.savetxt(
        folder / f"task-{film}_face-annotation.1D", np.array(faces).reshape(-1, 2), fmt="%.3f"
    )

    looks = np.arange(n_trs * STEPS_PER_TR) * TR_S / STEPS_PER_TR
    seen, labels = zip(*(draw_frame(shots, time_s, LOOK_PIXELS, LOOK_PIXELS) for time_s in looks))
    labels = np.stack(labels)
    np.savez_compressed(folder / f"{film}_things.npz", times_s=looks, labels=labels, names=THINGS)
    neural = tuning.respond(np.stack(seen).astype(np.float32) / 255, labels)
    return bold_response(neural, TR_S, n_trs + TAIL_TRS)


def _write_localizer(folder: Path, rng: np.random.Generator) -> None:
    """Write pictures of faces and of places that the films do not show."""
    for kind, draw in (("faces", draw_face_picture), ("places", draw_place_picture)):
        (folder / kind).mkdir(parents=True)
        for number in range(1, N_PICTURES + 1):
            picture = Image.fromarray(draw(rng, HEIGHT))
            picture.save(folder / kind / f"{number:02d}.png")


def _write_person(
    folder: Path, subject: str, film: str, bold, voxels, affine, n_trs: int, person: int
) -> None:
    lead = LEAD_TRS + person % 3
    volumes = np.zeros((*voxels.shape, lead + len(bold)), dtype=np.int16)
    volumes[voxels, :lead] = 1000
    volumes[voxels, lead:] = np.round(1000 * (1 + PERCENT_CHANGE / 100 * bold)).T
    stem = folder / subject / "func" / f"{subject}_task-{film}"
    write_nifti(stem.with_name(f"{stem.name}_bold.nii.gz"), volumes, affine, TR_S)
    onset = lead * TR_S + 0.1 * (person % 4)  # a fraction of a TR late, as in a scanner
    events = pd.DataFrame(
        {"onset": [round(onset, 3)], "duration": [round(n_trs * TR_S, 3)], "trial_type": ["film"]}
    )
    write_table(stem.with_name(f"{stem.name}_events.tsv"), events)
