"""The demo with five trainings from different seeds: they measure the effect of the decoder on the encoder.

Scripts 1 to 4 suffice: 4-scores/regulariser.json and the table in the report.
"""

RUN_NAME = "film-demo-five-seeds"
N_SEEDS = 5
