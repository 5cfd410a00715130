"""Ridge regression that is shared across people: what other people's decoding teaches about the latents.

A person's own ridge regression needs a weight per voxel and latent, and an hour of trials
determines them badly. Which combinations of latents can be decoded from a brain, and how far the
decoded ones must be shrunk, is alike in all people. So each other person plays the new one: ridge
regression is fitted to as many of its trials as the new person has, and decodes images that these
trials do not show. A second ridge regression, from the decoded to the true latents of all these
people, is then applied to what the new person's own ridge regression decodes. Nothing is assumed
about common images or about where voxels lie. It is a linear relative of the ridge regression per
person before a shared network of MindEye2 (Scotti et al. 2024, ICML), and of the second regression
of "curds and whey" (Breiman & Friedman 1997, J. R. Stat. Soc. B 59:3).
"""

from seen_images.networks import Linear
from seen_images.patterns import mean_of_repeats
from seen_images.people import PersonTrials
from seen_images.training import fit_ridge, inner_folds, predict

import numpy as np
import torch

COMPONENTS = 256  # principal components of the training latents that the second regression maps
DRAWS = 5  # sets of trials of each other person
MOST = 0.8  # of the images of another person, at most this share is fitted: the rest is decoded


def fit_shared(
    own: PersonTrials, people: list[PersonTrials], mean: np.ndarray, cfg, device: torch.device
) -> tuple[Linear, dict]:
    """The new person's ridge regression, followed by the one that is shared; together one linear network.

    Parameters
    ----------
    own : training trials of the new person. people : those of the others. mean : (n_outputs,) of the
    new person's training latents.

    Returns
    -------
    The network, and how often each penalty of the own and of the shared regression was chosen.
    """
    folds = inner_folds(own.images, cfg.N_FOLDS, cfg.SEED)
    first, chosen = fit_ridge(own.voxels, own.targets[own.of_trial], folds, cfg.ALPHAS, device)
    components = principal_components(people[0].targets - mean, COMPONENTS)
    decoded, true, of_person, images = [], [], [], []
    for number, person in enumerate(people):
        for draw in range(DRAWS):
            pair = play_new_person(person, len(own.voxels), [cfg.SEED, number, draw], cfg, device)
            decoded.append((pair[0] - mean) @ components.T)
            true.append((pair[1] - mean) @ components.T)
            of_person += [number] * len(pair[0])
            images.append(pair[2])
    # With one other person its images make the folds: an image is decoded in several draws.
    folds = np.array(of_person)
    if len(people) == 1:
        folds = inner_folds(np.concatenate(images), cfg.N_FOLDS, cfg.SEED)
    second, chosen_shared = fit_ridge(
        np.concatenate(decoded), np.concatenate(true), folds, cfg.ALPHAS, device
    )
    network = joined(first, second, components, mean)
    return network, chosen | {"shared_alphas": chosen_shared["alphas"]}


def play_new_person(
    person: PersonTrials, n_trials: int, seed: list[int], cfg, device: torch.device
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decoded and true latents (n_images, n_outputs) of images that a ridge regression on some trials did not see, and
    their rows of ``person.targets`` (n_images,).

    Parameters
    ----------
    person : with MIN_IMAGES images or more (:mod:`seen_images.people`).
    n_trials : how many trials it is fitted to: those of two images at least, which make inner folds, and all of MOST
    of the images at most.
    """
    images = np.random.default_rng([*seed, 34]).permutation(np.unique(person.images))
    place_of = {image: number for number, image in enumerate(images)}
    places = np.array([place_of[image] for image in person.images])
    order = np.argsort(places, kind="stable")
    n_of_two_images, n_of_most = np.searchsorted(places[order], (2, MOST * len(images)))
    fitted = order[: min(max(n_trials, n_of_two_images), n_of_most)]
    rest = np.flatnonzero(~np.isin(person.images, person.images[fitted]))
    folds = inner_folds(person.images[fitted], cfg.N_FOLDS, cfg.SEED)
    network, _ = fit_ridge(
        person.voxels[fitted], person.targets[person.of_trial[fitted]], folds, cfg.ALPHAS, device
    )
    rows, patterns = mean_of_repeats(person.voxels[rest], person.of_trial[rest])
    return predict(network, patterns, cfg.INFERENCE_BATCH), person.targets[rows], rows


def principal_components(latents: np.ndarray, n_most: int) -> np.ndarray:
    """The first components (n, n_outputs) of latents (n_images, n_outputs); fewer where the latents span fewer.

    Of latents that are all 0, as where all captions are the same, one stays.
    """
    _, spread, components = np.linalg.svd(latents, full_matrices=False)
    n_spanned = int((spread > 1e-6 * spread[0]).sum())
    return components[: min(n_most, max(1, n_spanned))]


def joined(first: Linear, second: Linear, components: np.ndarray, mean: np.ndarray) -> Linear:
    """The network that decodes by ``first``, then maps components of the latents less ``mean`` by ``second``."""
    with torch.no_grad():
        onto = torch.from_numpy(components.astype(np.float64))
        back = onto.T @ second.last.weight.double()
        weight = back @ onto @ first.last.weight.double()
        centred = first.last.bias.double() - torch.from_numpy(mean.astype(np.float64))
        bias = torch.from_numpy(mean.astype(np.float64)) + back @ (onto @ centred)
        bias = bias + onto.T @ second.last.bias.double()
        network = Linear(weight.shape[1], weight.shape[0])
        network.last.weight.copy_(weight)
        network.last.bias.copy_(bias)
    return network.eval()
