"""How any script runs: settings, stages, stamps, files, worker processes, the log and the report.

Code belongs here if a script of any study needs it and it is not about brains. This room imports no
other room; every room and every script may import it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
