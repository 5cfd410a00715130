"""Which voxels, at which volume, a decision is based on; and checks of the attribution methods.

Code belongs here if it explains a trained model. This room imports ``pipeline``, ``bold`` and
``decoding``; ``maps``, ``timeline`` and the scripts may import it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
