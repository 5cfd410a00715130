"""A paragraph for a methods section, from the settings of a run; and the publication's settings."""

from pathlib import Path

from neuroface.pipeline import read_json
from seen_images.decoder_tables import WORDS
from seen_images.latents import FILE_OF
from seen_images.picture_scores import PAIRINGS
from seen_images.pixel_scores import PUBLISHED_ON
from seen_images.tsv import read_tsv

import pandas as pd

REFERENCES = Path(__file__).with_name("references.tsv")
# The publication's value of every setting that it states.
PAPER = {
    "SPLIT": "given",
    "STANDARDIZE": "global",
    "ENCODE_PIXELS": 320,
    "LATENTS": "sample",
    "N_TOKENS": 15,
    "ALPHAS": [1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 1.0],
    "N_FOLDS": 5,
    "SELECTION": "paper",
    "EPOCHS": 100,
    "PATIENCE": 5,
    "IMAGE_DECODER": "gcn",
    "TEXT_DECODER": "cnn",
    "DRAW_PIXELS": 512,
    "DDIM_STEPS": 50,
    "STRENGTH": 0.8,
    "GUIDANCE": 5.0,
    "N_DRAWS": 5,
    "DRAWINGS": "mean",
}
DATA = {
    "demo": "a synthetic visual cortex with a known truth, which saw pictures of coloured shapes",
    "nsd": "the Natural Scenes Dataset (Allen et al. 2022)",
    "things": "THINGS-fMRI (Hebart et al. 2023)",
    "table": "single-trial estimates given as tables",
}


def methods(
    root: Path, settings: dict, done: set[int], versions: dict, commit: str, backends: set[str]
):
    """The paragraph and its references; None before script 2 is done."""
    if not {1, 2} <= done:
        return None
    text = " ".join(
        paragraph(settings, root) for number, paragraph in _PARTS.items() if number in done
    )
    text += (
        f" Analyses used NeuroFaceCNN {versions['neuroface']} (commit {commit}) with PyTorch {versions['torch']}, "
        f"diffusers {versions['diffusers']}, transformers {versions['transformers']} and himalaya "
        f"{versions['himalaya']}; all random draws followed from the seed {settings['SEED']}."
    )
    references = pd.read_csv(REFERENCES, sep="\t")
    return text, [row.reference for row in references.itertuples() if row.cited_as in text]


def _data(s: dict, root: Path) -> str:
    voxels, test = (
        read_tsv(root / "1-betas" / "voxels.tsv"),
        read_tsv(root / "1-betas" / "test.tsv"),
    )
    trials = read_tsv(root / "1-betas" / "trials.tsv")
    counts, several = voxels.groupby("part").size(), trials["session"].nunique() > 1
    areas = []
    for part in counts.index:
        rois = _and(voxels["roi"][voxels["part"] == part].unique())
        areas.append(f"{counts[part]:,} voxels of {rois} counted as {part} visual cortex")
    scaled = {
        "voxel": "Each voxel had mean 0 and SD 1 over the training trials.",
        "session": f"Each voxel had mean 0 and SD 1 over the training trials{' of each session' * several}.",
        "global": "Early and higher voxels were each scaled by one mean and SD, and the test patterns by their own.",
    }[s["STANDARDIZE"]]
    person = f" of {s['SUBJECT']}" if s["DATASET"] in ("nsd", "things") else ""
    scaled += _reliable(s, root)
    return (
        f"We analysed single-trial responses{person} from {DATA[s['DATASET']]}: {len(trials):,} training trials of "
        f"{trials['image'].nunique():,} images, and the means over trials of {len(test):,} test images, none of "
        f"which was among the training images. {_kinds(s)}{_and(areas)}. {scaled}{_others(s, root)}"
    )


def _reliable(s: dict, root: Path) -> str:
    if not s["MIN_NCSNR"]:
        return ""
    n = len(read_tsv(root / "1-betas" / "unreliable.tsv"))
    return (
        f" Of all voxels {n:,} were left out, whose signal-to-noise ratio over repeated training images (ncsnr, "
        f"Allen et al. 2022) was below {s['MIN_NCSNR']:g}."
    )


def _others(s: dict, root: Path) -> str:
    if not s["OTHER_SUBJECTS"]:
        return ""
    folders = [root / "1-betas" / "others" / person for person in s["OTHER_SUBJECTS"]]
    n_trials = sum(len(read_tsv(folder / "trials.tsv")) for folder in folders)
    people = "one other person" if len(folders) == 1 else f"{len(folders)} other people"
    return f" {n_trials:,} trials of {people}, none of a test image, served the shared decoder."


def _kinds(s: dict) -> str:
    if s["SPLIT"] == "given":
        return ""
    return (
        f"The test images were all images of {s['HELD_OUT_KINDS']} of {s['N_KINDS']} kinds, clusters (k-means) of the text "
        "embeddings of their captions, after Shirakawa et al. 2025. "
    )


def _embeddings(s: dict, root: Path) -> str:
    weights = read_json(root / "2-embeddings" / "generator.json")
    generator = (
        "a small generator of the same kind"
        if s["DATASET"] == "demo"
        else "Stable Diffusion v1 (Rombach et al. 2022)"
        if any(name.startswith("text_encoder/") for name in weights)
        else "an autoencoder"
    )
    texts = clip = ""
    if (root / "2-embeddings" / FILE_OF["text"]).exists():
        texts = (
            f", captions as the first {s['N_TOKENS']} tokens of the last hidden state of its CLIP text model "
            "(Radford et al. 2021), averaged over the captions of a picture"
        )
    if (root / "2-embeddings" / FILE_OF["clip"]).exists():
        clip = " Pictures were also embedded by CLIP's picture model (Radford et al. 2021)."
    which = "the posterior mean" if s["LATENTS"] == "mean" else "a draw from the posterior"
    return (
        f"Following Takagi & Nishimoto 2023 and Hou 2023, pictures at {s['ENCODE_PIXELS']} pixels were encoded as "
        f"latents of {generator} ({which}){texts}.{clip}"
    )


def _decoders(s: dict, root: Path) -> str:
    image, text, clip = (
        _and([WORDS[name] for name in s[key]])
        for key in ("IMAGE_DECODERS", "TEXT_DECODERS", "CLIP_DECODERS")
    )
    decoded = [f"from early voxels the image latents by {image}"]
    if text:
        decoded.append(f"from higher voxels the text embedding without its start token by {text}")
    if clip:
        decoded.append(f"from higher voxels the pictures' CLIP embeddings by {clip}")
    chosen = (
        f"networks stopped at the epoch with the lowest error on {s['INNER_SHARE']:.0%} of the training images "
        f"(patience {s['PATIENCE']}, at most {s['EPOCHS']} epochs)"
    )
    if s["SELECTION"] == "paper":
        chosen += "; they were trained once more with the epoch chosen on the test set, as in Hou 2023, which flatters them"
    names = (*s["IMAGE_DECODERS"], *s["TEXT_DECODERS"], *s["CLIP_DECODERS"])
    shared = ""
    if "shared" in names:
        shared = (
            " In ridge regression shared across people a second ridge regression maps what a person's own one decodes (up "
            "to 256 principal components of the latents) to the true latents; it was fitted to other people, each decoded "
            "by ridge regression on as many trials as the tested person has, at images that these trials do not show."
        )
    return (
        f"We decoded {_and(decoded)}. Ridge regression (himalaya, Dupré la Tour et al. 2022) chose a penalty per "
        f"target among {len(s['ALPHAS'])} by {s['N_FOLDS']} inner folds over images; {chosen}.{shared} Errors are compared "
        "with that of the mean of the training latents and with shuffled brains; intervals are 95 % percentiles of "
        f"{s['N_BOOTSTRAP']:,} bootstrap samples of test images."
    )


def _drawings(s: dict, root: Path) -> str:
    if not s["DRAW"]:
        return f"The latents decoded by {WORDS[s['IMAGE_DECODER']]} were turned into pictures by the autoencoder."
    return (
        f"The latents decoded by {WORDS[s['IMAGE_DECODER']]} became a picture, which was noised to strength "
        f"{s['STRENGTH']:g} and drawn at {s['DRAW_PIXELS']} pixels by DDIM (Song et al. 2021; {s['DDIM_STEPS']} "
        f"steps, guidance {s['GUIDANCE']:g}) under the text embedding decoded by {WORDS[s['TEXT_DECODER']]}, "
        f"{s['N_DRAWS']} times per test image."
    )


def _scores(s: dict, root: Path) -> str:
    over = (
        "scores were averaged over drawings"
        if s["DRAWINGS"] == "each"
        else "features were averaged over drawings"
    )
    compared = "Drawings" if s["DRAW"] else "Pictures of decoded latents"
    alone = "for drawings from text alone and latents alone, " if s["DRAW"] else ""
    published = (
        " and, as in Hou 2023, at 512 pixels with a uniform window of 7 × 7 pixels"
        if s["DATASET"] in PUBLISHED_ON
        else ""
    )
    return (
        f"{compared} were compared with what was seen by the correlation of their pixels at {s['SCORE_PIXELS']} pixels, "
        f"by the structural similarity (Wang et al. 2004) of grey values at {s['SCORE_PIXELS']} pixels with a Gaussian "
        f"window of 1.5 pixels SD{published}, and by features of networks; {over}. The same scores were made for those of "
        f"other test images ({s['N_SHUFFLES']:,} pairings; {PAIRINGS} for scores of pixels and LPIPS), {alone}for the "
        "nearest training picture and for the mean training picture. Ridge regression from embeddings of pictures to "
        "voxels, fitted to the training trials, predicted the pattern of each picture, which was correlated "
        "over voxels with the measured pattern. A score counted as evidence if it was better than "
        "that of shuffled brains and, unless it was identification, than that of the mean training picture. Intervals of "
        "identification are over test images, which count as identified and as rivals."
    )


def _attributions(s: dict, root: Path) -> str:
    more = f" and to its {_and(s['ATTRIBUTES'])}" if s["ATTRIBUTES"] else ""
    return (
        f"Integrated Gradients (Sundararajan et al. 2017; midpoint rule, {s['IG_STEPS']} steps, from the training "
        f"mean) attributed to voxels how far the decoded latents point to the picture that was seen{more}."
    )


_PARTS = {1: _data, 2: _embeddings, 3: _decoders, 4: _drawings, 5: _scores, 6: _attributions}


def _and(items) -> str:
    """a, b and c; empty for no items."""
    items = [str(item) for item in items]
    return " and ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))
