"""Choices of an experiment: first those of every new data set, then further ones, by script.

Edit this file, or keep one small file of differences per experiment and name it:
``NEUROFACE_CONFIG=experiments/studyforrest.py python 1-label_volumes.py``.
"Published" in a comment means the emotion study (see README.md); only constants live here.

15 fine settings have a default and are not here: docs/settings.md lists them. Set them like the
others, here or in an experiment file.
"""

# -------------------------------------------------------------------------- for every new data set
# Which data: "demo" (synthetic, written on first use) or "bids" (BOLD with BIDS names, preferably
# preprocessed by fMRIPrep).
DATASET: str = "demo"
# Folder of the data set, relative to this file or absolute. The demo is written here.
DATASET_DIR: str = "../../data/volumes-demo-dataset"
# Folder of the raw data set, for events, sidecars and lengths of raw runs, if DATASET_DIR is a
# derivative. None: the scripts search inside, above and beside DATASET_DIR.
RAW_DIR: str | None = None
# Text that the name of the BOLD file must contain, if several versions or tasks exist; "*" stands
# for any text, e.g. "task-movie_*space-MNI152NLin2009cAsym".
BIDS_FILTER: str = ""
# Results go to data/<RUN_NAME>/. With a new name all scripts start from the beginning; other
# results do not change.
RUN_NAME: str = "volumes-demo"
# Folder that holds the results of all runs.
DATA_DIR: str = "../../data"
# People left out on purpose, e.g. ("sub-07",). They are listed in the report.
EXCLUDE: tuple[str, ...] = ()
# The only people to use, e.g. ("sub-01",). (): all.
INCLUDE: tuple[str, ...] = ()
# Space of the BOLD data: "MNI" or "native". Surfaces need MNI.
SPACE: str = "MNI"
# Seconds between two volumes. If a BOLD header states another TR, the script stops.
TR_S: float = 2.0
# Seconds from the stimulus to the volume that carries its label (haemodynamic delay). The canonical
# response has its peak at 5 s and its centre of mass at 6 s. Published: 0.
LAG_S: float = 6.0
# Where labels come from: "observers" (tables of episodes in seconds of the film, one table per
# observer) or "events" (events.tsv of every run).
LABEL_SOURCE: str = "observers"
# Observers: the folder with their tables (*.csv), with columns start, end (s of the film) and
# OBSERVER_COLUMN.
OBSERVER_DIR: str | None = None
# Observers: the column with the label. An episode with an empty label is left out.
OBSERVER_COLUMN: str = "emotion"
# Observers: (start, end) of the part of the film that each run shows, in seconds, in the order of
# the run numbers. Parts may overlap: runs of StudyForrest share 16 s.
SEGMENTS: tuple[tuple[float, float], ...] = ()
# Events: label → trial types, strings or integers as text, e.g. {"leftleg": ("3",)}. {}: every
# trial type is a label.
EVENT_LABELS: dict[str, tuple[str, ...]] = {}
# Events: the column of events.tsv that names them.
EVENT_COLUMN: str = "trial_type"
# Observers: when the film begins in a run, if not with the first volume. "film": at the event of
# that name in the run's events.tsv. ("film", "task-scan_acq-{task}_events.tsv"): at that event in a
# table of that name. 8.0: at second 8 of every run. None: with the run.
FILM_EVENT: tuple[str, str] | str | float | None = None
# Noise that is removed from each run first (../../docs/cleaning.md). "auto": "detrend", unless the
# series state that they were filtered. "detrend": a linear trend and the drifts of HIGH_PASS_HZ.
# "simple", "scrubbing", "compcor", "ica_aroma": the same, and the confounds of fMRIPrep that
# nilearn's strategy selects. Columns, e.g. ("trans_*", "rot_*", "csf"): the same, and these
# confounds. "none": nothing.
DENOISE: str | tuple[str, ...] = "auto"
# A label with fewer moments than this is left out.
MIN_PER_CLASS: int = 70
# Which volumes are held out together: "volume" (published: single volumes), "moment" (one TR of the
# stimulus, all its viewers), "block" (a whole block or episode, all its viewers, and EMBARGO_TRS
# around it), "run" (a part of the stimulus, all its viewers), "subject". Each is a separate
# cross-validation.
CV_SPLITS: tuple[str, ...] = ("volume", "block")
# Networks trained on the same folds: "separable_cnn3d" (emotions, published), "hybrid" (body
# parts), "deepbrain" (its predecessor), "cnn_only" and "transformer_only" (the hybrid without one
# of its halves). The first one is the main network.
MODELS: tuple[str, ...] = ("separable_cnn3d",)
# The network (one of MODELS) that is explained.
EXPLAINED_MODEL: str = "separable_cnn3d"
# Units of work done at the same time: runs, folds, people. Each needs the memory that the script's
# docstring states.
N_JOBS: int = 1

# =================================================================================================
# Further settings, by the scripts that use them.

# ------------------------------------------------------------------------------------- all scripts
# Seed of every random draw: balance, folds, initial weights, dropout, permutations, UMAP.
SEED: int = 42
# If DATASET is "demo", these values replace the values below, so that the seven scripts take
# minutes on a laptop. Each script prints the values that it uses. A file named in NEUROFACE_CONFIG
# overrides them. Other data sets ignore them.
DEMO: dict[str, object] = {
    "OBSERVER_DIR": "../../data/volumes-demo-dataset/observers",
    "SEGMENTS": ((0.0, 316.0), (300.0, 616.0), (600.0, 916.0), (900.0, 1216.0)),
    "MIN_PER_CLASS": 40,
    "BALANCE": "moments",
    "N_FOLDS": 4,
    "MODELS": ("separable_cnn3d", "hybrid"),
    "MODEL_OPTIONS": {
        "separable_cnn3d": {"stem": 4, "filters": (16, 32, 32)},
        "hybrid": {"filters": (8, 16, 16), "width": 16, "heads": 2, "depth": 1, "feed_forward": 32},
    },
    "EPOCHS": 7,
    "LEARNING_RATE": 0.004,
    "N_PERMUTATIONS": 200,
    "IG_STEPS": 16,
    "N_PERMUTATIONS_MAPS": 1000,
    "TOP_VOXELS": 60,
    "N_LABEL_PERMUTATIONS": 200,
    "ROI_FILE": "demo_regions.tsv",
    "N_JOBS": 2,
}

# ------------------------------------------------------------------------------ 1-label_volumes.py
# Observers: a TR keeps its label if at least this many observers gave it. Published: 5 of 9.
MIN_AGREEMENT: int = 5
# Observers: "segments" takes the film time of a volume from SEGMENTS. "cumulated" (published) adds
# up the lengths of the runs, as if the parts did not overlap: labels are then late by 16 s in run 2
# and by 112 s in run 8.
FILM_CLOCK: str = "segments"
# DENOISE also removes cosines below this frequency (here 1/128 Hz). None: only the trend. A design
# that is slower than this is lost.
HIGH_PASS_HZ: float | None = 0.0078125
# Width (FWHM, mm) of a Gaussian that smooths each volume before everything else. None: no
# smoothing.
SMOOTHING_MM: float | None = None

# ------------------------------------------------------------------------------- 2-load-volumes.py
# "voxel": every voxel to mean 0, SD 1 over its run. "volume" (published): every volume to mean 0,
# SD 1 over its voxels; differences between the anatomies of people then remain. "none": no change.
STANDARDIZE: str = "voxel"
# "none": all labelled volumes are kept; models weight their losses by class. "moments" (published):
# MIN_PER_CLASS moments of each label are drawn, the same for all people; StudyForrest then keeps
# 350 of 898. "person": in each person, every label is drawn down to the rarest one.
BALANCE: str = "none"
# A voxel is in the group mask if more than this share of the individual masks contain it.
MASK_THRESHOLD: float = 0.99
# Your own group mask. None: the overlap of the individual masks.
MASK_FILE: str | None = None

# ---------------------------------------------------------------------- 3-train_volume_networks.py
# Folds of every cross-validation. Published: one split of 80 % and 20 %.
N_FOLDS: int = 5
# "block" and "run": volumes left free between training volumes and held-out volumes of the same
# stimulus.
EMBARGO_TRS: int = 5
# Which volumes choose the best epoch. "inner": a quarter of the training set, grouped like the
# fold. "published": the held-out fold itself; the result is then too high, and it is marked.
SELECTION: str = "inner"
# Passes over the training volumes; the best one is kept.
EPOCHS: int = 50
# Volumes per gradient step.
BATCH_SIZE: int = 16
# AdamW's first step size; it falls to 0 along half a cosine over EPOCHS.
LEARNING_RATE: float = 0.001
# Linear models on the same folds: "ridge" (always fitted; also used for the ladder of splits),
# "screened_ridge" (ridge on the tenth of the voxels that differ most between labels, chosen on the
# inner validation volumes), "logistic" (multinomial).
BASELINES: tuple[str, ...] = ("screened_ridge", "ridge", "logistic")

# ----------------------------------------------------------------------------- 4-occlusion_maps.py
# The split (one of CV_SPLITS) whose fold models are explained and compared with the brain.
# Published: "volume".
HELD_OUT_SPLIT: str = "block"
# "occlusion-zero" (published) and "occlusion-mean": drop of the label's probability when a box is
# set to 0, or to the mean of the training volumes. "ig": Integrated Gradients of the label's
# log-odds. "grad-cam": coarse, from the last convolution. "attention-rollout" (hybrid,
# transformer_only): what the attention uses, independent of the label. "screened-ridge": weight ×
# value of that model of BASELINES, whatever EXPLAINED_MODEL is. With STANDARDIZE = "voxel" the
# training mean is near 0, and both occlusions give the same maps.
MAP_METHODS: tuple[str, ...] = ("occlusion-zero", "ig", "grad-cam")
# 0: held-out volumes are explained whether the network is right or wrong. Above 0: only those that
# are classified correctly with at least this probability (published: 0.75). Such maps differ from 0
# even without an effect, and are not tested.
MIN_PROBABILITY: float = 0.0
# Edge of the box that is occluded, and the step from box to box, in voxels.
BOX_VOXELS: int = 2
BOX_STRIDE: int = 2

# ------------------------------------------------------------------------------- 5-cluster_maps.py
# Number of voxels per label with the largest values.
TOP_VOXELS: int = 500

# ------------------------------------------------------------------------------------ 7-figures.py
# Regions to outline on the surfaces, a table with roi, hemisphere, centre (MNI mm), radius, source.
# None: none.
ROI_FILE: str | None = None

# -------------------------------------------------------- this machine; not part of the experiment
# Address of a Dask scheduler, e.g. "tcp://10.0.0.1:8786". Its workers do the units instead of
# N_JOBS processes. None: this machine.
DASK_SCHEDULER: str | None = None
# Volumes (3, 6), volumes × steps (4) or boxes (4, × 64) per pass through the network. Lower it if
# memory runs out.
INFERENCE_BATCH: int = 32
