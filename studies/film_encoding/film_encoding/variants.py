"""Networks that are trained on the same folds: the main one, its ablations, and single people."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

MAIN = "network"
ENCODER = "encoder"
LAGS = "lags-"  # begins the names of networks that get chunks of several delays


@dataclass(frozen=True)
class Variant:
    """One way to train. ``name`` is its folder's name.

    ``lags``: delays of the chunks that it gets, relative to ``delay_trs``, in order; (0,) is one chunk.
    """

    name: str
    frames_per_tr: int
    delay_trs: int
    subject: str = "mean"
    has_decoder: bool = True
    all_voxels: bool = False
    lags: tuple[int, ...] = (0,)

    @property
    def is_lagged(self) -> bool:
        return len(self.lags) > 1


def reach_of(delays: Iterable[int]) -> int:
    """How many chunks before or after its own a model with these delays (TRs) sees at most."""
    return max(abs(delay) for delay in delays)


def lagged_variants(cfg) -> list[Variant]:
    """Networks that get chunks of several delays."""
    return [variant for variant in variants_of(cfg).values() if variant.is_lagged]


def parse_ablation(text: str, frames_per_tr: int, delay_trs: int) -> Variant:
    """The variant that an entry of ABLATIONS asks for; everything else is as in the main network.

    Raises
    ------
    ValueError
        If it asks for nothing that there is, or for what the main network does already.
    """
    main = Variant(text.replace(" ", "-"), frames_per_tr, delay_trs)
    if text == ENCODER:
        return replace(main, has_decoder=False)
    if text == "all voxels":
        return replace(main, all_voxels=True)
    match = re.fullmatch(r"(frames|delay|lags) (\d+)", text)
    if not match:
        raise ValueError(
            f"ABLATIONS: unknown ablation {text!r}. Choose from 'encoder', 'all voxels', 'frames <number>', "
            "'delay <number>', 'lags <number>'"
        )
    kind, number = match[1], int(match[2])
    if number == {"frames": frames_per_tr, "delay": delay_trs, "lags": 0}[kind]:
        raise ValueError(f"ABLATIONS: {text!r} is what the main network has. Remove it")
    if kind == "lags":
        return replace(main, lags=tuple(range(-number, number + 1)), has_decoder=False)
    if kind == "delay":
        return replace(main, delay_trs=number)
    if number < 2 or number % 2 or max(number, frames_per_tr) % min(number, frames_per_tr):
        raise ValueError(
            f"ABLATIONS: {text!r} must be even, and a multiple or a divisor of FRAMES_PER_TR = {frames_per_tr}: "
            "its frames are taken from the same ones"
        )
    return replace(main, frames_per_tr=number)


def variants_of(cfg) -> dict[str, Variant]:
    """Name → variant: the main network first, then ABLATIONS, then the other people of SUBJECTS."""
    main = Variant(MAIN, cfg.FRAMES_PER_TR, cfg.DELAY_TRS, cfg.SUBJECTS[0])
    others = [
        replace(parse_ablation(text, cfg.FRAMES_PER_TR, cfg.DELAY_TRS), subject=main.subject)
        for text in cfg.ABLATIONS
    ]
    others += [replace(main, name=subject, subject=subject) for subject in cfg.SUBJECTS[1:]]
    return {variant.name: variant for variant in (main, *others)}


def frames_to_cut(cfg) -> int:
    """Frames per TR in the stored chunks: the most that any variant sees; the others take every second, third … of
    them.
    """
    return max(variant.frames_per_tr for variant in variants_of(cfg).values())


def largest_delay(cfg) -> int:
    return max(variant.delay_trs for variant in variants_of(cfg).values())


def is_repeated(variant: Variant) -> bool:
    """Whether it is trained N_SEEDS times: the network and the encoder alone, which are compared."""
    return variant.name in (MAIN, ENCODER)
