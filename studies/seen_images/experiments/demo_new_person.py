"""The demo with four people: the first has a hundred training trials, the others help to decode them."""

RUN_NAME = "images-demo-new-person"
DATASET_DIR = "../../data/images-demo-people-dataset"
SUBJECT = "sub-01"
OTHER_SUBJECTS = ("sub-02", "sub-03", "sub-04")
TRAINING_TRIALS = 100
IMAGE_DECODERS = ("ridge", "shared")
TEXT_DECODERS = ("ridge", "shared")
CLIP_DECODERS = ("ridge", "shared")
IMAGE_DECODER = "shared"
TEXT_DECODER = "shared"
