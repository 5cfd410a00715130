"""What two scripts must agree on, or what a formula can prove."""

__version__ = "0.1.0"


class NeuroFaceError(Exception):
    """A problem with data or settings, in one line: what is wrong, where, and what to do next."""

    def __init__(self, message: str):
        super().__init__(" ".join(line.strip() for line in message.splitlines()))  # libraries quoted in it break lines
