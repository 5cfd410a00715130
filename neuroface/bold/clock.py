"""The clock of a run: its TR, and the second of the film that its first volume shows, from sidecars, headers and logs.

fMRIPrep states in the sidecar to which time within a volume it shifted the slices (``StartTime``).
To the header its version 23.2.0 wrote a TR of 1 s whatever the TR was. So the sidecar counts more
than the header.
"""

from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold.images import header_tr_s, open_header
from neuroface.bold.run import Run, is_derivative
from neuroface.pipeline import read_json

DROPPED = "NumberOfVolumesDiscardedByUser"
PLACEHOLDER_S = 1.0  # what fMRIPrep 23.2.0 and nilearn 0.14's math_img, clean_img and unmask write in place of the TR


def read_sidecar(run: Run) -> dict:
    """Fields of the JSON files that describe a series; the file with most of its entities wins (BIDS inheritance)."""
    fields: dict = {}
    for file in reversed(run.sidecars):
        fields |= read_json(file)
    return fields


def check_tr(run: Run, image, n_volumes: int, tr_s: float) -> str | None:
    """Raise if the TR of a run is not ``tr_s``; what matters is where its last volume lies: half a TR is too much.

    Returns
    -------
    A remark for the user; None if sidecar and header agree or one of them is silent.

    Raises
    ------
    NeuroFaceError
        If the sidecar states varying times of volumes, if it contradicts a header that states more
        than a placeholder, or if the TR contradicts the setting.
    """
    sidecar, header = read_sidecar(run), header_tr_s(image)
    if "VolumeTiming" in sidecar:
        raise NeuroFaceError(
            f"{run.bold}: its sidecar states VolumeTiming, times of volumes that need not be regular. Only a constant "
            f"TR can be used: leave {run.subject} out with EXCLUDE."
        )
    stated = sidecar.get("RepetitionTime")
    if stated is None:
        if header is None:
            return f"neither its header nor a sidecar states a TR; TR_S = {tr_s:g} s is used"
        if header == PLACEHOLDER_S and _drifts(header, tr_s, n_volumes):
            raise NeuroFaceError(
                f"{run.bold}: its header says TR = 1 s, the setting TR_S is {tr_s:g} s, and no sidecar states a TR. Some "
                f"programs write 1 s in place of the TR. Look it up in the scan protocol; if it is {tr_s:g} s, correct "
                f"the header, or write RepetitionTime to a JSON file beside the series."
            )
        _compare(run, "its header", header, tr_s, n_volumes)
        return None
    if not (isinstance(stated, int | float) and stated > 0):
        raise NeuroFaceError(
            f"{run.sidecars[0]}: RepetitionTime is {stated!r}, not a time in seconds. Correct it."
        )
    _compare(run, "its sidecar", stated, tr_s, n_volumes)
    if header in (None, PLACEHOLDER_S):
        return (
            None
            if header == stated
            else f"its header states no TR (or 1 s); the sidecar's {stated:g} s is used"
        )
    if _drifts(header, stated, n_volumes):
        raise NeuroFaceError(
            f"{run.bold}: its header says TR = {header:g} s, its sidecar {stated:g} s. Correct the wrong one of the two."
        )
    return None


def first_volume_s(run: Run, n_volumes: int, tr_s: float) -> float:
    """Second of the film that the first volume of the series shows; volume v shows second ``first_volume_s + v · TR``.

    0, unless slices were shifted, volumes dropped, or FILM_EVENT says that the film begins later
    than the run: then it is negative.

    Raises
    ------
    NeuroFaceError
        If the series has fewer volumes than the raw run whose clock its events use, and its sidecar
        does not say why.
    """
    start_s = read_sidecar(run).get("StartTime", 0.0)
    if not (isinstance(start_s, int | float) and 0 <= start_s < tr_s):
        raise NeuroFaceError(
            f"{run.sidecars[0]}: StartTime is {start_s!r}; expected 0 to less than {tr_s:g} s. Correct it."
        )
    film_s = run.film.onset_s if run.film else 0.0
    return start_s + tr_s * _dropped_volumes(run, n_volumes) - film_s


def _dropped_volumes(run: Run, n_volumes: int) -> int:
    """Volumes that a derivative lacks at its beginning; 0 of a raw run: BIDS counts events from the first stored volume."""
    if not is_derivative(run.bold.name):
        return 0
    own = [
        file for file in run.sidecars if file.parent == run.bold.parent
    ]  # a raw sidecar speaks of the scanner
    stated = read_json(own[0]).get(DROPPED) if own else None
    if run.raw is None:
        return stated or 0
    lost = max(_volumes_of_raw(run.raw) - n_volumes, 0)
    if lost and stated is None:
        raise NeuroFaceError(
            f"{run.bold} has {n_volumes} volumes, {lost} fewer than the raw run {run.raw.name}, whose clock its events use. "
            f"Write {DROPPED}: {lost} to the JSON file beside the series if they were dropped at its beginning, or 0 if at "
            f"its end."
        )
    if lost and not (isinstance(stated, int) and 0 <= stated <= lost):
        raise NeuroFaceError(
            f"{own[0]}: {DROPPED} is {stated!r}, and the series has {lost} volumes fewer than {run.raw.name}. Correct it."
        )
    return stated if lost and stated else 0


def _volumes_of_raw(raw: Path) -> int:
    try:
        return open_header(raw)[1][3]
    except NeuroFaceError:  # a link that git-annex has not fetched
        return 0


def _drifts(tr_s: float, other_s: float, n_volumes: int) -> bool:
    return abs(tr_s - other_s) * n_volumes >= tr_s / 2


def _compare(run: Run, source: str, stated_s: float, tr_s: float, n_volumes: int) -> None:
    if _drifts(stated_s, tr_s, n_volumes):
        off_s = abs(stated_s - tr_s) * n_volumes
        raise NeuroFaceError(
            f"{run.bold}: {source} says TR = {stated_s:g} s, the setting TR_S is {tr_s:g} s: after {n_volumes:,} volumes "
            f"windows would be cut {off_s:.1f} s too {'early' if stated_s < tr_s else 'late'}. Correct TR_S, or {source}."
        )
