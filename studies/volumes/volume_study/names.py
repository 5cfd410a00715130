"""Names of networks, splits and kinds of maps, and what tables and figures call them."""

# name in MODELS → what tables call it
MODELS = {
    "separable_cnn3d": "separable 3D-CNN",
    "hybrid": "3D-CNN and Transformer",
    "deepbrain": "DeepBrain",
    "cnn_only": "the hybrid's 3D-CNN alone",
    "transformer_only": "the hybrid's Transformer alone",
}
BASELINES = {
    "ridge": "ridge",
    "logistic": "multinomial logistic regression",
    "screened_ridge": "screened ridge",
}

# name in CV_SPLITS → what is kept out of training together; in the order of the ladder, from the
# weakest on
SPLITS = {
    "volume": "single volumes (published)",
    "moment": "one TR of the stimulus, all its viewers",
    "subject": "whole people",
    "block": "whole blocks or episodes, all their viewers",
    "run": "whole parts of the stimulus, all their viewers",
}
