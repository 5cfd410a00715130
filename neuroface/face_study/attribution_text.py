"""The paragraph of the report on how windows were explained."""

from neuroface.attribution import SECANT_STEPS
from neuroface.face_study.settings import FaceSettings

RULE_WORDS = {
    "auto": "exact for linear and second-order models, secants for the voxel-time CNN, midpoints for others"
}


def how_explained(cfg: FaceSettings) -> str:
    """How windows were explained, a paragraph."""
    steps = (
        f"until the completeness gap is below {cfg.IG_TOLERANCE:g}; {SECANT_STEPS} with secants"
        if cfg.IG_STEPS == "auto"
        else f"{cfg.IG_STEPS} steps"
    )
    rule = RULE_WORDS.get(cfg.IG_RULE, f"{cfg.IG_RULE} rule")
    engine = ", computed by DeepExplain" if cfg.IG_ENGINE == "deepexplain" else ""
    words_of = {
        "ig": f"Integrated Gradients ({rule}, {steps}{engine})",
        "gradient-x-input": "gradient × input",
        "grad-cam": "Grad-CAM",
        "attention-rollout": "attention rollout",
        "occlusion": f"occlusion of {cfg.OCCLUSION_REGIONS} for {cfg.OCCLUSION_TRS} volumes",
    }
    baseline = {
        "zero": "against a baseline of zero",
        "training mean": "against the mean training window",
        "other class": f"as the mean over {cfg.ATTRIBUTION_DRAWS} training windows of the other class as baselines",
    }
    smooth = (
        f"; means over {cfg.SMOOTHGRAD_DRAWS} noisy copies (SmoothGrad)"
        if cfg.SMOOTHGRAD_DRAWS
        else ""
    )
    who = {
        "held-out": "each window explained by the fold model that never saw it",
        "best fold": "all windows explained by one model, the best on its own test fold",
    }
    methods = " and ".join(words_of[method] for method in cfg.ATTRIBUTION_METHODS)
    kinks = (
        " Two exact maps of one window of a network may differ by up to 1 %, where rounding decides on which side of a kink "
        "the gradient is taken."
    )
    return (
        f"{methods[0].upper()}{methods[1:]} of the logit, {baseline[cfg.ATTRIBUTION_BASELINE]}{smooth}; "
        f"{who[cfg.EXPLAIN]} ({cfg.HELD_OUT_SPLIT} folds).{kinks if 'ig' in cfg.ATTRIBUTION_METHODS else ''}"
    )
