"""Choices of an experiment: first those of every new data set, then further ones, by script.

Edit this file, or keep one small file of differences per experiment and name it:
``NEUROFACE_CONFIG=experiments/nsd.py python 1-load_betas.py``.
Values are the publication's unless the comment says otherwise. Only constants live here.

11 fine settings have a default and are not here: docs/settings.md lists them. Set them like the
others, here or in an experiment file.
"""

# -------------------------------------------------------------------------- for every new data set
# Which data: "demo" (synthetic, written on first use), "nsd" (Natural Scenes Dataset), "things"
# (THINGS-fMRI), or "table" (anybody's data in plain tables; README.md describes them).
DATASET: str = "demo"
# Folder of the data set, relative to this file or absolute. The demo is written here.
DATASET_DIR: str = "../../data/images-demo-dataset"
# Results go to data/<RUN_NAME>/. With a new name all scripts start from the beginning; other
# results do not change.
RUN_NAME: str = "images-demo"
# Folder that holds the results of all runs.
DATA_DIR: str = "../../data"
# Folder with the weights of Stable Diffusion v1 in diffusers' layout, safetensors only. With
# DRAW = False an autoencoder is enough: the folder vae/ of SDXL, unCLIP or Flux, or a tiny
# autoencoder (TAESD). None: the demo's own small generator if DATASET is "demo"; other data sets
# need a folder.
MODEL_DIR: str | None = None
# Folder with weights for more scores, safetensors only; README.md lists them. None: scores that
# need them are left out.
SCORES_DIR: str | None = None
# The person: "subj01" … "subj08" (NSD), "sub-01" … "sub-03" (THINGS), a value of the column subject
# (tables). Not used with tables that have no such column.
SUBJECT: str = "subj01"
# Other people of the data set, whose training trials the decoder "shared" also learns from, e.g.
# ("subj02", "subj05"). Their trials of SUBJECT's test images are not used. Not in the publication.
OTHER_SUBJECTS: tuple[str, ...] = ()
# NSD only: sessions to read; () means all that are there. The publication: 1 to 37. There are 40
# (subj01, 02, 05, 07), 32 (subj03, 06) or 30 (subj04, 08).
SESSIONS: tuple[int, ...] = ()
# Regions whose voxels are decoded to image latents. NSD: atlas:label; THINGS: columns of
# VoxelMetadata.csv; tables: values in the column roi.
EARLY_ROIS: tuple[str, ...] = ("HCP_MMP1:V1", "HCP_MMP1:V2", "HCP_MMP1:V3", "HCP_MMP1:V4")
# Regions whose voxels are decoded to text embeddings.
HIGHER_ROIS: tuple[str, ...] = ("streams:ventral",)
# Nodes of the GCN: the early regions of each node, without the atlas. Names that EARLY_ROIS lacks
# are ignored.
GCN_NODES: tuple[tuple[str, ...], ...] = (("V1",), ("V2",), ("V3", "V4", "hV4"))
# THINGS only: a NIfTI file on the grid of the voxel indices, e.g. the brain mask, for the maps.
# None: no maps.
SPACE_FILE: str | None = None
# Pictures are encoded at this size. 8 pixels are one latent of Stable Diffusion; 4 pixels are one
# latent of the demo's small generator.
ENCODE_PIXELS: int = 320
# Decoders of image latents: "ridge", "cnn", "vae", "gcn", "mlp", and "shared", ridge regression that
# also learns from OTHER_SUBJECTS.
IMAGE_DECODERS: tuple[str, ...] = ("ridge", "cnn", "vae", "gcn", "mlp")
# Decoders of text embeddings: "ridge", "cnn", "shared"; () if nothing is drawn and there is no text encoder.
TEXT_DECODERS: tuple[str, ...] = ("ridge", "cnn")
# Whether pictures are drawn. False: the decoded latents go through the autoencoder, and these
# pictures are scored.
DRAW: bool = True
# The decoders (of IMAGE_DECODERS and TEXT_DECODERS) whose latents are drawn and explained.
IMAGE_DECODER: str = "gcn"
TEXT_DECODER: str = "cnn"
# Pictures are drawn at this size.
DRAW_PIXELS: int = 512
# Columns of the data set's attributes that the attributions are also made for, e.g. ("colour",).
# Not in the publication.
ATTRIBUTES: tuple[str, ...] = ()
# "auto": the GPU if PyTorch sees one. "cpu", "cuda", "mps".
DEVICE: str = "auto"
# Units of work done at the same time: sessions, decoders, images. On one GPU leave it at 1.
N_JOBS: int = 1

# =================================================================================================
# Further settings, by the scripts that use them.

# ------------------------------------------------------------------------------------- all scripts
# Seed of every random draw: inner sets, initial weights, noise of the drawings, bootstrap.
SEED: int = 42
# If DATASET is "demo", these values replace the values below, so that the seven scripts take
# minutes on a laptop.
DEMO: dict[str, object] = {
    "EARLY_ROIS": ("V1", "V2", "V3", "V4"),
    "HIGHER_ROIS": ("LO", "VO", "PPA"),
    "SPLIT": "kinds",
    "N_KINDS": 100,
    "HELD_OUT_KINDS": 20,
    "ENCODE_PIXELS": 32,
    "DRAW_PIXELS": 32,
    "DECODER_OPTIONS": {
        "image:cnn": {
            "channels": 4,
            "kernel": 5,
            "dense": (256, 256),
            "batch_size": 64,
            "learning_rate": 0.001,
        },
        "image:vae": {
            "encoder": (256, 128),
            "decoder": 256,
            "batch_size": 64,
            "learning_rate": 0.001,
        },
        "image:gcn": {"width": 128, "dense": 256, "channels": 4},
        "image:mlp": {"dense": (256, 256), "batch_size": 64, "learning_rate": 0.001},
        "text:cnn": {
            "channels": 4,
            "kernel": 5,
            "dense": (128, 256),
            "batch_size": 64,
            "learning_rate": 0.001,
        },
    },
    "CLIP_DECODERS": ("ridge",),
    "EPOCHS": 20,
    "N_DRAWS": 3,
    "SCORE_PIXELS": 32,
    "N_BOOTSTRAP": 1000,
    "ATTRIBUTES": ("colour", "shape"),
    "IG_STEPS": 16,
    "N_JOBS": 2,
    "INFERENCE_BATCH": 32,
}

# --------------------------------------------------------------------------------- 1-load_betas.py
# How many training trials of SUBJECT are used, the first of the data set, e.g. 750, an hour of NSD.
# Other people keep all. None: all.
TRAINING_TRIALS: int | None = None
# Which images test the decoders. "given": those that the data set says. "kinds": the images are
# sorted into N_KINDS clusters of the text embeddings of their captions, and all images of
# HELD_OUT_KINDS clusters are tested, so that no picture of their kind was seen in training. The
# publication: "given".
SPLIT: str = "given"
# Clusters of images with SPLIT = "kinds", e.g. 40 or 100.
N_KINDS: int = 40
# How many of them are held out, drawn with SEED.
HELD_OUT_KINDS: int = 8
# "session": every voxel to mean 0, SD 1 over the training trials of each session, because its level
# differs between sessions. "voxel": the same over all sessions together. "global": one mean and SD
# for all early voxels and one for all higher voxels; the test set has its own, as in the
# publication.
STANDARDIZE: str = "session"
# Voxels whose signal-to-noise ratio over repeated training images (NSD's ncsnr) is lower are left
# out, e.g. 0.2. It needs training images with several trials. 0: none. The publication: 0.
MIN_NCSNR: float = 0.0

# ------------------------------------------------------------------------------- 2-embed_images.py
# "mean": the mean of the autoencoder's posterior. "sample": a seeded draw from it, as in the
# publication.
LATENTS: str = "mean"

# ----------------------------------------------------------------------------- 3-decode_latents.py
# Decoders of CLIP embeddings of the pictures, from the higher regions: "ridge", "shared"; () for none.
# They need clip_vision/ in MODEL_DIR or SCORES_DIR, and serve retrieval. Not in the publication.
CLIP_DECODERS: tuple[str, ...] = ()
# Sizes and step sizes, if you do not want those published for NSD (seen_images/networks.py), e.g.
# {"image:cnn": {"channels": 16}}.
DECODER_OPTIONS: dict[str, dict[str, object]] = {}
# Ridge penalties to choose from, per target, by inner folds. The publication's (1e-6 to 1) are too
# small for standardised voxels: its ridge does worse than the mean of the training latents.
ALPHAS: tuple[float, ...] = (1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6)
# Inner folds of ridge; images are never in two folds.
N_FOLDS: int = 5
# Where a network's epoch is chosen. "inner": on INNER_SHARE of the training images. "paper": on the
# test set itself, as in the publication, which flatters the result and is marked as such.
SELECTION: str = "inner"
# Passes over the training trials, at most.
EPOCHS: int = 100

# -------------------------------------------------------------------------------- 4-draw_images.py
# Noise that is added to the decoded latents before drawing: 0 none, 1 pure noise.
STRENGTH: float = 0.8
# Scale of classifier-free guidance.
GUIDANCE: float = 5.0
# Drawings of each test image, each from its own noise.
N_DRAWS: int = 5
# What is drawn in addition to "decoded" (latents and text): "text" alone, "latents" alone.
ALSO_DRAW: tuple[str, ...] = ("text", "latents")

# ------------------------------------------------------------------------------- 5-score_images.py
# Size at which pixel correlation and SSIM compare pictures. 425 is common in the field (MindEye,
# MindEye2). NSD and THINGS are also scored by the publication's definition: 512 pixels and another
# window of SSIM.
SCORE_PIXELS: int = 425
# How features of several drawings are scored: "each" (mean of the scores), "mean" (score of the
# mean, as in the publication; the scores are better, but no picture has these features).
DRAWINGS: str = "each"
# Retrieval: number of test pictures among which the seen picture is searched.
RETRIEVAL_N: int = 50

# -------------------------------------------------------- this machine; not part of the experiment
# Numeric precision of the generator. "auto": float16 with CUDA, else float32. Set "float32" if a
# script says that the generator made values that are not finite.
PRECISION: str = "auto"
# Address of a Dask scheduler, e.g. "tcp://10.0.0.1:8786". Its workers do the units instead of
# N_JOBS processes. None: this machine.
DASK_SCHEDULER: str | None = None
# Pictures, trials or paths per pass through a network. Lower it if memory runs out.
INFERENCE_BATCH: int = 16
