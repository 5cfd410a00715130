"""Partly Cloudy in 293 parcels: 90 viewers of 10 to 16 years (QTAB, OpenNeuro ds004146; TR 0.8 s); script 8 only.

The parcels' time series are public (github.com/nomcomm/partlycloudy2: z-scored, 0.01 to 0.12 Hz,
motion and tissue signals regressed out). Each person's series is a BIDS run with one voxel per
parcel; atlas.nii.gz holds the number of the parcel, atlas.tsv its name. features/<space>/
partlycloudy.npy holds a public rating of every 2 s of the film (Im, Shirahatti and Isik,
github.com/Isik-lab/partly_cloudy_encoding), partlycloudy.json its clock: this scan shows the film
4 % faster than the rated release and begins 1.9 s before it, so second 10 of the film is second
11.44 of the scan, and the rate is 1 / (2 · 0.961) Hz. The film itself is not needed.
"""

DATASET = "bids"
DATASET_DIR = "../../data/partly-cloudy"  # edit
RUN_NAME = "partly-cloudy-encoding"
BIDS_FILTER = "desc-preproc"
TR_S = 0.8
FILM_EVENT = None  # the film begins with the run
PARCELS = ((1, 293),)
VOXEL_SHARE = 1.0
DENOISE = "none"  # band-passed as published

# One film: stretches of 61 s are held out, 12 s on both sides left free.
N_FOLDS = 5
EMBARGO_TRS = 15
DELAY_TRS = 6
FEATURES = ("face rating", "interaction", "valence", "arousal")
# Five minutes are too short for a weight per delay.
FEATURE_RESPONSE = "hrf"
N_RIDGE_TRIES = 8  # one column per space: few mixtures differ
