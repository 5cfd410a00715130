"""Parts of the body that move: OpenNeuro ds004044 (62 people, TR 2 s, blocks of twelve movements), its fMRIPrep derivatives.

The published derivatives are in each person's own space, so the study is of one person at a time
(INCLUDE, and a RUN_NAME for each); they have no masks (script 2 computes one). Of the two versions
of a run the denoised one is read. For all people at once run fMRIPrep with MNI152NLin2009cAsym as
output, and set INCLUDE = (), SPACE = "MNI" and BIDS_FILTER =
"task-motor*space-MNI152NLin2009cAsym".

Four of the twelve trial types, as published. The hybrid, its predecessor and its two halves on the
same folds. Published: 85.2 % (hybrid) and 82.9 % (DeepBrain) on single held-out volumes; volumes of
one block were on both sides. MODEL_OPTIONS = {"hybrid": {"reference": True}} trains the network as
it was released; its last feature map is one cell, so leave "grad-cam" and "attention-rollout" out
of MAP_METHODS then.
"""

DATASET = "bids"
DATASET_DIR = "../../../ds004044"  # edit: its root, with derivatives/fmriprep in it
RUN_NAME = "somatotopy"  # another one for each person
BIDS_FILTER = "task-motor*space-T1w_desc-preproc_bold_denoised"
INCLUDE = ("sub-01",)
SPACE = "native"

TR_S = 2.0
LABEL_SOURCE = "events"
EVENT_LABELS = {"leftleg": ("3",), "rightleg": ("4",), "forearm": ("5",), "upperarm": ("6",)}
BALANCE = "person"

MODELS = ("hybrid", "deepbrain", "cnn_only", "transformer_only")
EXPLAINED_MODEL = "hybrid"
EPOCHS = 200
PATIENCE = 20
BATCH_SIZE = 32
LEARNING_RATE = 0.0001
MAP_METHODS = ("occlusion-zero", "ig", "grad-cam", "attention-rollout")
BOX_VOXELS = 4  # boxes share no work in this network: every box is one pass
BOX_STRIDE = 4
