"""One interface for all attribution methods: the same call and the same files for every method."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Protocol

from neuroface.attribution.deepexplain import DeepExplainGradients
from neuroface.attribution.heat_maps import AttentionRollout, GradCAM
from neuroface.attribution.integrated_gradients import IntegratedGradients, rule_for
from neuroface.attribution.method_names import METHODS
from neuroface.attribution.occlusion import Occlusion
from neuroface.decoding import load_network, logit_network, predict_logits
from neuroface.pipeline import keras

import numpy as np
import pandas as pd

_explainers: dict = {}  # of this process: recipe → explainer, its form, and the files of its weights


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A method and its settings.

    Parameters
    ----------
    method : "ig", "gradient-x-input" (one gradient, at the window itself), "occlusion", "grad-cam"
    or "attention-rollout". engine, rule, steps, tolerance : of "ig"; see
    :class:`neuroface.attribution.integrated_gradients.IntegratedGradients`.
    regions_file : ``.npy`` of region numbers (n_voxels,), for "occlusion". occlusion_trs : volumes
    occluded together. smooth_draws, smooth_noise : SmoothGrad (Smilkov et al. 2017): maps are means
    over this many copies of a window, with
        noise of this SD, in SDs of the window. 0: no noise.
    batch : windows × steps in one pass.
    seed : seed of the noise.
    """

    method: str
    engine: str = "keras"
    rule: str = "auto"
    steps: int | str = "auto"
    tolerance: float = 0.01
    regions_file: Path | None = None
    occlusion_trs: int = 1
    smooth_draws: int = 0
    smooth_noise: float = 0.0
    batch: int
    seed: int


class Attribute(Protocol):
    """What computes maps: windows, baselines, gains in logit → attributions, steps taken."""

    paths_per_pass: int

    def __call__(
        self, windows: np.ndarray, baselines: np.ndarray, gains: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]: ...


class Explainer:
    """A recipe compiled once for a network and for others with the same layers."""

    def __init__(self, model: keras.Model, recipe: Recipe):
        self.recipe, self.model, self.logit_model = recipe, model, logit_network(model)
        self._attribute: Attribute
        if recipe.method == "occlusion":
            if recipe.regions_file is None:
                raise ValueError("occlusion needs regions_file")
            regions = np.load(recipe.regions_file, allow_pickle=False)
            self._attribute = Occlusion(
                self.logit_model, regions, recipe.occlusion_trs, recipe.batch
            )
        elif recipe.method == "grad-cam":
            self._attribute = GradCAM(model, recipe.batch)
        elif recipe.method == "attention-rollout":
            self._attribute = AttentionRollout(model, recipe.batch)
        elif recipe.method == "gradient-x-input":
            self._attribute = IntegratedGradients(model, "right", 1, recipe.batch)
        elif recipe.engine == "deepexplain":
            self._attribute = DeepExplainGradients(self.logit_model, int(recipe.steps))
        else:
            rule, steps = rule_for(model, recipe.rule, recipe.steps)
            self._attribute = IntegratedGradients(
                model, rule, steps, recipe.batch, recipe.tolerance
            )
        self.windows_at_once = self._attribute.paths_per_pass

    def take_weights(self, model: keras.Model) -> None:
        """From now on explain another network with the same layers."""
        self.model.set_weights(model.get_weights())
        if isinstance(
            self._attribute, DeepExplainGradients
        ):  # its weights are constants of its graph
            self._attribute = DeepExplainGradients(self.logit_model, int(self.recipe.steps))

    def __call__(
        self, X: np.ndarray, samples: pd.DataFrame, baselines_of: Callable
    ) -> tuple[np.ndarray, pd.DataFrame]:
        """Explain windows: for the first condition the logit, for the second the negative logit.

        Parameters
        ----------
        X : (n, n_voxels, window_trs) float32, usually a memory map.
        samples : the windows, columns ``row`` (in X), and ``sign``: 1 for the first condition, -1
        for the second.
        baselines_of : a row of ``samples`` → its baselines (n_baselines, n_voxels, window_trs).
            With several, maps are means over paths from each: expected gradients (Erion et al.
            2021, Nat. Mach. Intell. 3:620).

        Returns
        -------
        maps : (n_samples, n_voxels, window_trs) float32.
        table : one row per window: row, logit and logit_of_baseline (means over its paths),
            sum_of_attributions, gap (difference of the logits minus this sum) and steps (the
            largest number over its paths).
        """
        maps, parts = np.empty((len(samples), *X.shape[1:]), dtype=np.float32), []
        n_baselines = len(baselines_of(next(samples.itertuples())))
        at_once = max(1, self.windows_at_once // max(n_baselines, self.recipe.smooth_draws))
        for start in range(0, len(samples), at_once):
            batch = samples.iloc[start : start + at_once]
            maps[start : start + len(batch)], figures = self._explain(X, batch, baselines_of)
            parts.append(pd.DataFrame({"row": batch["row"].to_numpy()} | figures))
        return maps, pd.concat(parts, ignore_index=True)

    def _explain(self, X, samples, baselines_of) -> tuple[np.ndarray, dict]:
        starts = np.stack([baselines_of(sample) for sample in samples.itertuples()])
        n_paths = max(starts.shape[1], self.recipe.smooth_draws)
        starts = starts[:, np.arange(n_paths) % starts.shape[1]].reshape(-1, *X.shape[1:])
        ends = np.concatenate([self._noisy(X[row], row, n_paths) for row in samples["row"]])
        batch = min(
            self.recipe.batch, 2 * max(self.windows_at_once, n_paths)
        )  # one shape, so nothing is traced twice
        logits = predict_logits(self.logit_model, np.concatenate([ends, starts]), batch).reshape(
            2, len(samples), n_paths
        )
        maps, steps = self._attribute(ends, starts, (logits[0] - logits[1]).ravel())
        sign = samples["sign"].to_numpy()
        maps = maps.reshape(len(samples), n_paths, *X.shape[1:]).mean(axis=1)
        if METHODS[self.recipe.method].signed:
            maps *= sign[:, None, None]
        logit, logit_of_baseline = sign * logits.mean(axis=2)
        total = maps.sum(axis=(1, 2), dtype=np.float64)
        return maps, {
            "logit": logit,
            "logit_of_baseline": logit_of_baseline,
            "sum_of_attributions": total,
            "gap": logit - logit_of_baseline - total,
            "steps": steps.reshape(len(samples), n_paths).max(axis=1),
        }

    def _noisy(self, window: np.ndarray, row: int, n_paths: int) -> np.ndarray:
        """One copy of the window per path, with SmoothGrad each with different noise."""
        copies = np.repeat(window[None], n_paths, axis=0)
        if self.recipe.smooth_draws:
            noise = np.random.default_rng([self.recipe.seed, row]).standard_normal(
                copies.shape, dtype=np.float32
            )
            copies += self.recipe.smooth_noise * window.std() * noise
        return copies


def explainer_of(model_file: Path, n_voxels: int, window_trs: int, recipe: Recipe) -> Explainer:
    """The explainer of a stored fold model; all models of a study share one."""
    files = model_file, _time_of(model_file), _time_of(recipe.regions_file)
    if recipe not in _explainers or _explainers[recipe].files != files:
        explainer_of_network(load_network(model_file, n_voxels, window_trs), recipe)
        _explainers[recipe].files = files
    return _explainers[recipe].explainer


def explainer_of_network(network: keras.Model, recipe: Recipe) -> Explainer:
    """The same for a network that is not stored in a file. It copies the weights."""
    form = (
        [(type(layer), [w.shape for w in layer.weights]) for layer in network.layers],
        _time_of(recipe.regions_file),
    )
    if recipe in _explainers and _explainers[recipe].form == form:
        _explainers[recipe].explainer.take_weights(network)
        _explainers[recipe].files = None
    else:  # also in a worker that a second study uses again
        copy = keras.models.clone_model(network)
        copy.set_weights(network.get_weights())
        _explainers[recipe] = SimpleNamespace(
            explainer=Explainer(copy, recipe), form=form, files=None
        )
    return _explainers[recipe].explainer


def _time_of(file: Path | None) -> int | None:
    return file.stat().st_mtime_ns if file and file.is_file() else None
