"""Numbers as the report shows them: intervals with their number of blocks, p with the smallest possible one, names of
models.
"""

from film_encoding.correlations import ALPHA
from film_encoding.scoring import RIDGE, RIDGE_ONE, is_ridge
from film_encoding.variants import LAGS

import pandas as pd


def as_table(rows: list[dict[str, str]]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows for :meth:`neuroface.pipeline.Section.table`."""
    return list(rows[0]), [list(row.values()) for row in rows]


def number(value) -> str:
    return "" if value is None or pd.isna(value) else f"{value:.3f}"


def with_interval(row, name: str, digits: int = 3) -> str:
    """Value and 95 % interval of a score of a table's row."""
    return f"{row[name]:.{digits}f} {interval(row[f'{name}_low'], row[f'{name}_high'], digits)}"


def interval(low, high, digits: int = 3, sign: str = "", none: str = "one block") -> str:
    """Both ends; ``none`` says why there is no interval."""
    if pd.isna(low):
        return f"[{none}: no interval]"
    return f"[{low:{sign}.{digits}f}, {high:{sign}.{digits}f}]"


def p_text(p, smallest) -> str:
    """A p, and that it is the smallest possible one where it is; no p where even that one is above 0.05."""
    if p is None or pd.isna(p):
        return ""
    if smallest > ALPHA:
        return f"not possible (smallest {smallest:.3f})"
    return f"{p:.4f} (smallest possible)" if p <= smallest * (1 + 1e-9) else f"{p:.4f}"


def model_name(model: str, cfg) -> str:
    """Name of a model in tables and sentences; models that see several delays, and ridge regressions, say how many."""
    if model.startswith(LAGS):
        return f"network, {2 * int(model.removeprefix(LAGS)) + 1} delays"
    if not is_ridge(model):
        return model
    which = RIDGE_ONE if model.startswith(RIDGE_ONE) else RIDGE
    n_delays = len(cfg.RIDGE_DELAYS_TRS)
    several = "1 delay" if n_delays == 1 else f"{n_delays} delays"
    delays = "one chunk" if which == RIDGE_ONE else several
    subject = model.removeprefix(which).strip()
    return f"ridge, {delays}{', ' + subject if subject else ''}"


def over_what(n_blocks: int, n_seeds: int) -> str:
    """What an interval is over."""
    seeds = f" and {n_seeds} seeds" if n_seeds > 1 else ", one seed"
    return f"{n_blocks} blocks{seeds}"
