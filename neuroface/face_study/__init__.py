"""The parts that are specific to the face study: its stages, settings, methods text, check of the data set and demo.

Code belongs here if the eight scripts at the top need it, a test should cover it, and no other
study could use it. This room imports all rooms but ``maps`` and ``timeline``; the scripts
at the top and benchmarks import it. Another study declares the same in the ``study.py`` of its package.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
