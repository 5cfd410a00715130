"""Settings that every study of BOLD series has, with their limits, and the argument that is made of them."""

from pathlib import Path
from typing import Annotated

from neuroface.bold.denoising import (
    Denoise,
    Denoising,
    HighPassHz,
    SmoothingMm,
    complete_denoise,
)
from neuroface.bold.film_event import check_film_event
from neuroface.bold.surfaces import LEFT, RIGHT, files_of_surface
from neuroface.pipeline import StudySettings

from pydantic import Field, model_validator


class BoldSettings(StudySettings):
    """Settings of a study that reads BOLD series: whose they are, their clock, what is removed from them."""

    EXCLUDE: tuple[str, ...]
    INCLUDE: tuple[str, ...]
    RAW_DIR: str | None
    TR_S: Annotated[float, Field(gt=0, le=30)]
    BIDS_FILTER: str
    FILM_EVENT: tuple[str, str] | str | float | None
    DENOISE: Denoise
    HIGH_PASS_HZ: HighPassHz
    SMOOTHING_MM: SmoothingMm

    @classmethod
    def complete(cls, values: dict) -> dict:
        """Checked values, with the strategy of ``DENOISE`` written out."""
        return complete_denoise(values)

    @classmethod
    def files_with(cls, file: Path) -> tuple[Path, ...]:
        """The file that a setting names; of a GIFTI file those of both hemispheres."""
        return files_of_surface(file)

    @model_validator(mode="after")
    def _name_the_left_hemisphere(self):
        if RIGHT in self.BIDS_FILTER:
            raise ValueError(
                f"BIDS_FILTER = {self.BIDS_FILTER!r} names the right hemisphere, and a run is read from both, the left one "
                f'first. Write {self.BIDS_FILTER.replace(RIGHT, LEFT)!r}, or leave "{RIGHT}" out'
            )
        return self

    @model_validator(mode="after")
    def _know_the_film_event(self):
        check_film_event(self.FILM_EVENT)
        return self


def denoising_of(cfg: BoldSettings) -> Denoising:
    """What is removed from every run."""
    return Denoising(cfg.DENOISE, cfg.HIGH_PASS_HZ, cfg.SMOOTHING_MM, cfg.TR_S)
