"""THINGS-fMRI, with the regions and the network sizes of the publication.

Edit the paths. 8,640 training trials, and 100 test images of 12 trials each; early 3,198 voxels (V1
1,049, V2 774, V3 762, hV4 613), higher 5,183, voxels of two regions counted twice. Script 1 prints
its own counts: compare.
"""

DATASET = "things"
DATASET_DIR = "/path/to/things-fmri"  # with betas_csv/, images/ and things_concepts.tsv
RUN_NAME = "things-sub-01"
MODEL_DIR = "/path/to/stable-diffusion-v1-4"
SCORES_DIR = None  # e.g. "/path/to/score-weights"; README.md says what it holds
SUBJECT = "sub-01"
SPACE_FILE = (
    None  # the brain mask of the betas, e.g. "/path/to/sub-01_space-T1w_brainmask.nii.gz", for maps
)
EARLY_ROIS = ("V1", "V2", "V3", "hV4")
HIGHER_ROIS = ("lFFA", "VO1", "VO2", "TO1", "TO2", "rFFA", "lPPA", "rPPA", "lLOC", "rLOC")
DECODER_OPTIONS = {
    "image:gcn": {"width": 128, "channels": 2, "dense": 512, "learning_rate": 0.0015},
    "text:cnn": {
        "channels": 16, "kernel": 5, "convolutions": 2, "passes": 2, "dense": (256,), "learning_rate": 0.001,
        "batch_size": 256,
    },
}  # fmt: skip
