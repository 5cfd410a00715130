"""Partly Cloudy, a film of five minutes: the adults of nilearn's development_fmri (OpenNeuro ds000228; TR 2 s, 4 mm, MNI).

nilearn fetches the 33 adults:
    python -c "from nilearn.datasets import fetch_development_fmri as fetch;
    print(fetch(age_group='adults').func[0])"
Set DATASET_DIR to the folder that this prints. RAW_DIR holds what the data set lacks: its TR, and
when a face is on the screen. The faces are those of the public rating of every 2 s of the film by
Im, Shirahatti and Isik (github.com/Isik-lab/partly_cloudy_encoding, data_prep/feature_labels.csv;
its first row is second 10 of the film). The film begins 10 s after the scan (movie localizer of
Jacoby et al. 2016).
"""

DATASET = "bids"
DATASET_DIR = "../nilearn_data/development_fmri/development_fmri"  # edit
RAW_DIR = "experiments/development_fmri"
RUN_NAME = "development-fmri"
BIDS_FILTER = "task-pixar_space-MNI152NLin2009cAsym"

TR_S = 2.0
LAG_S = 5.0
LABEL_EVENTS = {"face": ("face",), "noface": ("noface",)}
# The rating has pieces of 2 s: each stretch of 4 s or more gives a window of one volume, 11 faces
# and 7 without per viewer.
WINDOW_TRS = 1
MIN_STRETCH_S = 2.0
# One film, so no movie folds. Event folds hold out moments for all viewers.
CV_SPLITS = ("window", "subject", "event")
HELD_OUT_SPLIT = "event"
EMBARGO_TRS = 4  # 8 s; the default, 20 s at this TR, would leave too few of 18 moments
# 18 moments: too few for a network.
MODELS = ("linear_plus",)
BASELINES = ("linear", "linear-mean")
PLOT_INTERVAL_S = (0.0, 336.0)
