"""What each attribution method is called, and what its maps mean."""

from typing import NamedTuple


class Method(NamedTuple):
    """``in_logits``: maps hold shares of the change of the logit; ``signed``: towards and against the label."""

    title: str
    in_logits: bool
    signed: bool


METHODS = {
    "ig": Method("Integrated Gradients", True, True),
    "gradient-x-input": Method("gradient × input", True, True),
    "occlusion": Method("occlusion", True, True),
    "grad-cam": Method("Grad-CAM", False, True),
    "attention-rollout": Method("attention rollout", False, False),
}


def chosen_by_hand(method: str, regions: str) -> bool:
    """Whether some voxels only were tried (OCCLUSION_REGIONS): that attribution gathers there then shows nothing."""
    return method == "occlusion" and regions != "cubes"
