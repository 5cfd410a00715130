"""6. Replace the BOLD of a region: does the reconstruction of faces lose more than that of other things?

Replaces the BOLD of regions, and of as many random voxels, and scores the reconstruction where
faces and other things are. Asks which directions of the bottleneck stand for edges, motion and
faces, and whether reconstructions use them. Shows pictures of faces and places to the trained
encoder, a virtual localizer.

Reads     1-chunks/, 2-voxels/, 3-networks/, REGIONS_FILE, REGIONS_TABLE, annotations and labels of
          pixels in FILM_DIR
Writes    6-perturbations/perturbations.tsv, a row per region and perturbation;
            random/<region>_<perturbation>.npy (1 + N_RANDOM_SETS, n_cases) float32, SSIM lost at
            every case: region first, then random sets; cases.tsv
          6-perturbations/concepts.tsv, a row per concept; concept_<name>.nii.gz, the BOLD with it
            less the BOLD without it
          6-perturbations/localizer.nii.gz, Cohen's d of the predicted answers to the two kinds of
            pictures; localizer.tsv, a row per region; localizer.json; maps of tables and of BOLD on the
            cortical surface also as .tsv, .dscalar.nii or .shape.gii
Settings  SEED, EXPLAINED_SPLIT, DECODE_FROM, PERTURBED_REGIONS, PERTURBATIONS, N_RANDOM_SETS,
          THING, USE_PIXEL_LABELS, CONCEPTS, N_RANDOM_CONCEPTS, REGIONS_FILE, REGIONS_TABLE,
          MIN_SHIFT_S, BLOCK_S, TOP_SHARE, N_RANDOM_REGIONS, LOCALIZER, LOCALIZER_DIR
Takes     N_RANDOM_SETS × regions × perturbations passes of the decoder over the held-out moments
"""

from functools import partial
from pathlib import Path

from film_encoding import concepts
from film_encoding.blocks import blocks_of
from film_encoding.brain_places import Places, read_places
from film_encoding.held_out import HeldOut
from film_encoding.localizer import (
    agreement,
    contrast,
    read_pictures,
    region_contrasts,
    responses_to,
)
from film_encoding.perturbation import (
    ThingScores,
    difference,
    difference_interval,
    exchanged_kinds,
    kind_test,
    perturbed,
    stretches_of,
    test_against_each,
)
from film_encoding.perturbation_report import (
    describe_concepts,
    describe_localizer,
    describe_perturbations,
    draw_losses,
)
from film_encoding.regions import named_regions, shares_of_regions
from film_encoding.saliency import SsimGradient
from film_encoding.shifts import smallest_p
from film_encoding.study import STUDY
from film_encoding.things import (
    OTHER,
    THING,
    concept_strength,
    has_thing,
    label_pixels,
    names_of_labels,
)
from neuroface import NeuroFaceError
from neuroface.bold import write_map
from neuroface.decoding import p_value
from neuroface.pipeline import (
    Stage,
    open_npy,
    read_table,
    run_script,
    write_json,
    write_npy,
    write_table,
)

import numpy as np
import pandas as pd

N_EXCHANGES = 2000
MOST_NAMES = 30  # of regions in a message


def main():
    cfg = STUDY.load_settings(__file__)
    stage = Stage(STUDY, 6, cfg, __doc__, reads=(1, 2, 3))
    places = read_places(stage.folder_of(2))
    held_out = HeldOut(stage.folder_of(1), stage.folder_of(2), stage.folder_of(3), cfg)
    named = named_regions(cfg, places)
    regions = regions_to_perturb(stage, named, held_out.voxels, cfg)

    cases = stage.folder / "cases.tsv"
    stage.each(partial(list_cases, held_out, cfg), [cases], "lists of cases")
    units = [(region, kind) for region in regions for kind in cfg.PERTURBATIONS]
    take_out = partial(perturb, stage.folder, held_out, regions, cfg)
    stage.each(take_out, units, "perturbations", partial(losses_file, stage.folder))
    losses = {
        unit: np.array(open_npy(losses_file(stage.folder, unit)), dtype=np.float64)
        for unit in units
    }
    table = pd.DataFrame(
        [test_region(losses[unit], read_table(cases), regions, cfg, unit) for unit in units]
    )
    write_table(stage.folder / "perturbations.tsv", table)

    search = partial(find_concept, stage.folder, held_out, named, places, cfg)
    stage.each(search, list(cfg.CONCEPTS), "concepts", partial(concept_file, stage.folder))
    rows_of_concepts = [read_table(concept_file(stage.folder, name)) for name in cfg.CONCEPTS]
    concept_table = pd.concat(rows_of_concepts) if rows_of_concepts else pd.DataFrame()
    write_table(stage.folder / "concepts.tsv", concept_table)
    show = partial(run_localizer, stage.folder, held_out, named, places, cfg)
    localizer = [cfg.LOCALIZER] if cfg.LOCALIZER else []
    stage.each(show, localizer, "localizers", lambda _: localizer_files(stage.folder))
    places.write_maps(stage, "concept_")
    if not places.parcels:  # localizer.tsv has a row per parcel
        places.write_maps(stage, "localizer")
    if cfg.CONCEPTS and places.positions_mm() is None:
        stage.leave_out("p of a concept's region", places.why_no_positions)
    draw_losses(stage.folder, losses, table, read_table(cases), cfg)
    section = describe_perturbations(stage.folder, table, read_table(cases), cfg)
    describe_concepts(section, concept_table, bool(places.parcels))
    if localizer:
        describe_localizer(section, stage.folder, cfg)
    stage.finish(f"{len(units)} perturbations and {len(cfg.CONCEPTS)} concepts", section)


def losses_file(folder: Path, unit: tuple[str, str]) -> Path:
    return folder / "random" / f"{unit[0].replace(' ', '-')}_{unit[1]}.npy"


def concept_file(folder: Path, name: str) -> Path:
    return folder / "concepts" / f"{name}.tsv"


def scores_of(held_out: HeldOut, cfg) -> ThingScores:
    """SSIM where things are; raises unless the thing and others are there."""
    labels = label_pixels(held_out.table, cfg, held_out.data.pixels)
    present = has_thing(held_out.table, cfg)
    scores = ThingScores(
        held_out.decoder(), held_out.frames(), labels, present, cfg.INFERENCE_BATCH
    )
    is_thing = scores.cases["kind"] == THING
    for n, kind in ((is_thing.sum(), f"with {cfg.THING!r}"), ((~is_thing).sum(), "without it")):
        if n < 2:
            raise NeuroFaceError(
                f"{n} held-out moments {kind}: nothing to compare. Check the annotations, or set another "
                "EXPLAINED_SPLIT."
            )
    return scores


def regions_to_perturb(
    stage: Stage, named: dict[str, np.ndarray], voxels: np.ndarray, cfg
) -> dict[str, np.ndarray]:
    """Text of PERTURBED_REGIONS → chosen voxels (n_voxels,) bool of all regions whose name contains it."""
    regions = {}
    for text in cfg.PERTURBED_REGIONS:
        parts = [here for name, here in named.items() if text.lower() in name.lower()]
        if not parts:
            names = ", ".join(
                [*list(named)[:MOST_NAMES], *(["…"] if len(named) > MOST_NAMES else [])]
            )
            raise NeuroFaceError(
                f"PERTURBED_REGIONS names {text!r}, and no region has that in its name: {names}. Name others."
            )
        here = np.any(parts, axis=0)[voxels]
        if not here.any() or here.all() or 2 * here.sum() > len(here):
            stage.leave_out(
                text,
                f"{here.sum()} of the {len(here)} chosen voxels lie in it; random sets as large cannot be drawn beside "
                "it",
            )
        else:
            regions[text] = here
    if not regions:
        raise NeuroFaceError(
            "No region of PERTURBED_REGIONS can be perturbed. Name others, or raise VOXEL_SHARE."
        )
    return regions


def list_cases(held_out: HeldOut, cfg, target: Path) -> None:
    """Write where the thing and others are: a row per moment and kind, its stretch of film, and the SSIM of the whole
    BOLD.
    """
    scores = scores_of(held_out, cfg)
    films, chunks = (held_out.table[column].to_numpy() for column in ("film", "chunk"))
    row = scores.cases["row"]
    stretch = stretches_of(scores.cases, films, chunks)
    is_labelled = label_pixels(held_out.table, cfg, held_out.data.pixels) is not None
    unlabelled = {THING: cfg.THING, OTHER: "other"}
    names = names_of_labels(held_out.table, cfg) if is_labelled else unlabelled
    things = [names.get(kind, f"label {kind}") for kind in scores.cases["kind"]]
    write_table(
        target,
        scores.cases.assign(
            thing=things,
            film=films[row],
            chunk=chunks[row],
            stretch=stretch,
            ssim=scores(held_out.bold()),
        ),
    )


def perturb(
    folder: Path, held_out: HeldOut, regions: dict[str, np.ndarray], cfg, unit: tuple[str, str]
) -> None:
    """Write the SSIM that is lost at every case without a region, and without as many random voxels outside it."""
    (region, kind), here = unit, regions[unit[0]]
    scores, bold, learned = scores_of(held_out, cfg), held_out.bold(), held_out.learned_bold()
    mean, sd = learned.mean(axis=0), learned.std(axis=0)
    rng = np.random.default_rng([cfg.SEED, list(regions).index(region)])
    others = np.flatnonzero(~here)
    sets = [here] + [
        rng.choice(others, here.sum(), replace=False) for _ in range(cfg.N_RANDOM_SETS)
    ]
    whole = scores(bold)
    losses = [
        whole - scores(perturbed(bold, voxels, kind, mean, sd, cfg.SEED + number))
        for number, voxels in enumerate(sets)
    ]
    write_npy(losses_file(folder, unit), np.stack(losses).astype(np.float32))


def test_region(
    losses: np.ndarray,
    cases: pd.DataFrame,
    regions: dict[str, np.ndarray],
    cfg,
    unit: tuple[str, str],
) -> dict:
    """Does the thing suffer more than others, than each other kind, and more than without random voxels? losses (1 +
    n_sets, n_cases).
    """
    kinds, stretch = cases["kind"].to_numpy(), cases["stretch"].to_numpy()
    p = kind_test(losses, kinds, exchanged_kinds(kinds, stretch, N_EXCHANGES, cfg.SEED))
    p_each = test_against_each(losses[0], kinds, stretch, N_EXCHANGES, cfg.SEED)
    weakest = max(p_each, key=lambda kind: p_each[kind])
    differences = np.array([difference(loss, kinds) for loss in losses])
    low, high = difference_interval(losses[0], kinds, stretch)
    here = regions[unit[0]]
    return {
        "region": unit[0],
        "perturbation": unit[1],
        "n_voxels": int(here.sum()),
        "n_stretches": int(cases["stretch"].nunique()),
        "loss_thing": float(losses[0, kinds == THING].mean()),
        "loss_other": float(losses[0, kinds != THING].mean()),
        "difference": float(differences[0]),
        "difference_low": low,
        "difference_high": high,
        "p_thing_over_others": float(p[0]),
        "p_thing_over_each": p_each[weakest],
        "least_clear": cases["thing"][kinds == weakest].iloc[0],
        "random_loss_thing": float(losses[1:, kinds == THING].mean()),
        "random_loss_other": float(losses[1:, kinds != THING].mean()),
        "random_difference": float(differences[1:].mean()),
        "p_over_random": p_value(differences[0], differences[1:]),
        "random_median_p": float(np.median(p[1:])),
        "random_share_significant": float((p[1:] < 0.05).mean()),
        "random_share_of_others": float(
            here.sum() / (~here).sum()
        ),  # of every voxel outside, how often it is drawn
        "p_others_smallest": smallest_p(N_EXCHANGES),
        "p_random_smallest": smallest_p(len(losses) - 1),
    }


def find_concept(
    folder: Path, held_out: HeldOut, named: dict, places: Places, cfg, name: str
) -> None:
    """Write what a concept looks like in the brain, and last, whether the bottleneck has it and reconstructions use it."""
    learned = held_out.learned
    strength = [
        concept_strength(table, held_out.chunk_folder, name, cfg)
        for table in (learned, held_out.table)
    ]
    border = 0.5 if name == "faces" else np.median(strength[0])
    labels, present = (values > border for values in strength)
    if not 0 < labels.sum() < len(labels) or not present.any():
        raise NeuroFaceError(
            f"CONCEPTS: {name!r} is in all training moments, in none, or in no held-out moment. Take it out of "
            "CONCEPTS."
        )
    activations, (shift, block) = (
        held_out.learned_bold(),
        (max(2, round(s / cfg.TR_S)) for s in (cfg.MIN_SHIFT_S, cfg.BLOCK_S)),
    )
    every = np.concatenate(
        [labels[None], concepts.shifted_labels(labels, cfg.N_RANDOM_CONCEPTS, shift, cfg.SEED)]
    )
    accuracy = concepts.concept_accuracy(
        activations, every, blocks_of(learned["film"].to_numpy(), block)
    )
    _, gradients = SsimGradient(held_out.decoder(), cfg.INFERENCE_BATCH)(
        held_out.bold(), held_out.frames()
    )
    used = concepts.sensitivity(gradients[present], concepts.concept_vectors(activations, every))
    looks = concepts.pattern(activations, labels)
    positions = places.positions_mm()
    if positions is not None:
        positions = positions[held_out.voxels]
    inside = {
        region: here[held_out.voxels]
        for region, here in named.items()
        if here[held_out.voxels].any()
    }
    shares = shares_of_regions(
        np.abs(looks), positions, inside, cfg.TOP_SHARE, cfg.N_RANDOM_REGIONS, cfg.SEED
    )
    # Parcels in the top share are alike in it: each is a region of its own.
    best = shares.sort_values(["share_of_top", "mean"]).iloc[-1]
    looks_in_mask = held_out.in_mask(looks, places.mask)
    target = folder / f"concept_{name}.nii.gz"
    write_map(target, looks_in_mask, places.mask, places.affine, cfg.TR_S)
    row = {
        "concept": name,
        "moments_with": int(labels.sum()),
        "moments_without": int((~labels).sum()),
        "held_out_with": int(present.sum()),
        "accuracy": accuracy[0],
        "random_accuracy": accuracy[1:].mean(),
        "p_smallest": smallest_p(len(every) - 1),
        "p_accuracy": concepts.concept_test(accuracy[0], accuracy[1:]),
        "sensitivity": used[0],
        "random_sensitivity": used[1:].mean(),
        "p_sensitivity": concepts.concept_test(used[0], used[1:], 0.5),
        "top_region": best["region"],
        "share_of_top": best["share_of_top"],
        "p_region": best["p"],
    }
    write_table(concept_file(folder, name), pd.DataFrame([row]))


def localizer_files(folder: Path) -> list[Path]:
    """The files that :func:`run_localizer` writes."""
    return [folder / f"localizer{ending}" for ending in (".tsv", ".nii.gz", ".json")]


def run_localizer(
    folder: Path, held_out: HeldOut, named: dict, places: Places, cfg, kinds: tuple[str, str]
) -> None:
    """Write what the encoder predicts for two kinds of pictures, by voxel and region, and how it agrees with BOLD."""
    network, stretch = held_out.network(), cfg.FRAME_CONTRAST == "frame"
    responses = []
    for kind in kinds:
        pictures = read_pictures(Path(cfg.LOCALIZER_DIR), kind, held_out.data.pixels, stretch)
        responses.append(responses_to(network, pictures, cfg.FRAMES_PER_TR, cfg.INFERENCE_BATCH))
    voxels = held_out.voxels
    first, second = responses
    effect = contrast(first, second)
    shown = has_thing(held_out.table, cfg)
    bold = held_out.data.bold(held_out.table)
    is_both = 0 < shown.sum() < len(shown)
    measured = concepts.pattern(bold, shown) if is_both else np.full(len(voxels), np.nan)
    inside = {name: here[voxels] for name, here in named.items() if here[voxels].any()}
    table = region_contrasts(first, second, inside, measured, cfg.SEED)
    table["d"] = [float(effect[inside[region]].mean()) for region in table["region"]]
    write_table(folder / "localizer.tsv", table)
    effect_in_mask = held_out.in_mask(effect, places.mask)
    target = folder / "localizer.nii.gz"
    write_map(target, effect_in_mask, places.mask, places.affine, cfg.TR_S)
    shows = {"kinds": list(kinds), "pictures": [len(each) for each in responses]}
    write_json(folder / "localizer.json", shows | agreement(effect, measured))


if __name__ == "__main__":
    run_script(main)
