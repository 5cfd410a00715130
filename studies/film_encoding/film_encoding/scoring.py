"""Scores of one model on one test set: voxels, and frames."""

from dataclasses import dataclass
from pathlib import Path

from film_encoding import correlations
from film_encoding.film_data import FilmData
from film_encoding.identification import identify
from film_encoding.image_scores import as_shown, image_scores, ssim, stretched
from film_encoding.network_files import Training, trainings_of, voxels_of
from film_encoding.responses import reliability
from film_encoding.splits import LEARNED_FROM, Fold
from film_encoding.variants import MAIN, Variant, variants_of
from neuroface.decoding import p_value
from neuroface.pipeline import open_npy, read_json

import numpy as np
import pandas as pd

RIDGE, RIDGE_ONE, MEAN_FRAME = "ridge", "ridge one chunk", "mean frame"
RIDGES = (RIDGE, RIDGE_ONE)  # features at several delays; those of the chunk that the network sees
FROM_PREDICTED, FROM_MEASURED = "from_predicted", "from_measured"


@dataclass(frozen=True)
class Unit:
    """What is scored at once: a model on a test set of a split."""

    model: str
    split: str
    test_set: str

    @property
    def name(self) -> str:
        return f"{self.model}_{self.split}_{self.test_set}".replace(" ", "-")


class Scorer:
    """Measurements and predictions behind one interface; cheap to send to worker processes.

    Parameters
    ----------
    chunk_folder, voxel_folder, network_folder, folder : of scripts 1 to 4.
    """

    def __init__(
        self, chunk_folder: Path, voxel_folder: Path, network_folder: Path, folder: Path, folds: list[Fold], cfg
    ):
        self.chunk_folder, self.voxel_folder, self.network_folder = chunk_folder, voxel_folder, network_folder
        self.folder, self.folds, self.cfg = folder, folds, cfg
        self.n_mask = len(open_npy(voxel_folder / "parcels.npy"))
        self.block = max(2, round(cfg.BLOCK_S / cfg.TR_S))
        self.smallest_shift = max(1, round(cfg.MIN_SHIFT_S / cfg.TR_S))

    # ---------------------------------------------------------------- what there is

    def units(self) -> list[Unit]:
        """Every model on every test set of every split."""
        sets = dict.fromkeys((fold.split, test) for fold in self.folds for test in fold.of("test")["test_set"])
        return [Unit(model, *where) for where in sets for model in (*variants_of(self.cfg), *RIDGES)]

    def variant(self, model: str) -> Variant:
        return variants_of(self.cfg)[MAIN if model in RIDGES else model]

    def trainings(self, unit: Unit) -> list[Training]:
        """Of a network, all seeds."""
        every = trainings_of([fold for fold in self.folds if fold.split == unit.split], self.cfg)
        return [one for one in every if one.variant.name == unit.model]

    def data(self, fold: Fold, variant: Variant) -> FilmData:
        films = sorted(set(fold.chunks["film"]))
        return FilmData(
            self.chunk_folder, self.voxel_folder, films, variant, voxels_of(self.voxel_folder, fold, variant)
        )

    def ridge_file(self, fold: Fold, what: str, model: str = RIDGE) -> Path:
        return self.folder / model.replace(" ", "-") / f"{fold.name}_{what}"

    def predictions(self, unit: Unit, what: str) -> dict[int, list[tuple[Fold, np.ndarray]]]:
        """Seed → (fold, rows of the test set) of every fold; a ridge regression has one seed."""
        found: dict[int, list] = {}
        if unit.model in RIDGES:
            files = [
                (1, fold, self.ridge_file(fold, f"{what}.npy", unit.model))
                for fold in self.folds
                if fold.split == unit.split
            ]
        else:
            files = [
                (one.seed, one.fold, one.folder(self.network_folder) / f"{what}.npy") for one in self.trainings(unit)
            ]
        for seed, fold, file in files:
            rows = (fold.of("test")["test_set"] == unit.test_set).to_numpy()
            found.setdefault(seed, []).append((fold, open_npy(file)[rows]))
        return found

    def test_table(self, fold: Fold, unit: Unit) -> pd.DataFrame:
        table = fold.of("test")
        return table[table["test_set"] == unit.test_set].reset_index(drop=True)

    # ---------------------------------------------------------------- voxels

    def score_voxels(self, unit: Unit) -> tuple[dict, dict[str, np.ndarray]]:
        """Encoding.

        Returns
        -------
        scores : values of means over voxels, with intervals and nulls. arrays : r, p, ceiling of every voxel of the
            mask
        (n_mask,), NaN where it was not chosen; "draws" (n_bootstrap,) of the mean r; "by_seed" (n_seeds,).
        """
        cfg, variant = self.cfg, self.variant(unit.model)
        r, draws, null, found, mse = [], [], [], [], []
        for seed_parts in self.predictions(unit, "predicted").values():
            parts = []
            for fold, predicted in seed_parts:
                table, data = self.test_table(fold, unit), self.data(fold, variant)
                measured = data.bold(table)
                voxels = np.arange(self.n_mask) if data.voxels is None else data.voxels
                one = correlations.series(measured, predicted, voxels, table["film"], table["chunk"])
                parts.append(one)
                found.append(self._identify(one.measured, one.predicted, table))
                training_mean = data.bold(fold.of(*LEARNED_FROM)).mean(axis=0)
                mse.append([np.mean((measured - p) ** 2) for p in (predicted, training_mean)])
            r.append(correlations.correlation(parts, self.n_mask))
            draws.append(correlations.bootstrap_correlation(parts, self.n_mask, self.block, cfg.N_BOOTSTRAP, cfg.SEED))
            null.append(
                correlations.shifted_correlation(parts, self.n_mask, self.smallest_shift, cfg.N_SHIFTS, cfg.SEED)
            )
        by_seed = np.nanmean(r, axis=1)
        r, draws, null = (np.mean(values, axis=0) for values in (r, draws, null))
        p = correlations.voxel_p(r, null)
        ceiling = np.sqrt(self.reliability(unit))
        clear = ceiling**2 >= cfg.MIN_RELIABILITY
        relative = np.where(clear, r / np.where(clear, ceiling, 1), np.nan)
        mean_draws = np.nanmean(draws, axis=1)
        scores = {
            "n_chunks": int(sum(len(self.test_table(f, unit)) for f in self.folds if f.split == unit.split)),
            "n_voxels": int(np.isfinite(r).sum()),
            "r": float(by_seed.mean()),
            "r_interval": correlations.interval(mean_draws),
            "r_null": float(np.nanmean(null)),
            "p": p_value(by_seed.mean(), np.nanmean(null, axis=1)),
            "significant_share": float((correlations.fdr(p)[np.isfinite(r)] <= correlations.ALPHA).mean()),
            "ceiling": _mean(ceiling),
            "r_of_ceiling": _mean(relative),
            "mse_over_mean_volume": float(np.mean([a for a, _ in mse]) / np.mean([b for _, b in mse])),
            **_pooled(found),
        }
        low, high = np.nanquantile(draws, [0.025, 0.975], axis=0)
        arrays = {"r": r, "r_low": low, "r_high": high, "p": p, "p_fdr": correlations.fdr(p), "ceiling": ceiling}
        return scores, arrays | {"r_of_ceiling": relative, "draws": mean_draws, "by_seed": by_seed}

    def reliability(self, unit: Unit) -> np.ndarray:
        """Share of the variance of the measured BOLD that people have in common (n_mask,), the mean over the films of
        the test set, weighted by their length; NaN where a voxel was not chosen, or one person saw the film."""
        variant = self.variant(unit.model)
        total, n = np.zeros(self.n_mask), np.zeros(self.n_mask)
        for fold in (fold for fold in self.folds if fold.split == unit.split):
            voxels = voxels_of(self.voxel_folder, fold, variant)
            voxels = np.arange(self.n_mask) if voxels is None else voxels
            for film, part in self.test_table(fold, unit).groupby("film"):
                rows = part["chunk"].to_numpy() + variant.delay_trs
                mean, variance = (open_npy(self.voxel_folder / f"{film}_{k}.npy")[rows] for k in ("mean", "variance"))
                people = read_json(self.voxel_folder / f"{film}.json")["people"]
                shared = reliability(
                    mean[:, voxels], variance[:, voxels], people, None if variant.subject == "mean" else 1
                )
                total[voxels] += len(rows) * shared
                n[voxels] += len(rows)
        return np.divide(total, n, out=np.full(self.n_mask, np.nan), where=n > 0)

    # ---------------------------------------------------------------- frames

    def score_images(self, unit: Unit, what: str) -> tuple[dict, dict[str, np.ndarray]] | None:
        """Decoding; ``what`` is FROM_PREDICTED, FROM_MEASURED or MEAN_FRAME. None where the model makes no such frames.

        Returns
        -------
        scores : means over moments with intervals and nulls. arrays : SSIM and pixel r of every moment (n,), and
            "draws"
        (n_bootstrap,) of the mean SSIM.
        """
        cfg, variant = self.cfg, self.variant(unit.model)
        if not variant.has_decoder:
            return None
        seeds = self.predictions(unit, "predicted" if what == MEAN_FRAME else what)
        each, found, null = [], [], []
        for seed, parts in seeds.items():
            values: dict[str, list] = {}
            for fold, made in parts:
                table, data = self.test_table(fold, unit), self.data(fold, variant)
                frames = data.targets(table, cfg.FRAMES_PER_TR).astype(np.float32) / 255
                if what == MEAN_FRAME:
                    mean = data.targets(fold.of("train"), cfg.FRAMES_PER_TR).mean(axis=0) / 255
                    made = np.broadcast_to(mean, frames.shape)
                images = as_shown(made)
                scores = image_scores(frames, images)
                scores["ssim_stretched"] = np.array([ssim(a, b) for a, b in zip(stretched(frames), stretched(made))])
                for name, one in scores.items():
                    values.setdefault(name, []).append(one)
                if what != MEAN_FRAME:
                    found.append(self._identify(frames, images, table))
                if seed == min(seeds):
                    null.append(self._shifted_ssim(frames, images))
                    blocks = correlations.blocks_of(table["film"].to_numpy(), self.block)
                    values.setdefault("blocks", []).append(blocks + 10_000 * fold.number)
            each.append({name: np.concatenate(parts) for name, parts in values.items()})
        blocks = each[0].pop("blocks")
        mean = {name: np.mean([one[name] for one in each], axis=0) for name in each[0]}
        draws = block_means(mean["ssim"], blocks, cfg.N_BOOTSTRAP, cfg.SEED)
        shifted = np.mean(null, axis=0)
        scores = {name: float(values.mean()) for name, values in mean.items()}
        scores |= {
            "n_chunks": len(blocks),
            "ssim_interval": correlations.interval(draws),
            "ssim_null": float(shifted.mean()),
            "ssim_p": p_value(scores["ssim"], shifted),
            **(_pooled(found) if found else {}),
        }
        return scores, {"ssim": mean["ssim"], "pixel_r": mean["pixel_r"], "draws": draws}

    def _shifted_ssim(self, frames: np.ndarray, images: np.ndarray) -> np.ndarray:
        """Mean SSIM (N_IMAGE_SHIFTS,) when reconstructions are shifted in a circle."""
        rng, n = np.random.default_rng(self.cfg.SEED), len(frames)
        lags = rng.choice(correlations.lags_of(n, self.smallest_shift), size=self.cfg.N_IMAGE_SHIFTS)
        return np.array([np.mean([ssim(frames[i], images[(i + lag) % n]) for i in range(n)]) for lag in lags])

    def _identify(self, measured: np.ndarray, predicted: np.ndarray, table: pd.DataFrame) -> dict:
        cfg, (films, chunks) = self.cfg, table[["film", "chunk"]].to_numpy().T
        found = identify(
            measured, predicted, films, chunks.astype(int), cfg.EMBARGO_TRS, cfg.TOP_K, self.smallest_shift
        )
        found["two_way_p"] = p_value(found["two_way"], found.pop("two_way_null"))
        return {name: value for name, value in found.items() if name != "each"} | {"n": len(table)}


def block_means(values: np.ndarray, blocks: np.ndarray, n_draws: int, seed: int) -> np.ndarray:
    """Means (n_draws,) of values (n,) when blocks are drawn with replacement."""
    _, number = np.unique(blocks, return_inverse=True)
    sums, sizes = np.bincount(number, values), np.bincount(number)
    n = len(sums)
    times = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=n_draws)
    return (times @ sums) / (times @ sizes)


def _pooled(found: list[dict]) -> dict:
    """Means over folds and seeds, weighted by the number of moments; of p the largest, which claims least."""
    weights = [one["n"] for one in found]
    pooled = {
        name: float(np.average([one[name] for one in found], weights=weights)) for name in found[0] if name != "n"
    }
    return pooled | {"two_way_p": max(one["two_way_p"] for one in found)}


def _mean(values: np.ndarray) -> float | None:
    return float(np.nanmean(values)) if np.isfinite(values).any() else None
