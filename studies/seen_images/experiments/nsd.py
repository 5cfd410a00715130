"""The Natural Scenes Dataset, as in the publication, except for the settings in which config.py is stricter.

Edit the paths. 24,980 training trials of 8,859 images and 982 test images; early 10,631 voxels (V1
4,308, V2 2,916, V3 2,096, V4 1,311), higher 7,604. Script 1 prints its own counts: compare.
"""

DATASET = "nsd"
DATASET_DIR = "/path/to/nsd"  # with nsddata/, nsddata_betas/ and nsddata_stimuli/
RUN_NAME = "nsd-subj01"
MODEL_DIR = "/path/to/stable-diffusion-v1-4"
SCORES_DIR = None  # e.g. "/path/to/score-weights"; README.md says what it holds
SUBJECT = "subj01"
SESSIONS = tuple(
    range(1, 38)
)  # as published; subj03 and 06 have 32 sessions, subj04 and 08 have 30: () reads all there are
EARLY_ROIS = ("HCP_MMP1:V1", "HCP_MMP1:V2", "HCP_MMP1:V3", "HCP_MMP1:V4")
HIGHER_ROIS = ("streams:ventral",)
