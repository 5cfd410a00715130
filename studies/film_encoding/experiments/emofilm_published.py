"""Emo-FilM with the settings of the publication and its released code: for comparison with the published numbers.

They are less cautious than the defaults: every fifth chunk chooses the epoch, though its neighbours
are in training; nothing is left free beside held-out chunks; frames are reconstructed from
predicted BOLD, so no reconstruction passes a brain.
"""

DATASET = "bids"
DATASET_DIR = "../../data/ds004892"  # edit, as in emofilm.py
FILM_DIR = "../../data/ds004892/stimuli"  # edit
RUN_NAME = "emofilm-published"
BIDS_FILTER = "space-MNI_"
FILM_EVENT = ("film", "task-scan_acq-{task}_events.tsv")
ATLAS_FILE = (
    "../../data/atlases/Schaefer2018_1000Parcels_Kong2022_17Networks_order_FSLMNI152_2mm.nii.gz"
)
REGIONS_FILE = "../../data/atlases/AAL.nii"
REGIONS_TABLE = "../../data/atlases/AAL.tsv"

STANDARDIZE = "none"
HELD_OUT_FILM = "YouAgain"
SPLITS = ("published",)
SELECTION = "paper"
# Nothing is left free beside held-out chunks, so no model may see chunks beside its own.
EMBARGO_TRS = 0
ABLATIONS = ("encoder",)
RIDGE_DELAYS_TRS = (0,)
DECODER_INPUT = "predicted"
MSE_WEIGHT = (
    1 / 4609
)  # the released code divides the mean squared error by the number of voxels once more
PERCEPTUAL = "vgg16"
PERCEPTUAL_WEIGHTS = "../../data/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"  # edit
DECODE_FROM = "predicted"
PERTURBED_REGIONS = ("Fusiform", "Calcarine")
