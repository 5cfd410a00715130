"""From windows to decisions: folds, networks, training, linear models, scores, intervals and nulls.

Code belongs here if it trains a model, or says how good its predictions are. This room imports
``pipeline`` and ``bold``; ``attribution``, ``maps``, ``timeline``, ``face_study`` and the scripts
may import it. To add an architecture, write a function and name it in ``architectures.py``; to add
a score of predictions, add a line to ``metrics.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
