"""All methods that explain a volume through one interface: a map over voxels for one class."""

from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.attribution import Recipe, explainer_of_network
from neuroface.pipeline import keras, open_npy
from volume_study.box_occlusion import BoxOcclusion
from volume_study.networks import load_classifier, view_of_class

import numpy as np
import pandas as pd

SCREENED = "screened-ridge"  # explains that model, whatever EXPLAINED_MODEL is
# method → (what tables call it, unit of a map's values)
METHODS = {
    "occlusion-zero": ("occlusion by zero", "drop of the label's probability"),
    "occlusion-mean": ("occlusion by the training mean", "drop of the label's probability"),
    "ig": ("Integrated Gradients", "log-odds per voxel"),
    "grad-cam": ("Grad-CAM", "features × their mean gradient"),
    "attention-rollout": ("attention rollout", "share of attention"),
    SCREENED: ("screened ridge", "decision value per voxel"),
}


class VolumeExplainer:
    """The methods for fold models of one architecture; a process loads each model once.

    Parameters
    ----------
    X : (n, n_voxels). models : fold → ``.keras`` file. means : fold → mean training volume,
    ``.npy`` (n_voxels,). weights : ``.npy`` of screened ridge, (n_folds, n_labels, n_voxels).
    cfg : BOX_VOXELS, BOX_STRIDE, IG_RULE, IG_STEPS, INFERENCE_BATCH, SEED.
    """

    def __init__(
        self, X: np.ndarray, models: dict[int, Path], means: dict[int, Path], weights: Path, cfg
    ):
        self.X, self.models, self.means, self.weights, self.cfg = X, models, means, weights, cfg
        self._networks: dict[int, keras.Model] = {}
        self._views: dict[tuple[int, int], keras.Model] = {}
        self._occlusions: dict[int, BoxOcclusion] = {}

    def network(self, fold: int) -> keras.Model:
        if fold not in self._networks:
            self._networks[fold] = load_classifier(self.models[fold], self.X.shape[1])
        return self._networks[fold]

    def _view(self, fold: int, number: int) -> keras.Model:
        if (fold, number) not in self._views:
            self._views[fold, number] = view_of_class(self.network(fold), number)
        return self._views[fold, number]

    def __call__(self, method: str, rows: np.ndarray, fold: int) -> tuple[np.ndarray, pd.DataFrame]:
        """Explain the probability of every class in some volumes, whatever their label.

        Parameters
        ----------
        rows : row numbers in X. fold : the fold whose model never saw them.

        Returns
        -------
        (n_rows, n_classes, n_voxels) float32. And for "ig" a row per volume and class, columns gap
        and change: change is that of the log-odds from an empty volume to this one; gap is change
        minus the map's sum. With other methods no rows.
        """
        gaps = pd.DataFrame(columns=["gap", "change"], dtype=float)
        if method == SCREENED:
            weights = self._screened_weights()[fold - 1]  # folds count from 1
            return (weights * self.X[rows][:, None]).astype(np.float32), gaps
        network = self.network(fold)
        n_classes = network.output_shape[1]
        if method.startswith("occlusion"):
            return np.stack([self._occlude(method, row, fold) for row in rows]), gaps
        cfg, zero = self.cfg, np.zeros((1, self.X.shape[1], 1), dtype=np.float32)
        recipe = Recipe(
            method=method,
            rule=cfg.IG_RULE,
            steps=cfg.IG_STEPS,
            batch=cfg.INFERENCE_BATCH,
            seed=cfg.SEED,
        )
        asked, maps = (
            pd.DataFrame({"row": rows, "sign": 1}),
            np.empty((len(rows), n_classes, self.X.shape[1]), np.float32),
        )
        for number in range(n_classes):
            if number and method == "attention-rollout":  # it does not know the class
                maps[:, number] = maps[:, 0]
                continue
            explain = explainer_of_network(self._view(fold, number), recipe)
            attributions, figures = explain(self.X[..., None], asked, lambda _: zero)
            maps[:, number] = attributions[..., 0]
            if method == "ig":
                change = figures["logit"] - figures["logit_of_baseline"]
                of_voxels = pd.DataFrame({"gap": figures["gap"].abs(), "change": change.abs()})
                gaps = of_voxels if gaps.empty else pd.concat([gaps, of_voxels])
        return maps, gaps

    def _screened_weights(self) -> np.ndarray:
        if not self.weights.exists():
            raise NeuroFaceError(
                f"{self.weights} is not there. Run script 3 again: it fits screened ridge anew and keeps all networks."
            )
        return open_npy(self.weights)

    def _occlude(self, method: str, row: int, fold: int) -> np.ndarray:
        if fold not in self._occlusions:
            cfg = self.cfg
            self._occlusions[fold] = BoxOcclusion(
                self.network(fold), cfg.BOX_VOXELS, cfg.BOX_STRIDE, cfg.INFERENCE_BATCH
            )
        baseline = np.zeros(self.X.shape[1], dtype=np.float32)
        if method == "occlusion-mean":
            baseline = np.load(self.means[fold], allow_pickle=False)
        return self._occlusions[fold](self.X[row], baseline)[0]


def choose_volumes(
    predictions: pd.DataFrame, labels: list[str], least: float, per_episode: int, seed: int
) -> pd.DataFrame:
    """Held-out volumes that are explained: some of each person and episode, drawn at random.

    Parameters
    ----------
    predictions : columns subject, label, fold, event, probability_<label>; a row per row of X.
    least : 0: every volume may be drawn. Above: only those that are classified correctly with at
        least this probability, as published. A map of volumes that were chosen because the network
        is sure of them differs from 0 wherever the network has a weight, whatever the brain does:
        such maps cannot be tested.
    per_episode : volumes of a person and episode at most.

    Returns
    -------
    Columns subject, label, fold, event, row, probability (of its label), sorted by row.
    """
    probability = predictions[[f"probability_{label}" for label in labels]].to_numpy()
    number = predictions["label"].map(labels.index).to_numpy()
    own = probability[np.arange(len(number)), number]
    table = predictions[["subject", "label", "fold", "event"]].assign(
        row=np.arange(len(number)), probability=own
    )
    if least > 0:
        table = table[(probability.argmax(axis=1) == number) & (own >= least)]
    shuffled = table.sample(frac=1, random_state=seed)
    kept = shuffled[shuffled.groupby(["subject", "event"]).cumcount() < per_episode]
    return kept.sort_values("row", ignore_index=True)
