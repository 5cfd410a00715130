"""Partly Cloudy in 293 parcels: 90 viewers of 10 to 16 years (QTAB, OpenNeuro ds004146; TR 0.8 s), faces rated every 2 s.

The parcels' time series are public (github.com/nomcomm/partlycloudy2: z-scored, 0.01 to 0.12 Hz,
motion and tissue signals regressed out). Each person's series is a BIDS run with one voxel per
parcel; its events.tsv has the rated stretches with and without a face
(experiments/development_fmri.py names their source) on the clock of this scan, which is 0.961 ·
(second of the film + 1.9 s). Scripts 1 to 3.
"""

DATASET = "bids"
DATASET_DIR = "data/partly-cloudy"  # edit
RUN_NAME = "partly-cloudy-faces"
DENOISE = "none"  # band-passed as published

TR_S = 0.8
LAG_S = 5.0
LABEL_EVENTS = {"face": ("face",), "noface": ("noface",)}
ROI_FILE = None
WINDOW_TRS = 4
MIN_STRETCH_S = 3.2
CV_SPLITS = ("window", "subject", "event")
HELD_OUT_SPLIT = "event"
N_FOLDS = 4
MODELS = ("linear_plus",)
BASELINES = ("linear", "linear-mean")
PLOT_INTERVAL_S = (0.0, 304.0)
