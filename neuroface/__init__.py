"""What two scripts must agree on, or what a formula can prove."""

__version__ = "0.1.0"


class NeuroFaceError(Exception):
    """A problem with data or settings: says what is wrong, where, and what to do next."""
