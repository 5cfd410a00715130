"""Haxby et al. 2001: any BIDS data set with events.tsv, shown on blocks of faces against seven other categories.

One window of 4 volumes (10 s) per block, starting 5 s after its onset; folds keep whole runs together. The data are in
each person's native space, so script 7 stops and says so; run scripts 1 to 6 and 8.
"""

DATASET = "bids"
DATASET_DIR = "../shared/real/haxby2001"  # edit: where your copy lies; a download of OpenNeuro ds000105 is named alike
RUN_NAME = "haxby2001"
SPACE = "native"

TR_S = 2.5
LAG_S = 5.0
WINDOW_TRS = 4
LABEL_EVENTS = {
    "face": ("face",),
    "noface": ("house", "cat", "bottle", "scissors", "shoe", "chair", "scrambledpix"),
}
BALANCE = "none"  # 12 face blocks against 84: class weights balance them, and no block is thrown away

CV_SPLITS = ("run",)
HELD_OUT_SPLIT = "run"
N_FOLDS = 12  # leave one run out
PLOT_INTERVAL_S = (0.0, 302.5)

# 530 voxels and 88 blocks to learn from: a smaller network in larger steps than the paper's.
CNN_FILTERS = (32, 16, 16)
CNN_DENSE_UNITS = 32
EPOCHS = 40
BATCH_SIZE = 8
LEARNING_RATE = 0.002
N_JOBS = 2
