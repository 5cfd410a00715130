"""Films: frames and sound on the film's clock, faces, what else the eye and the ear get, and regressors made of it.

Code belongs here if it reads a film file, or what was found in one, and knows nothing of models.
This room imports ``pipeline`` and ``bold``; the rooms after it and the scripts may import it. What
decodes films comes with the extra "film" of ``pyproject.toml`` and is imported when it is used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
