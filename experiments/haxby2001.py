"""Haxby et al. 2001: an example of a BIDS data set with events.tsv. Blocks of faces against seven other categories.

One window of 4 volumes (10 s) per block, starting 5 s after its onset; folds keep whole runs
together. The data are in each person's native space: one person at a time (within_people.py takes
them all), and script 7 prints an error and stops. Run scripts 1 to 6 and 8.

OpenNeuro ds000105 has the same names, six people, no masks (script 1 computes one) and twelve
events of 0.5 s per block, which JOIN_GAP_S joins. Its fMRIPrep derivative in MNI space takes all
people: set DATASET_DIR to it, RAW_DIR to ds000105, INCLUDE = (), SPACE = "MNI" and BIDS_FILTER =
"space-MNI152NLin2009cAsym".
"""

DATASET = "bids"
DATASET_DIR = "/data/haxby2001"  # edit: folder of your copy
RUN_NAME = "haxby2001"  # another one for each person
INCLUDE = ("sub-1",)
SPACE = "native"

TR_S = 2.5
LAG_S = 5.0
WINDOW_TRS = 4
LABEL_EVENTS = {
    "face": ("face",),
    "noface": ("house", "cat", "bottle", "scissors", "shoe", "chair", "scrambledpix"),
}
HIGH_PASS_HZ = None  # DENOISE removes only a trend: faces are shown once in a run of 302 s, slower than 1/128 Hz
BALANCE = "none"  # 12 face blocks against 84: class weights balance them, so no block is left out

CV_SPLITS = ("run",)
HELD_OUT_SPLIT = "run"
N_FOLDS = 12  # leave one run out
PLOT_INTERVAL_S = (0.0, 302.5)

# Training has only 530 voxels and 88 blocks: a smaller network and smaller batches than in the
# paper.
CNN_FILTERS = (32, 16, 16)
CNN_DENSE_UNITS = 32
BATCH_SIZE = 8
N_JOBS = 2
