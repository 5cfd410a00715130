"""NNDb v1 as in the paper: 85 people, ten films, window-level folds, one model for all explanations.

Edit the first lines; every other setting of config.py already has the paper's value.
The paper's protocol gives an accuracy that is too high for new films (docs/reading-the-numbers.md).
For the stricter protocol, delete everything below the second comment.
"""

DATASET = "nndb-v1"
DATASET_DIR = (
    "/data/ds002837"  # holds derivatives/sub-*/ and stimuli/, or sub-*/ and stimuli/ directly
)
RUN_NAME = "nndb"

# Where the paper differs from this project's defaults.
STANDARDIZE = "none"
CV_SPLITS = ("window",)
SELECTION = "paper"
HELD_OUT_SPLIT = "window"
EXPLAIN = "best fold"
BASELINES = ("linear", "linear-mean", "rois")  # "shuffled-cnn" would double the time of script 3
MODELS = ("voxel_time_cnn",)
TRAINING = "paper"
EXPLAINED_MODEL = "voxel_time_cnn"
IG_RULE = "right"
IG_STEPS = 200
