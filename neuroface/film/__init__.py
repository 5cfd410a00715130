"""Films: frames and sound on the film's clock, faces, other visual and auditory features, and regressors made of them.

Code belongs here if it reads a film file, or what was found in one, and knows nothing of models.
This room imports ``pipeline`` and ``bold``; the rooms after it and the scripts may import it. The
libraries that decode films are in the extra "film" of ``pyproject.toml``; they are imported when
they are used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
