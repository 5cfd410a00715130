"""A page on which a person corrects an annotation: a strip of pictures per stretch, the doubtful ones first."""

import base64
from collections.abc import Callable
from pathlib import Path

from neuroface.pipeline import atomic

import jinja2
import numpy as np

TEMPLATE = Path(__file__).with_name("correction_page.html.j2")
PICTURES = 4  # per stretch


def write_correction_page(
    target: Path,
    run: str,
    event: str,
    stretches: list[tuple[bool, float, float, float]],
    length_s: float,
    rate_hz: float,
    picture_samples: np.ndarray,
    picture_of: Callable[[int], bytes],
    boxes_of: Callable[[int], list[tuple[bool, float, float, float, float]]],
    place_of: Callable[[float], str],
) -> None:
    """Write one HTML file that needs neither a server nor a network.

    Parameters
    ----------
    run : such as "task-split". event : what the annotation is of; the page offers
    ``<run>_<event>-annotation.1D``.
    stretches : (whether the event is on, onset_s, duration_s, doubt) of all stretches, in the order
        of the film and without gaps between those that touch.
    picture_samples : (n,) samples of the run that have a picture, ascending. picture_of : sample →
    WebP.
    boxes_of : sample → (whether it counts as a face, left, top, width, height as shares of the
    picture's) of each candidate.
    place_of : second of the run → where that is in a film file, in words; empty where it is the same.
    """
    items = [
        {
            "number": number,
            "on": bool(on),
            "onset": onset,
            "duration": duration,
            "doubt": float(doubt),
            "place": place_of(onset),
            "pictures": [
                (
                    sample / rate_hz,
                    base64.b64encode(picture_of(sample)).decode(),
                    boxes_of(sample),
                )
                for sample in pictures_between(
                    picture_samples, onset * rate_hz, (onset + duration) * rate_hz
                )
            ],
        }
        for number, (on, onset, duration, doubt) in enumerate(stretches)
    ]
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.filters["clock"] = clock
    page = environment.from_string(TEMPLATE.read_text()).render(
        run=run, event=event, length=length_s, items=sorted(items, key=lambda item: -item["doubt"])
    )
    with atomic(target) as partial:
        partial.write_text(page)


def pictures_between(samples: np.ndarray, first: float, last: float) -> list[int]:
    """Up to :data:`PICTURES` of the ascending ``samples`` from ``first`` to before ``last``; else the one before."""
    low, high = np.searchsorted(samples, [first - 1e-6, last - 1e-6])
    if low == high:
        return [int(samples[low - 1])] if low else []
    chosen = np.unique(np.linspace(low, high - 1, min(PICTURES, high - low)).round().astype(int))
    return [int(sample) for sample in samples[chosen]]


def clock(seconds: float) -> str:
    """h:mm:ss.s."""
    tenths = round(seconds * 10)
    return f"{tenths // 36000}:{tenths // 600 % 60:02}:{tenths // 10 % 60:02}.{tenths % 10}"
