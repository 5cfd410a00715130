"""Names of BIDS files: entities, which files belong to a series (inheritance), and folders that hold no person.

A file without some of a series' entities describes all series that have the others (BIDS 1.10, "The
inheritance principle"). fMRIPrep writes ``run-1`` where the raw data set has ``run-01``, so numbers
are compared as numbers.
"""

import os
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold.annotation_choice import choose_annotations, near_names
from neuroface.bold.images import has_places, open_image
from neuroface.bold.parcels import ENDING, is_parcels
from neuroface.bold.run import REGRESSORS, Run, entities_of, is_derivative, natural
from neuroface.bold.surfaces import LEFT, RIGHT, SERIES, files_of_surface
from neuroface.pipeline import holds_results

import numpy as np

RUN_ENTITIES = (
    "sub",
    "ses",
    "task",
    "dir",
    "run",
)  # what tells runs apart; space, res and desc are versions of a run
ANNEX = "annex/objects/"
ASKS_FOR_SURFACE = re.compile(r"space-fs|den-|hemi-|\.dtseries|\.func|\.gii")  # in BIDS_FILTER
SURFACE_SERIES = re.compile(r"_bold\.(dtseries\.nii|func\.gii)$")
NIFTI = (
    r"\.nii(\.gz|\.bz2|\.zst|\.xz)?$"  # the last three are refused with advice when they are opened
)
# Ends of the names of tables with confounds: fMRIPrep from 20.2 on, its earlier versions,
# development_fmri, 1.0.
CONFOUND_TABLES = (
    "_desc-confounds_timeseries.tsv",
    "_desc-confounds_regressors.tsv",
    "_desc-reducedConfounds_regressors.tsv",
    "_bold_confounds.tsv",
)
# Folders whose tables describe no BOLD, whatever their names: in Emo-FilM
# beh/…_task-<film>_events.tsv holds ratings.
OTHER_DATA = (
    "anat",
    "beh",
    "dwi",
    "eeg",
    "fmap",
    "ieeg",
    "meg",
    "motion",
    "mrs",
    "nirs",
    "perf",
    "pet",
)
NO_PERSON = r"sub-(phantom|emptyroom)[A-Za-z0-9]*"


def files_below(folder: Path, deep: bool = True) -> list[Path]:
    """Files of a folder, also behind links to folders; hidden files, such as ``._*`` of macOS, are not there.

    Parameters
    ----------
    deep : False: only the folder itself.
    """
    files, seen = [], set()
    for here, folders, names in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(here)) in seen:  # a link to a folder above
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in sorted(folders) if not name.startswith(".")] if deep else []
        files += [Path(here) / name for name in sorted(names) if not name.startswith(".")]
    return files


def people_in(folder: Path) -> list[Path]:
    """Folders ``sub-*``; where all files lie in one folder, as nilearn's fetchers leave them, those they would have."""
    folders = [place for place in folder.glob("sub-*") if place.is_dir()]
    if folders:
        return folders
    names = {
        file.name.split("_")[0]
        for file in files_below(folder, deep=False)
        if file.name.startswith("sub-")
    }
    return [folder / name for name in names]


def files_of(person: Path) -> list[Path]:
    """A person's files: in the folder ``sub-*``, and beside it under the person's name."""
    beside = files_below(person.parent, deep=False) if person.parent.is_dir() else []
    return files_below(person) + [
        file for file in beside if file.name.startswith(f"{person.name}_")
    ]


def is_person(folder: Path, ignored: tuple[str, ...]) -> bool:
    """Whether a folder ``sub-*`` holds a person's data."""
    return not re.fullmatch(NO_PERSON, folder.name) and not any(
        fnmatchcase(folder.name, rule) for rule in ignored
    )


def ignored_names(folder: Path) -> tuple[str, ...]:
    """Patterns of ``.bidsignore`` that could name a person's folder or a file."""
    file = folder / ".bidsignore"
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    rules = (line.strip().strip("/").removeprefix("**/").removesuffix("/**") for line in lines)
    return tuple(rule for rule in rules if rule and not rule.startswith("#"))


def not_fetched(file: Path) -> bool:
    """Whether git-annex knows the file, and its content is not here: a broken link, or a short text in its place."""
    if file.is_symlink() and not file.exists():
        return ANNEX in os.readlink(file).replace("\\", "/")
    if not file.is_file() or file.stat().st_size > 500:
        return False
    return file.read_bytes().startswith(b"/" + ANNEX.encode())


class Tables:
    """Files that may describe a person's series: the person's own first, then those that serve all people.

    Parameters
    ----------
    person : the folder ``sub-*``. folder : its data set or derivative. others : further folders
    with tables for all people.
    raw : the raw data set, if the settings name it; None: it is looked for.
    """

    def __init__(
        self, person: Path, folder: Path, others: list[Path], raw: str | Path | None = None
    ):
        places = raw_folders(folder) if raw is None else [folder, Path(raw)]
        own = [file for place in places for file in files_of(place / person.name)]
        self._own = [file for file in own if file.parent.name not in OTHER_DATA]
        self._shared = [files_below(place, deep=False) for place in [*places, *others]]
        self._ending: dict[
            str, list[list[Path]]
        ] = {}  # a derivative has hundreds of files per person, few of a kind

    def of(self, series: str, suffix: str) -> list[Path]:
        """Files whose entities the series has too, the best first: own before shared, most entities first.

        Parameters
        ----------
        series : the name of its file. suffix : end of the names, such as ``_events.tsv``.
        """
        own_entities = entities_of(series)

        def entities(file):
            return entities_of(file.name.removesuffix(suffix))

        if suffix not in self._ending:
            places = (self._own, *self._shared)
            self._ending[suffix] = [
                [file for file in files if file.name.endswith(suffix)] for files in places
            ]

        def of_place(files):
            fitting = [file for file in files if entities(file).items() <= own_entities.items()]
            return sorted(fitting, key=lambda file: (-len(entities(file)), file.name))

        return list(
            dict.fromkeys(file for files in self._ending[suffix] for file in of_place(files))
        )


def raw_folders(derivative: Path) -> list[Path]:
    """Where the raw data set of a derivative may be: itself, inside, above, beside."""
    above = list(derivative.parents)[:2]
    inside = [derivative / "sourcedata" / "raw", derivative / "sourcedata"]
    beside = [derivative.parent / name for name in ("bids", "raw", "rawdata", "sourcedata/raw")]
    return [folder for folder in (derivative, *inside, *above, *beside) if folder.is_dir()]


def folder_of_series(folder: Path, name_part: str) -> Path:
    """The folder whose people have series that BIDS_FILTER takes: the data set's root, else one of its derivatives.

    Raises
    ------
    NeuroFaceError
        If several derivatives have some.
    """

    def has_series(place):
        return any(
            _is_series(file, name_part) for person in people_in(place) for file in files_of(person)
        )

    if has_series(folder):
        return folder
    derivatives = [folder / "derivatives", *sorted(folder.glob("derivatives/*"))]
    places = [place for place in derivatives if place.is_dir() and has_series(place)]
    if len(places) > 1:
        raise NeuroFaceError(
            f"{' and '.join(map(str, places))} hold such series. Set DATASET_DIR to one of them, or BIDS_FILTER to text "
            f"that only one has."
        )
    return places[0] if places else folder


def bids_runs(
    person: Path,
    folder: Path,
    name_part: str,
    stimuli: list[Path],
    annotated: bool,
    event_column: str | None = None,
    wanted: tuple[str, ...] = (),
    n_of_data: int = 1,
    raw: str | Path | None = None,
) -> tuple[list[Run], list[tuple[str, str]]]:
    """Runs of a person in a data set or derivative ``folder``, and what is left out.

    Parameters
    ----------
    name_part : BIDS_FILTER. stimuli : folders with further tables, the first ``n_of_data`` in the
    data set.
    annotated : False: a run needs no ``events.tsv``.
    wanted : names of events. event_column : a table with this column, and with one of the events,
    wins over one without.
    raw : RAW_DIR.
    """
    runs: list[Run] = []
    missing: list[tuple[str, str]] = []
    seen: dict[str, str] = {}
    of_films = {
        place: number < n_of_data for number, place in enumerate(stimuli) if place.name == "stimuli"
    }
    files, tables = (
        files_of(person),
        Tables(person, folder, stimuli, raw),
    )  # fMRIPrep leaves events in the raw data set
    for bold in sorted(
        (file for file in files if _is_series(file, name_part)), key=lambda p: natural(p.name)
    ):
        entities = entities_of(bold.name)
        if "task" not in entities:
            missing.append((bold.name, "its name has no task-<name>, which BIDS asks for"))
            continue
        # The halves of a film may differ in dir- only.
        stem = "_".join(
            f"{key}-{_as_written(bold, key)}" for key in RUN_ENTITIES if key in entities
        )
        if stem in seen:
            raise NeuroFaceError(
                f"{seen[stem]} and {bold.name} are the same run. Set BIDS_FILTER to text that only one of them has."
            )
        seen[stem] = bold.name
        if unfetched := list(filter(not_fetched, files_of_surface(bold))):
            names = " ".join(map(str, unfetched))
            missing.append((unfetched[0].name, f"not fetched: datalad get {names}"))
            continue
        if lacking_file := _lacking_hemisphere(bold):
            missing.append((bold.name, f"{lacking_file} is not there: both hemispheres are needed"))
            continue
        annotations, not_used = (
            _annotations(bold, tables, wanted, event_column, of_films) if annotated else ((), ())
        )
        if annotated and not annotations:
            missing.append((bold.name, f"no {stem}_events.tsv{near_names(stem, stimuli)}"))
            continue
        if lacking := next((file for _, file in annotations if not_fetched(file)), None):
            missing.append((bold.name, f"its events are not fetched: datalad get {lacking}"))
            continue
        runs.append(
            Run(
                person.name,
                entities["task"],
                "-".join(_as_written(bold, key) for key in ("ses", "dir", "run") if key in entities)
                or "1",
                stem,
                bold,
                _bids_mask(bold, files),
                annotations,
                regressors=next(iter(tables.of(bold.name, f"_{REGRESSORS}")), None),
                sidecars=tuple(
                    file
                    for end in _ends_of_sidecars(bold)
                    for file in tables.of(bold.name, end)
                    if not not_fetched(file)
                ),
                raw=_raw_series(bold, tables),
                not_used=not_used,
                confounds=_confounds(bold, tables),
            )
        )
    if not seen and not missing:
        missing.append(
            (
                person.name,
                f"no {_wanted(name_part)}"
                + (f" with {name_part!r} in its name" if name_part else "")
                + _surfaces_at_hand(files, name_part),
            )
        )
    return runs, missing


def _is_series(file: Path, name_part: str) -> bool:
    """Whether a file is a BOLD series that BIDS_FILTER takes; text behind ``_bold`` and parcels must be asked for."""
    if name_part.endswith(("_timeseries", ENDING)):  # tables of confounds end so too
        named = is_parcels(file) and not file.name.endswith(CONFOUND_TABLES)
        return named and fnmatchcase(file.name, f"*{name_part}*") and not _is_result(file)
    if _is_surface_series(file, name_part):
        return True
    ends = "_bold" if "_bold" not in name_part else r"_bold(_[A-Za-z0-9]+)?"
    return bool(re.search(ends + NIFTI, file.name)) and fnmatchcase(file.name, f"*{name_part}*")


def _wanted(name_part: str) -> str:
    """Which files BIDS_FILTER asks for, in words."""
    if name_part.endswith(("_timeseries", ENDING)):
        return f"*{ENDING} of parcels (predictions of these scripts are none)"
    if ASKS_FOR_SURFACE.search(name_part):
        return "*_bold.dtseries.nii, *_bold.func.gii or *_bold.nii.gz"
    return "*_bold.nii.gz"


def _surfaces_at_hand(files: Iterable[Path], name_part: str) -> str:
    """Which series on the cortical surface fits BIDS_FILTER, which does not ask for the surface; empty if none does."""
    named = sorted(
        file.name
        for file in files
        if SURFACE_SERIES.search(file.name) and fnmatchcase(file.name, f"*{name_part}*")
    )
    if not named or ASKS_FOR_SURFACE.search(name_part):
        return ""
    return (
        f"; {named[0]} is on the cortical surface: for such files BIDS_FILTER has to name their space or density too, "
        f'such as "den-91k" or "den-91k_desc-denoised_bold"'
    )


def _is_result(file: Path) -> bool:
    """Whether a table lies in the results of a study, where ``_timeseries.tsv`` holds predictions."""
    root = next((place for place in file.parents if place.name.startswith("sub-")), file).parent
    return holds_results(root)


def _is_surface_series(file: Path, name_part: str) -> bool:
    """Whether a file is a series on the cortical surface that BIDS_FILTER asks for: by its space, density, or suffix."""
    if not ASKS_FOR_SURFACE.search(name_part) or not SURFACE_SERIES.search(file.name):
        return False
    name = file.name.replace(f"_{RIGHT}_", f"_{LEFT}_")
    # A left one that is not fetched is a broken link, which does not "exist".
    if name != file.name and os.path.lexists(file.with_name(name)):
        return False  # the run of the left hemisphere reads both
    return fnmatchcase(file.name, f"*{name_part}*") or fnmatchcase(name, f"*{name_part}*")


def _lacking_hemisphere(bold: Path) -> str:
    """Name of the other hemisphere's file, if a GIFTI series has none; empty otherwise."""
    here, other = (LEFT, RIGHT) if LEFT in bold.name else (RIGHT, LEFT)
    file = bold.with_name(bold.name.replace(here, other))
    return "" if not bold.name.endswith(".gii") or file.exists() and file != bold else file.name


def _ends_of_sidecars(bold: Path) -> list[str]:
    """Ends of the names of JSON files that describe a series, the nearest kind first."""
    if is_parcels(bold):
        return [ENDING.replace(".tsv", ".json"), "_bold.json"]
    own = [
        f"_bold{end.removesuffix('.nii').removesuffix('.gii')}.json"
        for end in SERIES
        if bold.name.endswith(end)
    ]
    return [*own, "_bold.json"]


def _raw_series(bold: Path, tables: Tables) -> Path | None:
    """The raw series that a derivative was made from; None for a raw series."""
    if not is_derivative(bold.name):
        return None
    series = [*tables.of(bold.name, "_bold.nii.gz"), *tables.of(bold.name, "_bold.nii")]
    return next(
        (file for file in series if not is_derivative(file.name) and not not_fetched(file)), None
    )


def _confounds(bold: Path, tables: Tables) -> Path | None:
    """The table of confounds of a series."""
    named = [file for end in CONFOUND_TABLES for file in tables.of(bold.name, end)]
    return next((file for file in named if not not_fetched(file)), None)


def _annotations(
    bold: Path,
    tables: Tables,
    wanted: tuple[str, ...],
    column: str | None,
    stimuli: dict[Path, bool],
):
    """:func:`choose_annotations` of a series."""
    events = tables.of(bold.name, "_events.tsv")
    single = {name: tables.of(bold.name, f"_{name}-annotation.1D") for name in wanted}
    unknown = {file for file in events if not_fetched(file)}
    of_data = {folder for folder, is_of_data in stimuli.items() if is_of_data}
    return choose_annotations(events, single, unknown, list(stimuli), of_data, column)


def _as_written(file: Path, key: str) -> str:
    return re.findall(rf"(?:^|_){key}-([A-Za-z0-9+]+)", file.name)[0]


def _bids_mask(bold: Path, files: list[Path]) -> Path | None:
    """The person's brain mask for a series: beside it, else of its space in ``anat/``; the one whose grid fits wins."""
    if has_places(bold):
        return None
    own = entities_of(bold.name)
    named = [file for file in files if re.search("_mask" + NIFTI, file.name)]
    named = [
        file
        for file in named
        if entities_of(file.name).get("desc", "brain") == "brain" and not not_fetched(file)
    ]

    def distance(file):
        entities = {key: value for key, value in entities_of(file.name).items() if key != "desc"}
        differs = [key for key, value in entities.items() if own.get(key) != value]
        is_anatomical = file.parent.name == "anat"
        lacks = [
            key for key in ("space", "res", "den", "cohort") if key in own and key not in entities
        ]
        return is_anatomical, len(differs), len(lacks), file.name

    of_other_runs = [file for file in named if file.parent.name != "anat" and distance(file)[1]]
    masks = sorted((file for file in named if file not in of_other_runs), key=distance)
    if len(masks) > 1:
        masks = [file for file in masks if _same_grid(file, bold)] or masks
    return next(iter(masks), None)


def _same_grid(mask: Path, bold: Path) -> bool:
    try:
        images = [open_image(file) for file in (mask, bold)]
    except NeuroFaceError:
        return False
    shapes = [image.shape[:3] for image in images]
    return shapes[0] == shapes[1] and np.allclose(images[0].affine, images[1].affine, atol=1e-3)
