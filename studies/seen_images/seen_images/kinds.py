"""Kinds of pictures: clusters of embeddings, of which some are held out whole.

Where each kind of picture is among the training pictures, a decoder that sorts patterns into known
kinds looks like one that reconstructs (Shirakawa et al. 2025, Neural Networks 190:107515). With
kinds held out, it cannot.
"""

from pathlib import Path

from neuroface import NeuroFaceError
from seen_images.generator import open_generator
from seen_images.sources import Source

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans


def kinds_of(images: np.ndarray, source: Source, model: Path, cfg) -> pd.DataFrame:
    """A row per image (n,): image, kind (0 …), held_out (bool).

    Kinds are clusters (k-means, N_KINDS) of the text model's pooled embeddings, averaged over the
    captions of an image. HELD_OUT_KINDS of them are drawn with SEED.

    Raises
    ------
    NeuroFaceError
        If there are fewer different embeddings than kinds.
    """
    generator = open_generator(model, cfg.DEVICE, cfg.PRECISION)
    captions = [source.captions(image) for image in images]
    different = list(dict.fromkeys(caption for of_image in captions for caption in of_image))
    batches = range(0, len(different), cfg.INFERENCE_BATCH)
    pooled = [generator.embed_pooled(different[at : at + cfg.INFERENCE_BATCH]) for at in batches]
    vector_of = dict(zip(different, np.concatenate(pooled)))
    embeddings = np.stack([np.mean([vector_of[c] for c in of_image], 0) for of_image in captions])
    kinds = clusters_of(embeddings, cfg.N_KINDS, cfg.SEED)
    chosen = held_out_of(cfg.N_KINDS, cfg.HELD_OUT_KINDS, cfg.SEED)
    return pd.DataFrame({"image": images, "kind": kinds, "held_out": np.isin(kinds, chosen)})


def clusters_of(embeddings: np.ndarray, n_kinds: int, seed: int) -> np.ndarray:
    """Cluster (n,) of each embedding (n, k) by k-means; equal embeddings have one cluster."""
    n_different = len(np.unique(embeddings.round(5), axis=0))
    if n_different < n_kinds:
        raise NeuroFaceError(
            f"N_KINDS = {n_kinds}, and the captions have {n_different} different embeddings. Set N_KINDS to "
            f"{n_different} or less."
        )
    return KMeans(n_kinds, n_init=3, random_state=seed).fit_predict(embeddings.astype(np.float64))


def held_out_of(n_kinds: int, n_held_out: int, seed: int) -> np.ndarray:
    """The kinds (n_held_out,) that are held out, sorted."""
    drawn = np.random.default_rng([seed, 11]).choice(n_kinds, n_held_out, replace=False)
    return np.sort(drawn)


def split_by_kinds(trials: pd.DataFrame, kinds: pd.DataFrame) -> pd.DataFrame:
    """Trials whose ``split`` is test if the image is of a kind that is held out, else train."""
    held_out = kinds.set_index("image")["held_out"].astype(bool).reindex(trials["image"])
    return trials.assign(split=np.where(held_out, "test", "train"))
