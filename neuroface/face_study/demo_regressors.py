"""Film regressors of the demo data set, correlated with its faces as in real films.

Close-ups are darker and calmer than the rest, cut and spoken over more. None of this moves the
demo's BOLD.
"""

from pathlib import Path

from neuroface.bold import on_screen
from neuroface.film import regressors_of_samples, write_regressors

import numpy as np
import pandas as pd
from scipy import ndimage

RATE_HZ = 5.0
OWN_STREAM = (
    999  # of random numbers, so that the rest of the data set does not depend on these files
)
NOISE_S = 4.0  # how long a film stays as it is
# Mean without a face, change with one, SD of the film's own changes; a probability per second for
# cuts.
FILM_CONTENTS = {
    "brightness": (0.42, -0.05, 0.08),
    "motion_energy": (0.030, -0.004, 0.010),
    "loudness": (-34.0, 2.5, 5.0),
    "speech": (0.30, 0.18, 0.25),
}
CUTS_PER_S = (0.12, 0.18)


def write_demo_regressors(
    folder: Path, film: str, stretches: np.ndarray, film_s: int, tr_s: float, seeds: list[int]
) -> None:
    """Write ``task-<film>_film-regressors.tsv`` and its sidecar, which states the truth.

    Parameters
    ----------
    stretches : (n, 2) onset_s and duration_s with a face; they may overlap. seeds : seeds of the film.
    """
    rng = np.random.default_rng([*seeds, OWN_STREAM])
    times_s = np.arange(round(film_s * RATE_HZ)) / RATE_HZ
    face = np.max([on_screen(times_s, row[None]) for row in stretches], axis=0)
    samples = pd.DataFrame(
        {"shot_cuts": rng.random(len(times_s)) < np.take(CUTS_PER_S, face) / RATE_HZ}
    )
    for name, (mean, change, spread) in FILM_CONTENTS.items():
        noise = ndimage.gaussian_filter1d(rng.standard_normal(len(times_s)), NOISE_S * RATE_HZ / 2)
        samples[name] = mean + change * face + spread * noise / noise.std()
    samples["speech"] = samples["speech"].clip(0, 1)
    samples[["brightness", "motion_energy"]] = samples[["brightness", "motion_energy"]].clip(
        lower=0
    )
    truth = {"Synthetic": {"CutsPerS": CUTS_PER_S, "MeanChangeSpread": FILM_CONTENTS}}
    write_regressors(
        folder, f"task-{film}", regressors_of_samples(samples, RATE_HZ, tr_s), tr_s, truth
    )
