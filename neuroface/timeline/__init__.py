"""Predictions for every volume of a run, on the time axis of the film; live runs; their scores and figures.

Code belongs here if it predicts or scores whole runs. This room imports ``pipeline``, ``bold`` and
``decoding``; only the scripts import it. To add a score of timelines, write it in ``scores.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
