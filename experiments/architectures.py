"""Accuracy and cost of four architectures on the same windows and folds of the demo.

Scripts 1 to 3 make the comparison (``3-model/<split>/models.tsv`` and the report). Scripts 4 to 8
use only the hybrid and explain it by Integrated Gradients, Grad-CAM and attention rollout. The
sizes for the demo are in DEMO of config.py; other data sets get the defaults of
neuroface/decoding/other_networks.py.
"""

RUN_NAME = "architectures"
MODELS = ("voxel_time_cnn", "cnn3d", "transformer", "hybrid")
BASELINES = ("linear",)

EXPLAINED_MODEL = "hybrid"
ATTRIBUTION_METHODS = ("ig", "grad-cam", "attention-rollout")
ATTRIBUTION_CHECKS = ("steps",)
IG_TOLERANCE = (
    0.05  # the logit of such networks changes unevenly along the path: 32 steps left gaps of 10 %
)
