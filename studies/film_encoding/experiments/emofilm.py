"""Emo-FilM (OpenNeuro ds004892; Morgenroth et al. 2025, Scientific Data), with this study's cautious defaults.

Edit the paths. Films are not part of the data set: put them into FILM_DIR under the names of the tasks (YouAgain.mp4, …).
"""

DATASET = "bids"
DATASET_DIR = "../../data/ds004892"  # edit: the folder that holds sub-*/ or derivatives/sub-*/
FILM_DIR = "../../data/ds004892/stimuli"  # edit: one file per film
RUN_NAME = "emofilm"
BIDS_FILTER = "space-MNI"  # edit: text that the names of the preprocessed BOLD files have
FILM_EVENT = None  # edit: the trial_type in events.tsv that marks the start of the film, if runs begin before it

# Schaefer 2018, 1,000 parcels, 17 networks in the order of Kong 2022, FSL MNI152 2 mm: the numbers of PARCELS are its own.
ATLAS_FILE = "../../data/atlases/Schaefer2018_1000Parcels_Kong2022_17Networks_order_FSLMNI152_2mm.nii.gz"
# AAL, as published, and a table with the columns index and name.
REGIONS_FILE = "../../data/atlases/AAL.nii"
REGIONS_TABLE = "../../data/atlases/AAL.tsv"

HELD_OUT_FILM = "YouAgain"
N_FOLDS = 7  # two films each
PERTURBED_REGIONS = ("Fusiform", "Calcarine")
# Every ablation of the publication. Remove this line for a first look.
ABLATIONS = ("encoder", "all voxels", "frames 16", "frames 64", "delay 3", "delay 5")
