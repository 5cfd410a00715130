"""What models are fitted with: windows, kernels, how networks are trained. Loads no Keras, so that scripts start fast."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from neuroface.decoding.linear import window_features, window_kernel
from neuroface.pipeline import open_npy, write_npy

import numpy as np


@dataclass(frozen=True)
class Windows:
    """The windows of a study, and what all models are fitted with; small enough to send to worker processes.

    Parameters
    ----------
    dataset : folder with ``X.npy`` (n, n_voxels, window_trs) float32 and ``y.npy`` (n,) 0 or 1.
    kernels : folder of the files of :func:`write_kernel`.
    mask : (x, y, z) bool, the group mask.
    events, people : (n,) str, of each window; windows of one event, or of one person, are not
    independent.
    regions : name of a linear model → (n_voxels,) bool, the voxels that it uses; all voxels if it
    has no entry.
    labels : (n,) 0 or 1 in place of ``y.npy``.
    """

    dataset: Path
    kernels: Path
    mask: np.ndarray
    events: np.ndarray
    people: np.ndarray
    regions: dict[str, np.ndarray]
    labels: np.ndarray | None = None

    @property
    def X(self) -> np.ndarray:
        return open_npy(self.dataset / "X.npy")

    @property
    def y(self) -> np.ndarray:
        return np.array(open_npy(self.dataset / "y.npy")) if self.labels is None else self.labels

    @property
    def groupings(self) -> tuple[np.ndarray, np.ndarray]:
        """Event and person of each window."""
        return self.events, self.people

    def features_of(self, name: str):
        """Features of a linear model, in blocks; see :func:`neuroface.decoding.linear.window_features`."""
        return window_features(
            self.X, "mean" if name == "linear-mean" else "window", self.regions.get(name)
        )

    def kernel_file(self, name: str) -> Path:
        return self.kernels / f"{name}_kernel.npy"

    def kernel_of(self, name: str) -> np.ndarray:
        """Inner products (n, n) float64 of the windows in the features of a linear model."""
        return np.array(open_npy(self.kernel_file(name)))


@dataclass(frozen=True)
class Training:
    """How networks are built and trained; models in closed form need ``options`` alone.

    Parameters
    ----------
    options : architecture → its own sizes.
    recipe : "robust" or "paper". epochs : of the paper's recipe. steps : of the robust recipe.
    batch_size : windows per step. learning_rate : one, several to try, or "auto".
    precision : "auto", "float32", "float16" or "bfloat16".
    n_jobs : trainings at the same time, which share the memory.
    inference_batch : windows in one pass of a prediction.
    """

    options: Mapping[str, dict[str, object]]
    recipe: str
    epochs: int
    steps: int
    batch_size: int
    learning_rate: float | tuple[float, ...] | str
    precision: str
    n_jobs: int
    inference_batch: int


def write_kernel(windows: Windows, name: str) -> None:
    """Compute the kernel of a linear model; all folds, labels and models that need it read this file."""
    write_npy(windows.kernel_file(name), window_kernel(windows.features_of(name)))
