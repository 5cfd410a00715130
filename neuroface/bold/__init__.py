"""From BOLD to windows: data sets, masks, regions, annotations, standardisation, windows.

Code belongs here if it reads or cuts BOLD or annotations, and does not use models. This room
imports ``pipeline``. ``film``, the rooms after it and the scripts may import it. To add an
annotation format, write a reader in ``annotations.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
