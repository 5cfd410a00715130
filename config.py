"""Choices of an experiment: first those of every new data set, then further ones, by script.

Edit this file, or keep one small file of differences per experiment and name it:
``NEUROFACE_CONFIG=experiments/nndb.py python 1-preprocess_naturalistic_fmri.py``.
Values are the paper's unless the comment says otherwise. Only constants live here.

33 fine settings have a default and are not here: docs/settings.md lists them. Set them like the
others, here or in an experiment file.
"""

# -------------------------------------------------------------------------- for every new data set
# Which data: "demo" (synthetic, written on first use), "nndb-v1" (OpenNeuro ds002837 as in the
# paper), "nndb-v2" (the same people with a newer preprocessing), "bids".
DATASET: str = "demo"
# Folder of the data set, relative to this file or absolute. The demo is written here.
DATASET_DIR: str = "data/demo-dataset"
# BIDS derivatives only: folder of the raw data set, for events, sidecars and lengths of raw runs.
# None: the scripts search inside, above and beside DATASET_DIR (docs/bids.md).
RAW_DIR: str | None = None
# BIDS only: text that the name of the BOLD file must contain, if several versions of a run exist,
# e.g. "space-MNI152NLin6Asym".
BIDS_FILTER: str = ""
# Results go to data/<RUN_NAME>/. With a new name all scripts start from the beginning; other
# results do not change.
RUN_NAME: str = "demo"
# Folder that holds the results of all runs.
DATA_DIR: str = "data"
# People left out on purpose, e.g. ("sub-7", "sub-12"). They are listed in the report.
EXCLUDE: tuple[str, ...] = ()
# The only people to use, e.g. ("sub-1",): BOLD in each person's own space is decoded person by
# person. (): all people.
INCLUDE: tuple[str, ...] = ()
# Space of the BOLD data: "MNI", "native", or "surface" (CIFTI, GIFTI; see docs/bids.md#surfaces).
# Face ROIs need MNI, surface maps (7) MNI or surface.
SPACE: str = "MNI"
# Seconds between two volumes. If a BOLD header states another TR, the script stops. NNDb: 1.
TR_S: float = 1.0
# Names of the two conditions in files, tables and figures; letters and digits only. A model
# predicts the first.
LABELS: tuple[str, str] = ("face", "noface")
# The events of each label. Films: <name> in stimuli/task-<film>_<name>-annotation.1D; BIDS: values
# in EVENT_COLUMN of events.tsv. () for the second label: the gaps between the events of the first.
LABEL_EVENTS: dict[str, tuple[str, ...]] = {"face": ("face",), "noface": ()}
# BIDS only: the column of events.tsv that names the events.
EVENT_COLUMN: str = "trial_type"
# BIDS only: when the film begins in a run, if not with the first volume. "film": at the event of
# that name in the run's own events.tsv. ("film", "task-scan_acq-{task}_events.tsv"): at that event
# in a table of that name. 8.0: at second 8 of every run. None: films begin with their runs; if a
# run is much longer than its film, the script stops.
FILM_EVENT: tuple[str, str] | str | float | None = None
# Seconds from stimulus to the BOLD volume where its window starts (the haemodynamic delay). As in
# the paper, a window begins with the last volume that starts no later than that: half a TR earlier
# on average. Script 1 prints the mean difference in these data.
LAG_S: float = 4.0
# Volumes in a window; networks need 4 or more.
WINDOW_TRS: int = 10
# A stretch with (or without) a face gives a window if it lasts strictly longer than this many
# seconds.
MIN_STRETCH_S: float = 10.0
# Noise that is removed from each run first (docs/cleaning.md). "auto": "detrend" for BIDS series,
# unless the series state that they were filtered; nothing for NNDb, which was filtered. "detrend":
# a linear trend and the drifts of HIGH_PASS_HZ. "simple", "scrubbing", "compcor", "ica_aroma": the
# same, and the confounds of fMRIPrep that nilearn's strategy selects. Columns, e.g. ("trans_*",
# "rot_*", "csf"): the same, and these confounds. "none": nothing.
DENOISE: str | tuple[str, ...] = "auto"
# Table of the regions to compare and outline: name, hemisphere, centre (MNI mm), radius, source.
# None: no such regions. The default table has face regions: change it for other LABELS.
ROI_FILE: str | None = "masks/face_rois.tsv"
# Which windows are held out together: "window" (single windows, the paper), "subject", "event" (one
# moment, all viewers), "run", "part" (the part of a film that a run shows, all viewers; for one
# film in several runs), "movie". Each is a separate cross-validation; "movie" is unbiased if people
# saw different films. Example: ("window", "event"). "auto": "window", and the strictest split that
# the design allows: films, else parts or runs, else moments or people (docs/bids.md). Script 1
# names it and the reason.
CV_SPLITS: tuple[str, ...] | str = "auto"
# Models trained on the same folds, by name: "polynomial_network" (a linear and a second-order path
# with a gate for each voxel), "voxel_time_cnn" (the paper's, for reference), "screened_ridge" (ridge
# regression on the tenth of the voxels whose correlation with the label in the training windows is
# largest), "clustered_ridge" (ridge regression on means of clusters of neighbouring voxels),
# "linear_plus" (a linear and a second-order path, in closed form), "cnn3d" (a 3D-CNN of each volume,
# averaged over time), "transformer" (over time, on a linear embedding of the voxels), "hybrid" (the
# 3D-CNN, then the Transformer). The first one is the main network. Ridge regression is always
# trained too. docs/architectures.md says how to add a network.
MODELS: tuple[str, ...] = ("polynomial_network", "voxel_time_cnn", "screened_ridge", "linear_plus")
# Units of work done at the same time: runs, folds, people. Each needs the memory that the script's
# docstring states. On one GPU, or at full size in script 3 on a CPU, leave it at 1. With more jobs
# each has fewer threads, and TensorFlow rounds sums differently: results are equal up to rounding,
# and identical bit for bit only with the same N_JOBS.
N_JOBS: int = 1

# =================================================================================================
# Further settings, by the scripts that use them.

# ------------------------------------------------------------------------------------- all scripts
# Seed of every random draw: class balance, folds, initial weights, dropout. Paper: 42.
SEED: int = 42
# If DATASET is "demo", these values replace the values below, so that the eight scripts take
# minutes on a laptop. Each script prints the values that it uses. A file named in NEUROFACE_CONFIG
# overrides them. Other data sets ignore them.
DEMO: dict[str, object] = {
    "CNN_FILTERS": (8, 8, 8),
    "CNN_DENSE_UNITS": 32,
    "MODEL_OPTIONS": {
        "cnn3d": {"filters": (8, 8, 16), "dense_units": 32},
        "transformer": {"width": 32, "heads": 4, "depth": 2, "feed_forward": 64},
        "hybrid": {"filters": (8, 8, 16), "width": 32, "heads": 4, "depth": 2, "feed_forward": 64},
    },
    "TRAINING_STEPS": 120,
    "BATCH_SIZE": 8,
    "BASELINES": ("linear", "linear-mean", "rois"),
    "N_PERMUTATIONS": 200,
    "ATTRIBUTION_CHECKS": ("steps", "baselines", "weights", "deletion", "labels"),
    "N_RELABELLINGS": 100,
    "VARIANCE_FWHM_MM": 16.0,
    "PLOT_INTERVAL_S": (100.0, 500.0),
    "N_JOBS": 2,
}

# ------------------------------------------------ 0-annotate_film.py, for films without annotation
# A table that says which seconds of each film file a run shows, and when (docs/annotate.md). None:
# each file is a run.
FILM_PARTS: str | None = None
# Folder for the results of script 0. If DATASET_DIR lacks annotations or regressors, script 1 takes
# them from here.
FILM_DIR: str = "data/films"

# --------------------------------------------------------------- 1-preprocess_naturalistic_fmri.py
# "zscore": every voxel to mean 0, SD 1 over its run. "none": as in the paper. NNDb v1 was scaled so
# that amplitude depends on the film's length: without z-scoring a network can tell films apart by
# amplitude alone.
STANDARDIZE: str = "zscore"
# DENOISE also removes cosines below this frequency (here 1/128 Hz). None: only the trend. A design
# that is slower than this is lost.
HIGH_PASS_HZ: float | None = 0.0078125
# Width (FWHM, mm) of a Gaussian that smooths each volume before everything else. None: no
# smoothing.
SMOOTHING_MM: float | None = None
# "run": in each run, random windows of the larger class are removed (seeded) until both classes are
# equal, as in the paper. "none": keep all windows.
BALANCE: str = "run"
# Film regressors (docs/annotate.md) in which the two classes are matched, e.g. ("brightness",
# "loudness"). With BALANCE = "run", each window of the smaller class is paired with the most
# similar window of the larger class. (): windows are drawn at random, as in the paper.
MATCH_ON: tuple[str, ...] = ()
# A voxel is in the group mask if more than this share of the individual masks contain it.
MASK_THRESHOLD: float = 0.99
# Your own group mask, e.g. "masks/my_mask.nii.gz". None: the overlap of the individual masks.
MASK_FILE: str | None = None
# NNDb v2 only: which of its versions, the text after "_bold_" in the file names. "blur" or
# "no_blur"; "censor": volumes with motion are marked, and windows that touch a marked volume are
# left out; "ica": cleaned by ICA.
NNDB_VARIANT: str = "blur_no_censor_ica"

# ----------------------------------------------------------------------- 3-train_voxel_time_cnn.py
# Folds of every cross-validation. With fewer films, parts, runs or people than this, each of them
# is one fold.
N_FOLDS: int = 4
# Volumes left free between training windows and held-out windows of the same run in the "event"
# split. Paper: none.
EMBARGO_TRS: int = 10
# Which windows choose the best epoch. "inner": a quarter of the training set (more if it has few
# groups), grouped like the fold; the held-out fold is used once. "paper": the held-out fold itself;
# the result is then too high, and it is marked.
SELECTION: str = "inner"
# How networks are trained (docs/training.md). "robust": TRAINING_STEPS steps; warm-up and cosine
# decay of the step size; statistics of batch normalisation computed again before each evaluation;
# the step with the lowest validation loss is kept; logits are calibrated. "paper": EPOCHS epochs;
# the epoch with the best validation accuracy is kept.
TRAINING: str = "robust"
# With TRAINING = "robust": steps of a training, for any number of windows. Training stops early
# when the validation loss stops falling.
TRAINING_STEPS: int = 600
# Windows per gradient step.
BATCH_SIZE: int = 20
# Adam's step size. "auto": 0.003 with TRAINING = "robust" (0.01 for "polynomial_network"); with
# "paper" 0.0002, halved after 15 epochs without a lower validation loss. With several, e.g. (0.001,
# 0.0002), each is tried, and the one with the best score on the windows of SELECTION is used.
LEARNING_RATE: float | tuple[float, ...] | str = "auto"
# Networks per fold, with different initial weights and orders of windows. Their mean logit is the
# prediction, and results state their spread. With 1 (paper) results do not show how much they
# depend on the seed.
N_SEEDS: int = 1
# What the network is compared with, on the same folds: "linear" (ridge on the whole window),
# "linear-mean" (on its mean over time), "rois" (ridge on the voxels of ROI_FILE; MNI only),
# "shuffled-cnn" ("voxel_time_cnn" with voxels in random order: does the convolution over the voxel
# index matter?). The last costs as much as "voxel_time_cnn" itself.
BASELINES: tuple[str, ...] = ("linear", "linear-mean", "rois", "shuffled-cnn")

# ----------------------------------------------------------------------- 4-integrated_gradients.py
# The split (one of CV_SPLITS) whose fold models are explained here and predict runs in script 8.
# "auto": the strictest of CV_SPLITS. Paper: "window".
HELD_OUT_SPLIT: str = "auto"
# The model that is explained here and predicts runs in script 8: one of MODELS, "linear",
# "linear-mean", "rois", or "best". With "best" the inner validation windows of each fold choose the
# model. Paper: "voxel_time_cnn".
EXPLAINED_MODEL: str = "best"
# How windows are explained; scripts 4 to 7 make the same files for each. "ig": Integrated Gradients
# (the paper); "gradient-x-input": one gradient at the window itself, fast and noisy; "occlusion":
# drop of the logit when a region is set to the baseline, slow and coarse, without gradients;
# "grad-cam" (cnn3d, hybrid): coarse heat maps of the last convolution;
# "attention-rollout" (transformer, hybrid): what the attention uses, independent of the label.
ATTRIBUTION_METHODS: tuple[str, ...] = ("ig",)
# Which model explains a window. "held-out": the fold model that never saw it. "best fold": one
# model, the best on its own test fold, explains all windows, its training windows included, as in
# the paper.
EXPLAIN: str = "held-out"
# The baseline of a window: "zero" (the paper), "training mean" (of the training windows of the
# model that explains it), or "other class": training windows with the other label (the mean over
# paths from each: expected gradients).
ATTRIBUTION_BASELINE: str = "zero"
# Rule for the integral from baseline to window: "right" (the paper), "midpoint", "trapezoid",
# "gauss-legendre", "secant", or "auto". "secant" (only "voxel_time_cnn") computes the mean slope
# between two steps exactly and needs a fifth of the steps for the same map error. "auto": "secant"
# where possible, else "midpoint". See docs/attributions.md.
IG_RULE: str = "auto"
# Steps of the integral. Paper: 200. "auto": 30 with "secant", which have the map error of 150 with
# "right"; with other rules the steps of a window are doubled until its completeness gap is below
# IG_TOLERANCE, up to 1,024. Linear and second-order models have exact attributions in one step, for
# any value of this setting.
IG_STEPS: int | str = "auto"
# Tests of the maps on a few windows, for the report: "steps" (error against many steps),
# "baselines" (maps from other baselines), "weights" (random weights, layer by layer from the top),
# "deletion" (voxels set to the baseline, the most attributed first), "labels" (a network trained on
# shuffled labels: costs one more fold of script 3).
ATTRIBUTION_CHECKS: tuple[str, ...] = ("steps", "baselines", "weights", "deletion")

# ----------------------------------------------------------------------------------- 6 and 7, maps
# Your own regions in addition: NIfTI files in the BOLD data's space, e.g. ("masks/my_ffa.nii.gz",).
# They are resampled to the group mask. If a file has no voxel in the mask, the script stops.
ROI_MASKS: tuple[str, ...] = ()
# Test of the group's maps (docs/what-maps-can-claim.md). "relabel": models in closed form are
# fitted again to swapped labels; p is valid for the whole procedure. "flip films": the maps of all
# viewers of a film change sign together; needs 6 films or more, and one film per person; p is too
# small, because the models are taken as fixed. "flip people": p is far too small if people saw the
# same films. "none": no p. "auto": "relabel" if possible, else "flip films", else "none".
MAP_TEST: str = "auto"
# Smoothing (FWHM, mm) of the variance that the test divides by. 0: no smoothing, the plain t. With
# fewer than about 20 people the variance of a single voxel is unreliable: use a width of two or
# three voxels. With many people smoothing takes long.
VARIANCE_FWHM_MM: float = 0.0
# Film regressors that the GLM holds constant, e.g. ("brightness", "loudness").
NUISANCE: tuple[str, ...] = ()

# ----------------------------------------------------------- 8-moment_by_moment_face_prediction.py
# Seconds of film that the timeline figures show. Paper: 500 Days of Summer, 2,032 to 3,032.
PLOT_INTERVAL_S: tuple[float, float] = (2032.0, 3032.0)

# -------------------------------------------------------- this machine; not part of the experiment
# Address of a Dask scheduler, e.g. "tcp://10.0.0.1:8786". Its workers do the units instead of
# N_JOBS processes; each worker does one unit at a time. docs/clusters-and-gpus.md shows how to
# start them. None: this machine.
DASK_SCHEDULER: str | None = None
# Windows × steps (script 4) or volumes (script 8) per pass through the network. Lower it if memory
# runs out. At full size 20 need 4 GB in script 4; script 8 uses at most nine volumes per pass, and
# 2 GB in total.
INFERENCE_BATCH: int = 20
