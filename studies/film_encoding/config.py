"""Choices of an experiment: first those of every new data set, then further ones, by script.

Edit this file, or keep one small file of differences per experiment and name it:
``NEUROFACE_CONFIG=experiments/emofilm.py python 1-cut_film.py``.
Values are the publication's (David et al. 2025) unless the comment says otherwise. Only constants
live here.

25 fine settings have a default and are not here: docs/settings.md lists them. Set them like the
others, here or in an experiment file.
"""

# -------------------------------------------------------------------------- for every new data set
# Which data: "demo" (synthetic, written on first use) or "bids" (a folder with
# sub-*/**/func/*_task-<film>_*bold.nii.gz).
DATASET: str = "demo"
# Folder of the data set, relative to this file or absolute. The demo is written here.
DATASET_DIR: str = "../../data/film-demo-dataset"
# Folder of the raw data set, for events, sidecars and lengths of raw runs, if DATASET_DIR is a
# derivative. None: the scripts search inside, above and beside DATASET_DIR.
RAW_DIR: str | None = None
# BIDS only: text that the name of the BOLD file must contain, if several versions of a run exist,
# e.g. "space-MNI152NLin2009cAsym".
BIDS_FILTER: str = ""
# Results go to data/<RUN_NAME>/. With a new name all scripts start from the beginning; other
# results do not change.
RUN_NAME: str = "film-demo"
# Folder that holds the results of all runs.
DATA_DIR: str = "../../data"
# People left out on purpose, e.g. ("sub-S12", "sub-S18"). They are listed in the report.
EXCLUDE: tuple[str, ...] = ()
# The only people to use, e.g. ("sub-01",). (): all.
INCLUDE: tuple[str, ...] = ()
# Seconds between two volumes. If a BOLD header states another TR, script 2 stops. Emo-FilM: 1.3.
TR_S: float = 1.3
# Folder of the films: <film>.mp4, or any other suffix that FFmpeg reads. None: stimuli/ in
# DATASET_DIR.
FILM_DIR: str | None = None
# Films to use, named as the tasks of the BOLD files. (): all that have BOLD and a film file.
FILMS: tuple[str, ...] = ()
# When a run shows its film, and for how long. "film": at the event of that name in the run's
# events.tsv. ("film", "task-scan_acq-{task}_events.tsv"): at that event in a table of that name
# (Emo-FilM). 8.0: at second 8 of every run. None: films begin with their runs; if a run is much
# longer than its film, script 1 stops.
FILM_EVENT: tuple[str, str] | str | float | None = "film"
# What the runs of a person show. "one": each another film. "repeats": several runs show a film whole;
# they are averaged within the person, and script 8 states the noise ceiling within people. "parts":
# each run shows a part of a film; run-2 of task-movie is the film movierun2 with the file
# movie_run-2.mp4 (StudyForrest). "several": a run shows several films; FILMS names them, and each is
# an event of that name in the run's log (FILM_EVENT may name the table).
FILM_RUNS: str = "one"
# A parcellation (NIfTI of whole numbers) on the grid of the BOLD; of BOLD on the cortical surface an
# atlas with the same vertices (.dlabel.nii, or .label.gii of hemi-L). None: atlas.nii.gz in
# DATASET_DIR. Tables of parcels need none. Publication: Schaefer 2018, 1,000 parcels, 17 networks
# (Kong 2022 order), 2 mm.
ATLAS_FILE: str | None = None
# Label ranges of the atlas, both ends included, that contain the voxels to choose from: here the
# visual parcels. Parcels of a table have the number of their column, from 1. On the cortical surface a
# number counts in both hemispheres.
PARCELS: tuple[tuple[int, int], ...] = ((420, 450), (478, 500), (910, 940), (976, 1000))
# Noise that is removed from each run first (../../docs/cleaning.md). "auto": "detrend", unless the
# series state that they were filtered, as those of Emo-FilM do. "detrend": a linear trend and the
# drifts of HIGH_PASS_HZ. "simple", "scrubbing", "compcor", "ica_aroma": the same, and the confounds
# of fMRIPrep that nilearn's strategy selects. Columns, e.g. ("trans_*", "rot_*", "csf"): the same,
# and these confounds. "none": nothing.
DENOISE: str | tuple[str, ...] = "auto"
# Whose BOLD is predicted: "mean" (over all people) or people, e.g. ("mean", "sub-S01"). Each is
# trained and scored; scripts 5 to 7 explain the first.
SUBJECTS: tuple[str, ...] = ("mean",)
# Volumes from the start of a chunk to the volume that it predicts: the haemodynamic delay.
# Publication: 4 (5.2 s).
DELAY_TRS: int = 4
# What is held out: "published" (the last part of each film, and all of HELD_OUT_FILM), "film"
# (whole films, in folds).
SPLITS: tuple[str, ...] = ("published", "film")
# The film that the published split never trains on. None: the last one in alphabetical order.
# Publication: YouAgain.
HELD_OUT_FILM: str | None = None
# Named regions, e.g. AAL (NIfTI of whole numbers, on the grid of the BOLD). None: ATLAS_FILE.
REGIONS_FILE: str | None = None
# Table with the columns index and name; equal names are one region. None: atlas.tsv in DATASET_DIR;
# of a REGIONS_FILE on the cortical surface the names in that file.
REGIONS_TABLE: str | None = None
# Feature spaces whose share in each voxel is measured, one band of regularisation each. Made by the
# script: "motion energy", "frames", "brightness" (from the chunks of script 1), "cuts", "loudness",
# "speech" (from the film files; need the packages of make film), "faces" (from
# task-<film>_face-annotation.1D). Any other name is a folder of FEATURE_DIR with your own, e.g.
# ("motion energy", "faces", "clip").
FEATURES: tuple[str, ...] = ("motion energy", "frames", "faces")
# Units of work done at the same time: films, people, trainings. On one GPU, or at full size on a
# CPU, leave it at 1 in script 3.
N_JOBS: int = 1

# =================================================================================================
# Further settings, by the scripts that use them.

# ------------------------------------------------------------------------------------- all scripts
# Seed of every random draw: initial weights, dropout, order of chunks, nulls.
SEED: int = 42
# If DATASET is "demo", these values replace the values below, so that the eight scripts take
# minutes on a laptop. Each script prints the values that it uses. A file named in NEUROFACE_CONFIG
# overrides them. Other data sets ignore them.
DEMO: dict[str, object] = {
    "FRAMES_PER_TR": 8,
    "FRAME_PX": 32,
    "FRAME_CONTRAST": "none",
    "PARCELS": ((1, 10),),
    "VOXEL_SHARE": 0.6,
    "ENCODER_FILTERS": (8, 16, 8, 16),
    "DECODER_FILTERS": 16,
    "N_FOLDS": 2,
    "EPOCHS": 20,
    "LEARNING_RATE": 0.003,
    "N_SEEDS": 2,
    "N_SHIFTS": 500,
    "N_RIDGE_TRIES": 10,
    "N_RANDOM_SETS": 100,
    "LOCALIZER": ("faces", "places"),
    "PERTURBED_REGIONS": ("posterior fusiform", "anterior fusiform", "calcarine"),
    "EACH_PERSON": False,
    "N_JOBS": 2,
}

# ----------------------------------------------------------------------------------- 1-cut_film.py
# Frames that the encoder sees per TR, evenly spaced: 16, 32 or 64; any even number is possible.
FRAMES_PER_TR: int = 32
# Width and height of a frame in pixels; a multiple of 8. The film's own proportions are not kept.
FRAME_PX: int = 112
# "frame": each frame that the network sees is stretched to the full range from black to white, as
# published; features for ridge regression come from the frames as they are in the film. "none":
# brightness as in the film.
FRAME_CONTRAST: str = "frame"

# ------------------------------------------------------------------------------ 2-choose_voxels.py
# DENOISE also removes cosines below this frequency (here 1/128 Hz). None: only the trend.
HIGH_PASS_HZ: float | None = 0.0078125
# Width (FWHM, mm) of a Gaussian that smooths each volume before everything else. None: no
# smoothing.
SMOOTHING_MM: float | None = None
# "zscore": every voxel to mean 0, SD 1 over its run, before people are averaged. "none": as
# published.
STANDARDIZE: str = "zscore"
# Share of the voxels of PARCELS that is kept: those with the largest SNR. They are chosen anew in
# each fold, on its training volumes only. 1: all.
VOXEL_SHARE: float = 0.30
# Folds of the "film" split. With as many folds as films, each film is held out alone.
N_FOLDS: int = 4
# Which chunks choose the best epoch. "inner": the last INNER_SHARE of the training part of each
# film. "paper": every fifth chunk, whose neighbours are in training.
SELECTION: str = "inner"
# Chunks left free between training chunks and held-out chunks of the same film; at least the largest
# delay of "lags" and RIDGE_DELAYS_TRS. Publication: 0.
EMBARGO_TRS: int = 10

# ---------------------------------------------------------------------- 3-train_encoder_decoder.py
# What the decoder learns from. "predicted": the encoder's prediction, as published; measured BOLD
# is then never used. "measured": the BOLD itself; the decoder then does not regularise the encoder.
# "both": half of each, so that the decoder can be used on measured BOLD.
DECODER_INPUT: str = "both"
# Features of the perceptual distance: "scattering" (two layers of fixed Gabor wavelets; needs no
# file) or "vgg16" (five blocks, as published; needs PERCEPTUAL_WEIGHTS).
PERCEPTUAL: str = "scattering"
# Keras weights of VGG16 without its top: vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5.
PERCEPTUAL_WEIGHTS: str | None = None
# Passes over the training chunks; the epoch that is best on the inner set is kept. The name of the
# released model says 11.
EPOCHS: int = 11
# Chunks per gradient step.
BATCH_SIZE: int = 16
# Adam's step size.
LEARNING_RATE: float = 0.0001
# Trainings of the network and of "encoder" from different seeds, on the first of SPLITS. They
# measure how the decoder, as a regulariser, changes the encoder.
N_SEEDS: int = 1
# Networks trained beside the main one: "encoder" (no decoder), "lags 2" (no decoder; it also gets
# the 2 chunks before and after its own, the chunks of RIDGE_DELAYS_TRS below; any number up to
# EMBARGO_TRS), "all voxels", "frames 16", "frames 64" (any even number), "delay 3", "delay 5" (any
# number). For single people see SUBJECTS.
ABLATIONS: tuple[str, ...] = ("encoder", "lags 2")

# -------------------------------------------------------------------------- 4-score_predictions.py
# Features of the ridge regression that the encoder is compared with, one band of regularisation
# each: "motion energy" (Nishimoto et al. 2011), "frames" (14 × 14 pixels in colour).
RIDGE_FEATURES: tuple[str, ...] = ("motion energy", "frames")
# Delays of these features in volumes, relative to DELAY_TRS: +1 is the chunk before, -1 the chunk
# after; where stretches of a film are held out none may be larger than EMBARGO_TRS. With (0,) ridge
# regression sees the same chunk as the network, with (-2, -1, 0, 1, 2) those of the ablation "lags 2".
RIDGE_DELAYS_TRS: tuple[int, ...] = (-2, -1, 0, 1, 2)

# ------------------------------------------------------------------------------ 5-saliency_maps.py
# The split whose networks scripts 5 to 7 use.
EXPLAINED_SPLIT: str = "published"
# What the decoder is given in scripts 5 to 7: "measured" BOLD, or the "predicted" BOLD, as
# published.
DECODE_FROM: str = "measured"

# ---------------------------------------------------------------------------- 6-perturb_regions.py
# Regions to perturb. Each text stands for all regions whose name contains it: "fusiform" is the
# fusiform regions of both hemispheres.
PERTURBED_REGIONS: tuple[str, ...] = ("fusiform", "calcarine")
# What replaces a region's BOLD: "zero", "mean" (of the training set), "noise" (with the training
# set's mean and SD).
PERTURBATIONS: tuple[str, ...] = ("zero", "mean", "noise")
# What a perturbation should affect: <name> in the annotation task-<film>_<name>-annotation.1D in
# FILM_DIR.
THING: str = "face"
# Two kinds of pictures that are shown to the trained encoder, a virtual localizer: folders of
# LOCALIZER_DIR, e.g. ("faces", "places"). (): none.
LOCALIZER: tuple[str, ...] = ()
# None: localizer/ in DATASET_DIR.
LOCALIZER_DIR: str | None = None

# ------------------------------------------------------------------------------------ 7-figures.py
# Seconds of the held-out film that the clip shows.
CLIP_S: tuple[float, float] = (0.0, 60.0)

# ------------------------------------------------------------------------- 8-fit_feature_spaces.py
# Folder of your own feature spaces: <space>/<film>.npy (n_samples, n_features) with the clock in
# <film>.json, or <film>.tsv with a column time_s. None: features/ in DATASET_DIR.
FEATURE_DIR: str | None = None
# "delays": a weight for each delay of RIDGE_DELAYS_TRS (a free response). "hrf": features pass
# through the canonical haemodynamic response; fewer weights, for short data. "one delay": each voxel
# gets the one delay of RIDGE_DELAYS_TRS that is best within the training films. "shifted hrf": the
# canonical response, moved by the best of RIDGE_DELAYS_TRS (+1: a volume later). Both search as many
# models as there are delays.
FEATURE_RESPONSE: str = "delays"
# True: every person is fitted too, and regions have statistics over people. False: only the mean
# over people.
EACH_PERSON: bool = True

# -------------------------------------------------------- this machine; not part of the experiment
# Address of a Dask scheduler, e.g. "tcp://10.0.0.1:8786". Its workers do the units instead of
# N_JOBS processes. None: this machine.
DASK_SCHEDULER: str | None = None
# Chunks per pass through a trained network.
INFERENCE_BATCH: int = 16
