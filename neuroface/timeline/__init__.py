"""Predictions for every volume of a run, on the time axis of the film; live runs; their scores and figures.

Code belongs here if it predicts or scores whole runs. This room imports ``pipeline``, ``bold`` and
``decoding``; only ``face_study`` and the scripts may import it. To add a score of timelines, write
it in ``scores.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "clock": ["known", "on_every_tr", "smoothed", "timeline"],
        "files": ["is_predicted", "read_timeline", "write_timeline"],
        "follow": ["LivePrediction", "film_begins_s", "follow_volumes", "live_line"],
        "models": ["choose_models", "live_text", "run_of_folder"],
        "report": ["describe", "draw"],
        "scores": ["curves_of", "score_run", "summarize"],
        "sliding": ["predictor_of_models", "slide", "sliding_predictor"],
    },
)
