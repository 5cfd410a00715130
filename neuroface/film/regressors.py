"""Features of picture and sound, convolved with the haemodynamic response: a row per TR, in one table per run.

Files are named ``task-<task>[_run-<run>]_film-regressors.tsv``: a row per TR, the column ``time_s``
(second of the run at which the volume starts), and a column per regressor. Any other column that a
user adds is a regressor too.
"""

from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold import Run, film_ahead_s, first_volume_s
from neuroface.pipeline import did_you_mean, numbers, read_text_table, write_json, write_table

import numpy as np
import pandas as pd

CONTENTS = {
    "shot_cuts": "cuts between shots per second",
    "brightness": "mean luma of the picture, 0 to 1",
    "motion_energy": "mean absolute change of luma between two samples, 0 to 1",
    "loudness": "momentary loudness above silence (-70 LUFS), in LU (ITU-R BS.1770)",
    "speech": "probability of speech",
}
SILENCE_LUFS = -70.0
TAIL_S = 32.0  # the response to a film's last second


def regressors_of_samples(samples: pd.DataFrame, rate_hz: float, tr_s: float) -> pd.DataFrame:
    """Regressors of a run, from its samples.

    Parameters
    ----------
    samples : columns "shot_cuts" (cuts since the sample before), "brightness", "motion_energy",
        "loudness" (LUFS), "speech"; NaN where no film was shown, which counts as dark, still and
        silent. A column that is NaN throughout is left out.

    Returns
    -------
    time_s and the regressors, a row per TR, until the response to the last sample has faded.
    """
    regressors = {
        name: samples[name].to_numpy(float) for name in CONTENTS if samples[name].notna().any()
    }
    if "loudness" in regressors:
        regressors["loudness"] = regressors["loudness"] - SILENCE_LUFS
    if "shot_cuts" in regressors:
        regressors["shot_cuts"] = regressors["shot_cuts"] * rate_hz
    n_trs = int(np.ceil((len(samples) / rate_hz + TAIL_S) / tr_s))
    times_s = np.arange(n_trs) * tr_s
    columns = {
        name: np.round(convolved(np.nan_to_num(v), rate_hz, times_s), 6)
        for name, v in regressors.items()
    }
    return pd.DataFrame({"time_s": np.round(times_s, 6)} | columns)


def convolved(values: np.ndarray, rate_hz: float, times_s: np.ndarray) -> np.ndarray:
    """A series (n,) through SPM's canonical HRF of sum 1, at ``times_s`` (m,); 0 before the series and after it."""
    from nilearn.glm.first_level import spm_hrf

    hrf = spm_hrf(1 / rate_hz, oversampling=1)
    response = np.convolve(values, hrf / hrf.sum())
    return np.interp(times_s, np.arange(len(response)) / rate_hz, response, right=0.0)


def write_regressors(
    folder: Path, run: str, regressors: pd.DataFrame, tr_s: float, sources: dict
) -> None:
    """Write ``<run>_film-regressors.tsv`` and its sidecar.

    Parameters
    ----------
    sources : what the sidecar states about their origin.
    """
    about = {
        name: {"Description": f"{CONTENTS[name]}, convolved with SPM's canonical HRF"}
        for name in regressors.columns[1:]
    }
    about = {
        "time_s": {"Description": "second of the run at which the volume starts", "Units": "s"}
    } | about
    write_json(folder / f"{run}_film-regressors.json", about | {"RepetitionTime": tr_s} | sources)
    write_table(folder / f"{run}_film-regressors.tsv", regressors)


def read_regressors(
    path: Path, tr_s: float, n_trs: int, start_s: float | np.ndarray = 0.0, film_s: float = np.inf
) -> pd.DataFrame:
    """Regressors of a run, a row for each of ``n_trs`` TRs, without ``time_s``; beyond the table's end its last row stays.

    Parameters
    ----------
    start_s : second of the film that the first volume shows, or (n_trs,) where pauses shift TRs
        (NNDb version 2). Between rows of the table values are interpolated.
    film_s : seconds for which the film was shown; after that the response falls to that of the table's
    last row in TAIL_S.

    Raises
    ------
    NeuroFaceError
        If it is no such table, has another TR, or a value is missing.
    """
    table = read_text_table(path)
    if "time_s" not in table or table.shape[1] < 2 or len(table) < 2:
        raise NeuroFaceError(
            f"{path} needs a column time_s, a regressor and two rows; it has {list(table)}. Make it again."
        )
    values = pd.DataFrame({name: numbers(table, name, path) for name in table})
    if not np.isfinite(values.to_numpy(float)).all():
        column = values.columns[~np.isfinite(values.to_numpy(float)).all(axis=0)][0]
        raise NeuroFaceError(
            f"{path}: {column!r} holds a value that is no number. Correct or remove that column."
        )
    if not np.allclose(values["time_s"], np.arange(len(values)) * tr_s, atol=1e-3):
        raise NeuroFaceError(
            f"{path} has a row every {values['time_s'].diff().median():g} s, and TR_S is {tr_s:g} s: it needs a row per "
            f"TR from second 0. Make it again with this TR_S."
        )
    times_s = values.pop("time_s").to_numpy()
    if film_s + TAIL_S < times_s[-1]:
        faded = pd.DataFrame(values[-1:].to_numpy(), columns=values.columns)
        shown = times_s <= film_s
        values = pd.concat([values[shown], faded], ignore_index=True)
        times_s = np.append(times_s[shown], film_s + TAIL_S)
    volumes_s = start_s + np.arange(n_trs) * tr_s
    return pd.DataFrame({name: np.interp(volumes_s, times_s, values[name]) for name in values})


def regressors_of_run(run: Run, tr_s: float, n_trs: int, n_volumes: int) -> pd.DataFrame:
    """Film regressors of a run, on its own clock: a row for each of ``n_trs`` TRs, of which it has ``n_volumes``."""
    if run.regressors is None:
        raise NeuroFaceError(f"{run.name} has no film regressors. Annotate its film.")
    film_s = run.film.duration_s if run.film else np.inf
    start_s = first_volume_s(run, n_volumes, tr_s) + film_ahead_s(run, n_trs)
    return read_regressors(run.regressors, tr_s, n_trs, start_s, film_s)


def chosen_regressors(
    run: Run, names: tuple[str, ...], setting: str, tr_s: float, n_trs: int, n_volumes: int
) -> pd.DataFrame:
    """The regressors ``names``, a row for each of ``n_trs`` TRs of a run, of which it has ``n_volumes``.

    Parameters
    ----------
    setting : which one names them, for messages.

    Raises
    ------
    NeuroFaceError
        If the run lacks one of them.
    """
    if not names:
        return pd.DataFrame(index=range(n_trs))
    if run.regressors is None:
        raise NeuroFaceError(
            f"{setting} = {names}, and {run.name} has no task-{run.movie}_film-regressors.tsv. Annotate its film, "
            f"or set {setting} = ()."
        )
    table = regressors_of_run(run, tr_s, n_trs, n_volumes)
    for name in names:
        if name not in table:
            raise NeuroFaceError(
                f"{setting}: {name!r} is not in {run.regressors}{did_you_mean(name, list(table))}. There are "
                f"{', '.join(table)}."
            )
    return table[list(names)]


def regressors_of_windows(
    regressors: pd.DataFrame, first_tr: np.ndarray, window_trs: int
) -> pd.DataFrame:
    """Mean of each regressor over each window: a row per window.

    Parameters
    ----------
    regressors : a row per TR. first_tr : (n,) BOLD volumes at which windows start; they carry the
        haemodynamic delay, as the regressors do.
    """
    rows = np.asarray(first_tr)[:, None] + np.arange(window_trs)
    rows = np.minimum(rows, len(regressors) - 1)
    return pd.DataFrame(regressors.to_numpy(float)[rows].mean(axis=1), columns=regressors.columns)
