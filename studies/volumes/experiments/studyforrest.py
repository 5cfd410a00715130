"""StudyForrest: portrayed emotions in a film, OpenNeuro ds000113 (15 people, TR 2 s, eight runs), preprocessed by fMRIPrep.

Nine observers' tables of emotions (Labs et al. 2015, CC0) lie in tests/data/studyforrest. With the
settings below a label has its right moment and its haemodynamic delay. To repeat the published
procedure, give it its own RUN_NAME and set FILM_CLOCK = "cumulated", LAG_S = 0.0, STANDARDIZE =
"volume", BALANCE = "moments", CV_SPLITS = ("volume",), HELD_OUT_SPLIT = "volume", SELECTION =
"published" and MIN_PROBABILITY = 0.75. Published: 68.1 % on single held-out volumes, on raw BOLD of
80 × 80 × 35 voxels.
"""

DATASET = "bids"
DATASET_DIR = "../../../ds000113-fmriprep"  # edit: the folder that holds sub-01, sub-02 …
RUN_NAME = "studyforrest"
BIDS_FILTER = "task-movie_*space-MNI152NLin2009cAsym"  # not task-movielocalizer

TR_S = 2.0
OBSERVER_DIR = "../../tests/data/studyforrest"
# Seconds of the film that the eight runs show; each shares 16 s with the one before it.
SEGMENTS = (
    (0.0, 902.0),
    (886.0, 1768.0),
    (1752.0, 2628.0),
    (2612.0, 3588.0),
    (3572.0, 4496.0),
    (4480.0, 5358.0),
    (5342.0, 6426.0),
    (6410.0, 7086.0),
)
