"""Maps of people and of the group: tests, the GLM, regions, surfaces, figures.

Code belongs here if it works on maps in the brain's space. This room imports ``pipeline``,
``bold``, ``film``, ``decoding`` and ``attribution``; the scripts may import it. A new statistic
across people belongs in ``group.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
