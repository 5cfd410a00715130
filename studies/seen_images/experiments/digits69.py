"""100 handwritten sixes and nines, seen by one person (van Gerven et al. 2010), through a tiny autoencoder.

Write the tables with ``python -m seen_images.digits69`` and edit the paths. MODEL_DIR holds an autoencoder alone,
so nothing is drawn: the decoded latents go through it.
"""

DATASET = "table"
DATASET_DIR = "/path/to/digits69-tables"
RUN_NAME = "digits69"
MODEL_DIR = "/path/to/taef2"  # taef2_encoder.pth and taef2_decoder.pth
DRAW = False
EARLY_ROIS = ("V1-V3",)
HIGHER_ROIS = ()
TEXT_DECODERS = ()
GCN_NODES = (("V1-V3",),)
STANDARDIZE = "voxel"
IMAGE_DECODERS = ("ridge", "cnn", "mlp")
IMAGE_DECODER = "ridge"
DECODER_OPTIONS = {
    "image:cnn": {"channels": 4, "kernel": 5, "dense": (128, 128), "batch_size": 16},
    "image:mlp": {"dense": (128, 128), "batch_size": 16},
}
ENCODE_PIXELS = 32
DRAW_PIXELS = 32
SCORE_PIXELS = 32
ATTRIBUTES = ("digit",)
RETRIEVAL_N = 5
