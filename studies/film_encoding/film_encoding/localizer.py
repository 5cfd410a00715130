"""A virtual localizer: pictures of two kinds are shown to the trained encoder, as in a functional localizer.

Kinds are two folders of pictures, for example faces and places. Each picture stands still for a
chunk. What a voxel is predicted to answer to one kind less the other is a map; it says what the
encoder learned about the voxel, and no brain saw these pictures.
"""

from pathlib import Path

from film_encoding.film_contrast import stretched
from neuroface import NeuroFaceError
from neuroface.decoding import p_value
from neuroface.pipeline import keras

import numpy as np
import pandas as pd
from PIL import Image, UnidentifiedImageError
from scipy import stats

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")
FEWEST = 4  # pictures of a kind
N_EXCHANGES = 2000


def read_pictures(folder: Path, kind: str, pixels: int, stretch: bool) -> np.ndarray:
    """All pictures of a kind in order of their names: (n, pixels, pixels, 3) uint8; proportions are not kept, as for
    films.

    Parameters
    ----------
    stretch : from darkest to brightest value, as FRAME_CONTRAST = "frame" does.

    Raises
    ------
    NeuroFaceError
        If the folder is missing or holds too few pictures, or one cannot be read.
    """
    where = folder / kind
    files = (
        sorted(file for file in where.iterdir() if file.suffix.lower() in ENDINGS)
        if where.is_dir()
        else []
    )
    if len(files) < FEWEST:
        raise NeuroFaceError(
            f"LOCALIZER names {kind!r}, and {where} holds {len(files)} pictures; {FEWEST} or more are needed. Put them "
            "there, or set LOCALIZER = ()."
        )
    pictures = []
    for file in files:
        try:
            with Image.open(file) as image:
                picture = np.asarray(
                    image.convert("RGB").resize((pixels, pixels), Image.Resampling.BOX)
                )
        except (UnidentifiedImageError, OSError) as error:
            raise NeuroFaceError(
                f"{file} is no picture that can be read ({error}). Remove it."
            ) from None
        pictures.append(stretched(picture) if stretch else picture)
    return np.stack(pictures)


def responses_to(network: keras.Model, pictures: np.ndarray, frames: int, batch: int) -> np.ndarray:
    """What the encoder predicts for pictures (n, pixels, pixels, 3) uint8 that stand still: (n, n_voxels) float32."""
    out = []
    for start in range(0, len(pictures), batch):
        still = np.repeat(pictures[start : start + batch, None], frames, axis=1)
        made = network.predict_on_batch(still)
        out.append(np.asarray(made[0] if isinstance(made, list) else made, dtype=np.float32))
    return np.concatenate(out)


def contrast(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Cohen's d of each voxel (n_voxels,): responses (n_first, n_voxels) to one kind less (n_second, n_voxels) to the
    other, by the SD over pictures of a kind.
    """
    dfs = len(first) - 1, len(second) - 1
    variances = first.var(axis=0, ddof=1), second.var(axis=0, ddof=1)
    within = np.sqrt(np.average(variances, axis=0, weights=dfs))
    difference = first.mean(axis=0) - second.mean(axis=0)
    return np.divide(difference, within, out=np.zeros_like(difference), where=within > 1e-9)


def agreement(effect: np.ndarray, measured: np.ndarray) -> dict[str, float | str | None]:
    """How the map of the localizer goes with what was measured.

    Parameters
    ----------
    effect : (n_voxels,), of :func:`contrast`. measured : (n_voxels,), NaN where the thing is on the
        screen at all moments, or at none.

    Returns
    -------
    "r_with_measured", Pearson's r over voxels, or None; then "why_no_r".
    """
    why = None
    if np.isnan(measured).any():
        why = "the thing is on the screen at all held-out moments, or at none"
    elif not np.ptp(effect):
        why = "the map is the same in all voxels"
    elif not np.ptp(measured):
        why = "what was measured is the same in all voxels"
    if why:
        return {"r_with_measured": None, "why_no_r": why}
    return {"r_with_measured": float(np.corrcoef(effect, measured)[0, 1])}


def region_contrasts(
    first: np.ndarray,
    second: np.ndarray,
    regions: dict[str, np.ndarray],
    measured: np.ndarray,
    seed: int,
) -> pd.DataFrame:
    """Regions by what the encoder predicts for them.

    Parameters
    ----------
    first, second : responses (n_pictures, n_voxels) to the two kinds. regions : name → (n_voxels,)
        bool. measured : (n_voxels,), BOLD where the thing is on the screen less BOLD elsewhere.

    Returns
    -------
    A row per region: its voxels; difference of the mean response with the 95 % interval of Welch's t
    over pictures, NaN where all pictures of a kind have the same response; p, one-sided, by exchanged
    pictures; the mean of what was measured.
    """
    n, rng = len(first), np.random.default_rng(seed)
    orders = np.stack([rng.permutation(n + len(second)) for _ in range(N_EXCHANGES)])
    rows = []
    for name, here in regions.items():
        answers = np.concatenate([first[:, here], second[:, here]])
        means = answers.mean(axis=1, dtype=np.float64)
        low, high = np.nan, np.nan
        if np.ptp(means[:n]) or np.ptp(means[n:]):
            welch = stats.ttest_ind(means[:n], means[n:], equal_var=False)
            low, high = welch.confidence_interval(0.95)
        difference = float(means[:n].mean() - means[n:].mean())
        mixed = means[orders]
        null = mixed[:, :n].mean(axis=1) - mixed[:, n:].mean(axis=1)
        rows.append(
            {
                "region": name,
                "n_voxels": int(here.sum()),
                "difference": difference,
                "low": float(low),
                "high": float(high),
                "p": p_value(difference, null),
                "measured": float(measured[here].mean()),
            }
        )
    return pd.DataFrame(rows).sort_values("difference", ascending=False)
