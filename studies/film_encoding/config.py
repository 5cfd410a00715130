"""Every choice of an experiment, in the order of the scripts that read it.

Edit this file, or keep one small file of differences per experiment and name it:
``NEUROFACE_CONFIG=experiments/emofilm.py python 1-cut_film.py``.
Values are the publication's (David et al. 2025) unless the comment says otherwise. Only constants
live here.
"""

# ---------------------------------------------------------------- the study
# Which data: "demo" (synthetic, written on first use) or "bids" (a folder with
# sub-*/**/func/*_task-<film>_*bold.nii.gz).
DATASET: str = "demo"
# Folder of the data set, relative to this file or absolute. The demo is written here.
DATASET_DIR: str = "../../data/film-demo-dataset"
# Results go to data/<RUN_NAME>/. A new name starts afresh and leaves other results alone.
RUN_NAME: str = "film-demo"
# Seed of every random draw: initial weights, dropout, order of chunks, nulls.
SEED: int = 42
# People left out on purpose, e.g. ("sub-S12", "sub-S18"). They are listed in the report.
EXCLUDE: tuple[str, ...] = ()
# The only people to use, e.g. ("sub-01",). (): all.
INCLUDE: tuple[str, ...] = ()
# Folder of the raw data set, for events, sidecars and lengths of raw runs, where DATASET_DIR is a
# derivative. None: it is looked for inside, above and beside DATASET_DIR.
RAW_DIR: str | None = None
# While DATASET is "demo" these replace the values below, so that the seven scripts take minutes on
# a laptop. Each script prints its own. A file named in NEUROFACE_CONFIG wins over them. Other data
# sets never see them.
DEMO: dict[str, object] = {
    "FRAMES_PER_TR": 8,
    "FRAME_PX": 32,
    "FRAME_CONTRAST": "none",
    "PARCELS": ((1, 8),),
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
    "N_JOBS": 2,
}

# ---------------------------------------------------------------- 1-cut_film.py
# Folder of the films, <film>.mp4 or any other suffix that FFmpeg reads. None: stimuli/ in
# DATASET_DIR.
FILM_DIR: str | None = None
# Films to use, named as the tasks of the BOLD files. (): all that have BOLD and a film file.
FILMS: tuple[str, ...] = ()
# Seconds between two volumes. A BOLD header that disagrees stops script 2. Emo-FilM: 1.3.
TR_S: float = 1.3
# Frames that the encoder sees per TR, evenly spaced: 16, 32 or 64; any even number is possible.
FRAMES_PER_TR: int = 32
# Width and height of a frame in pixels; a multiple of 8. The film's own proportions are not kept.
FRAME_PX: int = 112
# "frame": each frame that the network sees is stretched to the full range from black to white, as
# published; features for ridge regression are of the frames as they are in the film. "none":
# brightness as in the film.
FRAME_CONTRAST: str = "frame"

# ---------------------------------------------------------------- 2-choose_voxels.py
# BIDS only: text that the BOLD file's name must contain where several versions exist, e.g.
# "space-MNI152NLin2009cAsym".
BIDS_FILTER: str = ""
# What says when a run shows its film, and for how long: "film", the trial_type in the run's
# events.tsv; ("film", "task-scan_acq-{task}_events.tsv"), in a table of that name (Emo-FilM); 8.0,
# that second of every run. None: films begin with their runs; if a run is much longer than its
# film, script 1 stops.
FILM_EVENT: tuple[str, str] | str | float | None = "film"
# A parcellation (NIfTI of whole numbers) on the grid of the BOLD. None: atlas.nii.gz in
# DATASET_DIR. Publication: Schaefer 2018, 1,000 parcels, 17 networks (Kong 2022 order), 2 mm.
ATLAS_FILE: str | None = None
# Ranges of its labels, both ends included, that hold the voxels to choose from: here the visual
# parcels of that atlas.
PARCELS: tuple[tuple[int, int], ...] = ((420, 450), (478, 500), (910, 940), (976, 1000))
# Noise taken from each run first (../../docs/cleaning.md). "auto": "detrend", unless the series
# state that they were filtered, as Emo-FilM's. "detrend": a linear trend and the drifts of
# HIGH_PASS_HZ. "simple", "scrubbing", "compcor", "ica_aroma": these, and nilearn's choice of
# fMRIPrep's confounds; or columns, e.g. ("trans_*", "rot_*", "csf"). "none".
DENOISE: str | tuple[str, ...] = "auto"
# DENOISE also removes cosines below this many Hz (here 1/128); None: only the trend.
HIGH_PASS_HZ: float | None = 0.0078125
# Width (FWHM, mm) of a Gaussian that smooths volumes first; None: none.
SMOOTHING_MM: float | None = None
# "zscore": every voxel to mean 0, SD 1 over its run, before people are averaged. "none": as
# published.
STANDARDIZE: str = "zscore"
# Share of those voxels that is kept: the ones with the largest SNR, chosen anew in each fold, on
# its training volumes only. 1: all.
VOXEL_SHARE: float = 0.30
# Whose BOLD: "mean" (over all people) or people, e.g. ("mean", "sub-S01"). The first is explained
# in scripts 5 to 7; each is trained and scored.
SUBJECTS: tuple[str, ...] = ("mean",)
# Volumes from the start of a chunk to the volume that it predicts: the haemodynamic delay.
# Publication: 4 (5.2 s).
DELAY_TRS: int = 4
# What is kept out of training: "published" (the last part of each film, and HELD_OUT_FILM whole),
# "film" (whole films, in folds).
SPLITS: tuple[str, ...] = ("published", "film")
# The film that the published split never trains on. None: the last one in alphabetical order.
# Publication: YouAgain.
HELD_OUT_FILM: str | None = None
# The last share of every other film that the published split keeps out.
TEST_SHARE: float = 0.2
# Folds of the "film" split; as many as films: leave one film out.
N_FOLDS: int = 4
# Where the best epoch is chosen. "inner": the last INNER_SHARE of the training part of each film.
# "paper": every fifth chunk, whose neighbours are in training.
SELECTION: str = "inner"
INNER_SHARE: float = 0.15
# Chunks kept free between training and what is held out in the same film. Publication: 0.
EMBARGO_TRS: int = 10

# ---------------------------------------------------------------- 3-train_encoder_decoder.py
# Filters of the encoder: 3D convolution in space, 3D convolution in time, the convolution of each
# time step, the joined one.
ENCODER_FILTERS: tuple[int, int, int, int] = (32, 256, 128, 64)
# Filters of the decoder's convolutions.
DECODER_FILTERS: int = 48
# Share of the encoder's features that dropout removes.
DROPOUT: float = 0.5
# What the decoder learns from. "predicted": the encoder's prediction, as published; no measured
# BOLD ever enters it. "measured": the BOLD itself; then it is no regulariser of the encoder.
# "both": half of each, so that it can be used on measured BOLD.
DECODER_INPUT: str = "both"
# w: weight of the encoder's loss; 1 − w is that of the decoder.
ENCODER_WEIGHT: float = 0.5
# Encoder's loss: MSE_WEIGHT · mean squared error + COSINE_WEIGHT · (1 − cosine of predicted and
# measured pattern). The released code divides the mean squared error once more by the number of
# voxels; to repeat it, set 1 / 4609.
MSE_WEIGHT: float = 1.0
COSINE_WEIGHT: float = 0.5
# Decoder's loss: weights of the perceptual distance, of 1 − SSIM, and of the total variation.
IMAGE_WEIGHTS: tuple[float, float, float] = (0.35, 0.35, 0.30)
# Features of the perceptual distance: "scattering" (two layers of fixed Gabor wavelets; needs no
# file) or "vgg16" (five blocks, as published; needs PERCEPTUAL_WEIGHTS).
PERCEPTUAL: str = "scattering"
# Keras weights of VGG16 without its top: vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5.
PERCEPTUAL_WEIGHTS: str | None = None
# Passes over the training chunks; the best one on the inner set is kept. The released model's name
# says 11.
EPOCHS: int = 11
# Chunks per gradient step.
BATCH_SIZE: int = 16
# Adam's step size.
LEARNING_RATE: float = 0.0001
# Trainings of the network and of "encoder" from different seeds, on the first of SPLITS. The effect
# of the decoder as a regulariser is measured over them.
N_SEEDS: int = 1
# Networks beside the main one: "encoder" (no decoder), "all voxels", "frames 16", "frames 64" (any
# even number), "delay 3", "delay 5" (any number). Each changes one thing. People: see SUBJECTS.
ABLATIONS: tuple[str, ...] = ("encoder",)

# ---------------------------------------------------------------- 4-score_predictions.py
# Different circular shifts of the predictions against the measurements: the null of every
# correlation. Short test sets have fewer; then all of them are used, and the smallest possible p is
# larger.
N_SHIFTS: int = 1000
# The same for SSIM, which takes longer.
N_IMAGE_SHIFTS: int = 20
# The smallest shift, in seconds: beyond the reach of the haemodynamic response.
MIN_SHIFT_S: float = 30.0
# Intervals leave out blocks of time of this length, in seconds, one after another.
BLOCK_S: float = 26.0
# Identification: the moment that was seen is among the k best of all moments of the test set.
TOP_K: tuple[int, ...] = (1, 5)
# Voxels whose reliability (signal / all variance of the mean over people) is below this get no r /
# ceiling.
MIN_RELIABILITY: float = 0.05
# Features of the ridge regression that the encoder is compared with, one band of regularisation
# each: "motion energy" (Nishimoto et al. 2011), "frames" (14 × 14 pixels in colour).
RIDGE_FEATURES: tuple[str, ...] = ("motion energy", "frames")
# Delays of these features in volumes, relative to DELAY_TRS: 0 alone sees what the network sees.
RIDGE_DELAYS_TRS: tuple[int, ...] = (-2, -1, 0, 1, 2)
# Random weightings of the bands that are tried.
N_RIDGE_TRIES: int = 20
# Principal components of the frames that the ridge regression from voxels predicts.
N_COMPONENTS: int = 100

# ---------------------------------------------------------------- 5-saliency_maps.py
# The split whose networks scripts 5 to 7 use.
EXPLAINED_SPLIT: str = "published"
# What the decoder is given in scripts 5 to 7: "measured" BOLD, or the "predicted" BOLD, as
# published.
DECODE_FROM: str = "measured"
# Steps of Integrated Gradients (midpoint rule, from the mean of the training set to the volume).
IG_STEPS: int = 32
# The share of voxels with the largest saliency that is counted per region.
TOP_SHARE: float = 0.20
# Named regions (NIfTI of whole numbers, on the grid of the BOLD), e.g. AAL; None: ATLAS_FILE.
REGIONS_FILE: str | None = None
# Table with the columns index and name; equal names are one region. None: atlas.tsv in DATASET_DIR.
REGIONS_TABLE: str | None = None
# Random regions of the same size that each region is compared with.
N_RANDOM_REGIONS: int = 1000

# ---------------------------------------------------------------- 6-perturb_regions.py
# Regions to perturb, each all regions whose name contains the text: both hemispheres of "fusiform".
PERTURBED_REGIONS: tuple[str, ...] = ("fusiform", "calcarine")
# What replaces a region's BOLD: "zero", "mean" (of the training set), "noise" (with the training
# set's mean and SD).
PERTURBATIONS: tuple[str, ...] = ("zero", "mean", "noise")
# Random sets of as many voxels, and random exchanges of the labels of stretches of film.
N_RANDOM_SETS: int = 500
# What should suffer: the name of the annotation task-<film>_<name>-annotation.1D in FILM_DIR.
THING: str = "face"
# Labels of pixels, <film>_things.npz in FILM_DIR (times_s (n,), labels (n, px, px): 1 is THING,
# above 1 other things), where they are there. Without them whole frames are scored.
USE_PIXEL_LABELS: bool = True
# Concept activation vectors: "edges" and "motion" (the chunks that have most and least of them),
# "faces" (THING).
CONCEPTS: tuple[str, ...] = ("edges", "motion", "faces")
N_RANDOM_CONCEPTS: int = 200

# ---------------------------------------------------------------- 7-figures.py
# Moments in the strip of originals and reconstructions.
N_STRIP: int = 12
# Seconds of the held-out film that the clip shows.
CLIP_S: tuple[float, float] = (0.0, 60.0)

# ---------------------------------------------------------------- this machine (not part of the
# experiment) Folder that holds the results of all runs.
DATA_DIR: str = "../../data"
# Units of work done at the same time: films, people, trainings. On one GPU, or at full size on a
# CPU, leave it at 1 in script 3.
N_JOBS: int = 1
# Address of a Dask scheduler, e.g. "tcp://10.0.0.1:8786"; None: this machine.
DASK_SCHEDULER: str | None = None
# Chunks per pass through a trained network.
INFERENCE_BATCH: int = 16
