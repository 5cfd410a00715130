"""Four architectures on the same windows and folds of the demo: which decodes best, at what cost?

Scripts 1 to 3 make the comparison (``3-model/<split>/models.tsv`` and the report); 4 to 8 go on with the hybrid, explained
by Integrated Gradients, Grad-CAM and attention rollout. Sizes for the demo stand in config.py, DEMO; for another data set
the defaults of neuroface/decoding/rivals.py hold.
"""

RUN_NAME = "architectures"
MODELS = ("voxel_time_cnn", "cnn3d", "transformer", "hybrid")
BASELINES = ("linear",)

EXPLAINED_MODEL = "hybrid"
ATTRIBUTION_METHODS = ("ig", "grad-cam", "attention-rollout")
ATTRIBUTION_CHECKS = ("steps",)
IG_RULE = "midpoint"  # attention and normalisation bend the path: at a fixed 32 steps gaps of 10 % were seen
IG_STEPS = "auto"
IG_TOLERANCE = 0.05
