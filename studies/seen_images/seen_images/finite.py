"""Stop where numbers are not finite, with the name of what made them."""

from neuroface import NeuroFaceError

import numpy as np


def check_finite(values: np.ndarray, maker: str, remedy: str) -> np.ndarray:
    """``values`` (any shape), if all are finite.

    Parameters
    ----------
    maker : what made them, the beginning of the message: "Script 3, ridge (image): decoded latents".

    Raises
    ------
    NeuroFaceError
        How many are not finite, the first one and its place, and ``remedy``.
    """
    is_finite = np.isfinite(values)
    if not is_finite.all():
        place = tuple(int(n) for n in np.argwhere(~is_finite)[0])
        raise NeuroFaceError(
            f"{maker} hold {(~is_finite).sum():,} values of {is_finite.size:,} that are not finite, such as {values[place]} "
            f"at {place} of {values.shape}. {remedy}"
        )
    return values
