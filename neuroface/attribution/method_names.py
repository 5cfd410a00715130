"""Names of the attribution methods, and the meaning of their maps."""

from typing import NamedTuple


class Method(NamedTuple):
    """``unit``: of a map's values; ``signed``: positive towards the label, negative against it."""

    title: str
    unit: str
    signed: bool = True

    @property
    def in_logits(self) -> bool:
        """Whether maps hold shares of the change of the logit, so that their sum can be compared with it."""
        return self.unit == LOGIT


LOGIT = "logit per voxel and volume"
SECANT_STEPS = 30  # of IG_STEPS = "auto" with secants, whose completeness gap is always near 0
METHODS = {
    "ig": Method("Integrated Gradients", LOGIT),
    "gradient-x-input": Method("gradient × input", LOGIT),
    "occlusion": Method("occlusion", LOGIT),
    "grad-cam": Method("Grad-CAM", "features × their mean gradient"),
    "attention-rollout": Method("attention rollout", "share of attention", signed=False),
}


def chosen_by_hand(method: str, regions: str) -> bool:
    """Whether the user chose the voxels (OCCLUSION_REGIONS), so that the place of attribution is no evidence."""
    return method == "occlusion" and regions != "cubes"
