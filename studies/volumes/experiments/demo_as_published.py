"""The demo data with the published procedure: the effect of its clock, missing delay and standardisation on the numbers.

Labels drive known regions, so the numbers can be compared with those of the default settings
(README.md).
"""

RUN_NAME = "volumes-demo-published"
FILM_CLOCK = "cumulated"
LAG_S = 0.0
STANDARDIZE = "volume"
SELECTION = "published"
HELD_OUT_SPLIT = "volume"
MIN_PROBABILITY = 0.75
BALANCE = "moments"
MAP_METHODS = ("occlusion-zero",)
MODELS = ("separable_cnn3d",)
