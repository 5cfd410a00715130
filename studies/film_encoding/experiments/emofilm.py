"""Emo-FilM (OpenNeuro ds004892; Morgenroth et al. 2025, Scientific Data), with this study's cautious defaults.

Edit the paths. Films are not part of the data set: put them into FILM_DIR under the names of the
tasks (YouAgain.mp4, …).
"""

DATASET = "bids"
DATASET_DIR = (
    "../../data/ds004892"  # edit: the data set's root; the series are in derivatives/preprocessing/
)
FILM_DIR = "../../data/ds004892/stimuli"  # edit: one file per film
RUN_NAME = "emofilm"
BIDS_FILTER = "space-MNI_"
# Films begin 93.6 to 96.4 s after their runs, depending on the person. The tables that state it do
# not have the names of the series.
FILM_EVENT = ("film", "task-scan_acq-{task}_events.tsv")

# Schaefer 2018, 1,000 parcels, 17 networks in the order of Kong 2022, FSL MNI152 2 mm: the numbers
# of PARCELS are its own.
ATLAS_FILE = (
    "../../data/atlases/Schaefer2018_1000Parcels_Kong2022_17Networks_order_FSLMNI152_2mm.nii.gz"
)
# AAL, as published, and a table with the columns index and name.
REGIONS_FILE = "../../data/atlases/AAL.nii"
REGIONS_TABLE = "../../data/atlases/AAL.tsv"

HELD_OUT_FILM = "YouAgain"
N_FOLDS = 7  # two films each
PERTURBED_REGIONS = ("Fusiform", "Calcarine")
# Every ablation of the publication. Remove this line for a first look.
ABLATIONS = ("encoder", "lags 2", "all voxels", "frames 16", "frames 64", "delay 3", "delay 5")
