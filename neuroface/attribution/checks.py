"""Are the maps reliable? Tests that an attribution method must pass on the trained networks."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial

from neuroface.attribution.explainer import Recipe, explainer_of_network
from neuroface.attribution.fast.path_network import understands
from neuroface.decoding import logit_network, predict_logits
from neuroface.pipeline import keras, set_random_seed

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

# Maps that count as exact, by another rule than the checked one; their errors in the demo: 0.1 to
# 0.2 %, and 0.2 %.
EXACT = ("secant", 100)
EXACT_OTHERWISE = ("midpoint", 500)
PAPER = ("right", 200)
DELETED = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)  # share of voxels set to the baseline
RANDOM_DELETIONS = 5


class Checker:
    """Windows for the checks, and how to explain them.

    Parameters
    ----------
    X : (n, n_voxels, window_trs). samples : some windows: row, label, sign, model.
    networks : number of a fold model → the network.
    recipe : the method. baselines_of : (kind, sample) → baselines. kind : which baseline the
    maps use.
    seed : seed of random weights and random voxels.
    made : the method's maps of these windows, in order of ``samples``; None: make them.
    """

    def __init__(
        self,
        X: np.ndarray,
        samples: pd.DataFrame,
        networks: dict[int, keras.Model],
        recipe: Recipe,
        baselines_of: Callable,
        kind: str,
        seed: int,
        made: np.ndarray | None = None,
    ):
        self.X, self.samples, self.networks, self.recipe = (
            X,
            samples.reset_index(drop=True),
            networks,
            recipe,
        )
        self.baselines_of, self.kind, self.seed = baselines_of, kind, seed
        self._maps = self.maps() if made is None else made

    def maps(
        self,
        change: Callable = lambda network: network,
        kind: str | None = None,
        recipe: Recipe | None = None,
    ) -> np.ndarray:
        """Maps (n, n_voxels, window_trs) of the windows, in order of ``samples``.

        Parameters
        ----------
        change : network → the network to explain instead. kind : kind of baseline. recipe : another
        recipe.
        """
        maps = np.empty((len(self.samples), *self.X.shape[1:]), dtype=np.float32)
        baselines_of = partial(self.baselines_of, kind or self.kind)
        for model, places in self.samples.groupby("model").indices.items():
            explainer = explainer_of_network(change(self.networks[model]), recipe or self.recipe)
            maps[places] = explainer(self.X, self.samples.iloc[places], baselines_of)[0]
        return maps

    def steps(self) -> dict:
        """Relative error of each map against many steps. Completeness does not show it: errors of voxels cancel."""
        right = self.recipe.rule != "right" or not all(map(understands, self.networks.values()))
        rule, steps = EXACT_OTHERWISE if right else EXACT
        exact = self.maps(recipe=replace(self.recipe, engine="keras", rule=rule, steps=steps))
        summary = {
            "reference": f"{rule}, {steps} steps",
            "map_error": _spread(_errors(self._maps, exact)),
        }
        if (self.recipe.rule, self.recipe.steps) != PAPER:
            paper = self.maps(
                recipe=replace(self.recipe, engine="keras", rule=PAPER[0], steps=PAPER[1])
            )
            summary["paper_map_error"] = _spread(_errors(paper, exact))
        return summary

    def baselines(self, kinds: tuple[str, ...]) -> dict:
        """Similarity to maps from other baselines."""
        return {
            kind: alike(self._maps, self.maps(kind=kind)) for kind in kinds if kind != self.kind
        }

    def weights(self) -> dict:
        """Cascading randomisation (Adebayo et al. 2018, NeurIPS): layer by layer from the top, weights become random.

        A method whose maps stay similar shows the input, not what the network learnt.
        """
        layers = [layers_from_the_top(network) for network in self.networks.values()]
        deepest = max(layers, key=len)
        same = all(
            names == deepest for names in layers
        )  # the models of "best" may differ between folds
        maps = (
            self.maps(partial(randomised, depth=depth, seed=self.seed))
            for depth in range(1, len(deepest) + 1)
        )
        names = deepest if same else [f"layer {depth}" for depth in range(1, len(deepest) + 1)]
        return {name: alike(self._maps, changed) for name, changed in zip(names, maps)}

    def labels(self, network: keras.Model) -> dict:
        """Maps of a network that was trained on shuffled labels must differ from those of the real one."""
        return alike(self._maps, self.maps(lambda _: network))

    def deletion(self) -> dict:
        """Logit times the window's sign when voxels are set to the baseline, those with most attribution first.

        Returns
        -------
        Means over windows (n_shares,) with the top voxels or as many random ones set to the
        baseline, and the share of windows in which the top ones lower the logit more, averaged over
        the shares.
        """
        curves = []
        networks = {model: logit_network(network) for model, network in self.networks.items()}
        for sample, scores in zip(self.samples.itertuples(), self._maps.sum(axis=2)):
            rng = np.random.default_rng([self.seed, sample.row])
            orders = [
                np.argsort(-scores),
                *(rng.permutation(len(scores)) for _ in range(RANDOM_DELETIONS)),
            ]
            baseline = self.baselines_of(self.kind, sample)[0]
            changed = np.concatenate(
                [list(without(self.X[sample.row], baseline, order, DELETED)) for order in orders]
            )
            logits = predict_logits(networks[sample.model], changed, batch=len(DELETED)).reshape(
                len(orders), -1
            )
            curves.append(sample.sign * logits)
        logits_left = np.stack(curves)  # (n_samples, 1 + RANDOM_DELETIONS, n_shares)
        top, random = logits_left[:, 0], logits_left[:, 1:].mean(axis=1)
        return {
            "share_of_voxels": list(DELETED),
            "logit_without_top_voxels": top.mean(axis=0).tolist(),
            "logit_without_random_voxels": random.mean(axis=0).tolist(),
            "windows_where_top_costs_more": float(np.mean(top.mean(axis=1) < random.mean(axis=1))),
        }


def layers_from_the_top(network: keras.Model) -> list[str]:
    """Names of the layers with a kernel, the logit first."""
    return [layer.name for layer in reversed(network.layers) if hasattr(layer, "kernel")]


def randomised(network: keras.Model, depth: int, seed: int) -> keras.Model:
    """A copy with new random weights in all layers from the ``depth``-th topmost layer with a kernel upwards."""
    set_random_seed(seed)
    copy = keras.models.clone_model(network)
    last = layers_from_the_top(network)[:depth][-1]
    for old, new in zip(network.layers, copy.layers):
        if old.name == last:
            break
        new.set_weights(old.get_weights())
    return copy


def without(
    window: np.ndarray, baseline: np.ndarray, order: np.ndarray, shares: tuple[float, ...]
) -> Iterator[np.ndarray]:
    """The window (n_voxels, window_trs) with the first voxels of ``order`` set to the baseline, for each share."""
    for share in shares:
        voxels = order[: round(share * len(order))]
        changed = window.copy()
        changed[voxels] = baseline[voxels]
        yield changed


def alike(maps: np.ndarray, others: np.ndarray) -> dict:
    """Medians over windows of Pearson's r of maps and Spearman's r of absolute maps; 0 if one map is constant."""
    signed = [np.corrcoef(a, b)[0, 1] for a, b in zip(_flat(maps), _flat(others))]
    sizes = [spearmanr(a, b).statistic for a, b in zip(np.abs(_flat(maps)), np.abs(_flat(others)))]
    return {
        name: float(np.median(np.nan_to_num(r)))
        for name, r in (("pearson", signed), ("spearman_of_size", sizes))
    }


def completeness(table: pd.DataFrame, tolerance: float | None = None) -> dict:
    """Difference between the sum of attributions and the change of the logit, relative to the change, over windows.

    Parameters
    ----------
    table : columns logit, logit_of_baseline, gap.
    tolerance : largest gap with IG_STEPS = "auto": count the windows that still exceed it.
    """
    gained = table["logit"] - table["logit_of_baseline"]
    relative = (table["gap"] / gained).abs()
    summary = {
        "windows": len(table),
        "median": float(relative.median()),
        "95 % below": float(relative.quantile(0.95)),
    }
    if tolerance is not None:
        summary["beyond_tolerance"] = int(
            (table["gap"].abs() > tolerance * gained.abs().clip(lower=1)).sum()
        )
    return summary


def truth_score(maps: Iterable[np.ndarray], truth: np.ndarray) -> float:
    """Area under the ROC of each voxel's mean absolute attribution against the voxels where the signal was planted.

    Parameters
    ----------
    maps : arrays (n, n_voxels, window_trs). truth : (n_voxels,) bool.
    """
    return float(
        roc_auc_score(
            truth, sum(np.abs(windows).sum(axis=(0, 2), dtype=np.float64) for windows in maps)
        )
    )


def _flat(maps: np.ndarray) -> np.ndarray:
    return maps.reshape(len(maps), -1)


def _errors(maps: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Norm of the error of each map, relative to the exact map's norm."""
    return np.linalg.norm(_flat(maps - exact), axis=1) / np.linalg.norm(_flat(exact), axis=1)


def _spread(values: np.ndarray) -> dict:
    return {"median": float(np.median(values)), "largest": float(np.max(values))}
