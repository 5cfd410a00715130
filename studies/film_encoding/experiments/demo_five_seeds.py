"""The demo with five trainings from different seeds: what the decoder does to the encoder, measured over them.

Scripts 1 to 4 suffice: 4-scores/regulariser.json and the table in the report.
"""

RUN_NAME = "film-demo-five-seeds"
N_SEEDS = 5
