"""Every way to explain a volume behind one call: a map over voxels for one class, whatever the method."""

from pathlib import Path

from neuroface.attribution import Recipe, explainer_of_network
from neuroface.pipeline import keras

import numpy as np
import pandas as pd

from volume_study.box_occlusion import BoxOcclusion
from volume_study.networks import load_classifier, view_of_class

# method → (what tables call it, unit of a map's values, positive and negative values mean something)
METHODS = {
    "occlusion-zero": ("occlusion by zero", "drop of the label's probability", True),
    "occlusion-mean": ("occlusion by the training mean", "drop of the label's probability", True),
    "ig": ("Integrated Gradients", "log-odds per voxel", True),
    "grad-cam": ("Grad-CAM", "features × their mean gradient", True),
    "attention-rollout": ("attention rollout", "share of attention", False),
}


class Explainer:
    """The methods for fold models of one architecture; a process loads each model once.

    Parameters
    ----------
    X : (n, n_voxels). models : fold → ``.keras`` file. means : fold → mean training volume, ``.npy`` (n_voxels,).
    cfg : BOX_VOXELS, BOX_STRIDE, IG_RULE, IG_STEPS, INFERENCE_BATCH, SEED.
    """

    def __init__(self, X: np.ndarray, models: dict[int, Path], means: dict[int, Path], cfg):
        self.X, self.models, self.means, self.cfg = X, models, means, cfg
        self._networks: dict[int, keras.Model] = {}
        self._occlusions: dict[int, BoxOcclusion] = {}

    def network(self, fold: int) -> keras.Model:
        if fold not in self._networks:
            self._networks[fold] = load_classifier(self.models[fold], self.X.shape[1])
        return self._networks[fold]

    def __call__(self, method: str, row: int, fold: int, number: int) -> tuple[np.ndarray, float]:
        """Explain why a volume is of a class.

        Parameters
        ----------
        row : of X. fold : the model that never saw it. number : of the class.

        Returns
        -------
        (n_voxels,) float32, and for "ig" the completeness gap: how much the map's sum misses of the change of the log-odds
        (NaN for other methods).
        """
        if method.startswith("occlusion"):
            return self._occlude(method, row, fold, number), np.nan
        cfg, zero = self.cfg, np.zeros((1, self.X.shape[1], 1), dtype=np.float32)
        recipe = Recipe(
            method, "keras", cfg.IG_RULE, cfg.IG_STEPS, 0.01, None, 1, 0, 0.0, min(cfg.INFERENCE_BATCH, cfg.IG_STEPS),
            cfg.SEED,
        )  # fmt: skip
        explain = explainer_of_network(view_of_class(self.network(fold), number), recipe)
        maps, figures = explain(self.X[..., None], pd.DataFrame({"row": [row], "sign": [1]}), lambda _: zero)
        return maps[0, :, 0], float(figures["gap"].iloc[0]) if method == "ig" else np.nan

    def _occlude(self, method: str, row: int, fold: int, number: int) -> np.ndarray:
        if fold not in self._occlusions:
            cfg = self.cfg
            self._occlusions[fold] = BoxOcclusion(
                self.network(fold), cfg.BOX_VOXELS, cfg.BOX_STRIDE, cfg.INFERENCE_BATCH
            )
        baseline = np.zeros(self.X.shape[1], dtype=np.float32)
        if method == "occlusion-mean":
            baseline = np.load(self.means[fold], allow_pickle=False)
        return self._occlusions[fold](self.X[row], baseline, number)[0]


def choose_volumes(
    predictions: pd.DataFrame, labels: list[str], least: float, per_person: int, seed: int
) -> pd.DataFrame:
    """Held-out volumes that are classified correctly and with confidence, some of each person and label, drawn at random.

    Parameters
    ----------
    predictions : columns subject, label, fold, probability_<label>; a row per row of X.
    least : probability of the label from which a volume counts. per_person : volumes of a person and label at most.

    Returns
    -------
    Columns subject, label, fold, row, probability, sorted by row.
    """
    probability = predictions[[f"probability_{label}" for label in labels]].to_numpy()
    number = predictions["label"].map(labels.index).to_numpy()
    own = probability[np.arange(len(number)), number]
    table = predictions[["subject", "label", "fold"]].assign(row=np.arange(len(number)), probability=own)
    table = table[(probability.argmax(axis=1) == number) & (own >= least)]
    parts = [
        part.sample(min(per_person, len(part)), random_state=seed) for _, part in table.groupby(["subject", "label"])
    ]
    return pd.concat(parts).sort_values("row", ignore_index=True) if parts else table
