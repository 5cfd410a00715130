"""``data/<RUN_NAME>`` as a BIDS derivative: its description, README, ``.bidsignore``, and results under BIDS names.

BIDS 1.11 has names for masks. It has none for statistical maps and predicted time series; they get the
names that its extension proposals and fMRIPrep use (``_statmap``, ``_timeseries``), and ``.bidsignore`` lists them.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from neuroface import __version__
from neuroface.pipeline.files import PARTIAL, atomic, read_json, write_json
from neuroface.pipeline.provenance import MANIFEST, ROOT, git_commit

BIDS_VERSION = "1.11.1"
NIFTI = ".nii.gz"
NOT_IN_BIDS = ("_statmap", "_timeseries")
# Endings of the files in which maps of surface data lie beside their .nii.gz.
ON_SURFACE = (
    ".dtseries.nii",
    ".dscalar.nii",
    *(f"_hemi-{side}{ending}" for side in "LR" for ending in (".func.gii", ".shape.gii")),
)
SUFFIXES = ("_mask", *NOT_IN_BIDS)


class BidsName(NamedTuple):
    """Results of a study that also get a name in the form of BIDS, and what their sidecar states.

    Parameters
    ----------
    result : path in the run folder. ``{sub}`` stands for ``sub-<label>``, ``{run}`` for any text, other fields
        for text without ``_``.
    name : path of the BIDS name. It may have the fields of ``result``, and ``{space}``: the one that all names of
        the data set's images state, else ``study``.
    desc : words of ``desc-``, with the fields of ``result``; they are joined in camel case to ``{desc}``.
    description : the sidecar's ``Description``.
    sources : glob of the results that the file was made from, with the fields of ``result``; "": images of the data
        set that the stage read.
    """

    result: str
    name: str
    desc: str
    description: str
    sources: str = ""

    @property
    def pattern(self) -> re.Pattern:
        fields = {"sub": "sub-[A-Za-z0-9]+", "run": "[^/]+"}
        text = re.escape(self.result).replace(r"\{", "{").replace(r"\}", "}")
        return re.compile(
            re.sub(r"\{(\w+)\}", lambda m: f"(?P<{m[1]}>{fields.get(m[1], '[^/_]+')})", text)
        )


def mask_name(result: str) -> BidsName:
    """The mask of all people as BIDS names it."""
    return BidsName(
        result,
        "tpl-{space}/anat/tpl-{space}_desc-{desc}_mask.nii.gz",
        "group",
        "What all of the study's images are reduced to, the same for all people.",
    )


def map_name(result: str, desc: str, description: str, sources: str) -> BidsName:
    """A map of a person (``{sub}`` in ``result``) or of the group."""
    if "{sub}" in result:
        name = "{sub}/func/{sub}_space-{space}_desc-{desc}_statmap.nii.gz"
    else:
        name = "tpl-{space}/func/tpl-{space}_desc-{desc}_statmap.nii.gz"
    return BidsName(result, name, desc, description, sources)


def camel_case(text: str) -> str:
    """Letters and digits only, as BIDS asks of labels: ``music-absolute ig`` → ``musicAbsoluteIg``."""
    words = re.findall(r"[A-Za-z0-9]+", text)
    return "".join(words[:1] + [word[0].upper() + word[1:] for word in words[1:]])


def holds_results(folder: Path) -> bool:
    """Whether a folder is a run folder of a study: it has a stage with its settings."""
    return any(folder.glob("[0-9]-*/settings.json"))


def described_by_others(root: Path, name: str) -> str:
    """Who described a folder in its ``dataset_description.json``; empty if nobody or the study ``name`` did."""
    file = root / "dataset_description.json"
    stated = read_json(file) if file.is_file() else {}
    programs = [
        str(program.get("Name"))
        for program in stated.get("GeneratedBy", [])
        if isinstance(program, dict)
    ]
    if name in programs or not {"BIDSVersion", "GeneratedBy"} & stated.keys():
        return ""
    return ", ".join(programs) or f"the data set {stated.get('Name', 'without a name')!r}"


def describe_run(root: Path, study, dataset: Path) -> str:
    """Write what makes a run folder a BIDS derivative, unless another program described the folder.

    What a person added to ``dataset_description.json`` (``Authors``, ``License``, …) stays. A README that is there
    stays too.

    Parameters
    ----------
    root : ``data/<RUN_NAME>``.
    study : the :class:`neuroface.pipeline.study.Study`, with its ``bids_names``.
    dataset : folder of the data set.

    Returns
    -------
    Why the folder was not described; empty if it was.
    """
    if others := described_by_others(root, study.name):
        return (
            f"{root / 'dataset_description.json'} is that of {others} and stays as it is, and results get no names of BIDS. "
            f"For a BIDS derivative name another folder for the results"
        )
    file = root / "dataset_description.json"
    added = read_json(file) if file.is_file() else {}
    write_json(file, added | _description(root, study.name, dataset))
    ignored = [*(f"/{step.folder}" for step in study.steps), "/logs", "/*.html"]
    ignored += [f"*{suffix}.*" for suffix in NOT_IN_BIDS]
    _write_text(root / ".bidsignore", "\n".join(ignored) + "\n")
    if not (root / "README.md").exists():
        _write_text(root / "README.md", _readme(root, study))
    _write_bids_names(root, study)
    return ""


def _description(root: Path, pipeline: str, dataset: Path) -> dict:
    url = _relative_url(dataset, root)
    generated_by = {
        "Name": pipeline,
        "Version": __version__,
        "Description": f"commit {git_commit() or 'unknown'}",
    }
    if code_url := _code_url():
        generated_by["CodeURL"] = code_url
    source, stated = {"URL": url}, dataset / "dataset_description.json"
    if stated.is_file() and (doi := read_json(stated).get("DatasetDOI")):
        source["DOI"] = doi
    return {
        "Name": f"{pipeline}: {root.name}",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [generated_by],
        "SourceDatasets": [source],
        "DatasetLinks": {"raw": url},
    }


def _relative_url(dataset: Path, root: Path) -> str:
    return Path(os.path.relpath(dataset, root)).as_posix().replace(" ", "%20")


def _code_url() -> str | None:
    """The public address that this project was cloned from, without a password; None if it has none."""
    try:
        command = ["git", "remote", "get-url", "origin"]
        out = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()
    except OSError:
        return None  # no git on this machine
    return public_url(out)


def public_url(remote: str) -> str | None:
    """``https://host/path`` of an address of git, without name, password and ``.git``; None for a folder."""
    match = re.fullmatch(
        r"(?:https?://|ssh://)?(?:[^@/]+@)?([\w-]+(?:\.[\w-]+)+)(?::\d+)?[:/](.+?)(?:\.git)?/?",
        remote,
    )
    return f"https://{match[1]}/{match[2]}" if match else None


def _readme(root: Path, study) -> str:
    folders = "\n".join(f"- `{step.folder}/`, written by `{step.script}`" for step in study.steps)
    return (
        f"# {study.name}: {root.name}\n\n"
        f"Results of {study.name} (NeuroFaceCNN {__version__}). Open `report.html` first.\n\n"
        "`sub-*/` and `tpl-*/` hold masks, maps and predictions under names in the form of BIDS, each with a sidecar "
        "that names its sources. They are hard links: the same files, without further disk space.\n"
        "`.bidsignore` lists what BIDS has no name for:\n\n"
        f"{folders}\n- `logs/`, what the scripts printed\n\n"
        "`settings.json` in each folder states the settings, versions and inputs that made it. Add authors and a licence "
        "to `dataset_description.json`; later runs keep them.\n"
    )


# ---------------------------------------------------------------- names in the form of BIDS


def _write_bids_names(root: Path, study) -> None:
    """Link every result that has a BIDS name, write its sidecar, and remove names whose result is gone."""
    space, wanted = _space(root), set()
    for entry in study.bids_names:
        sources: dict[str, list[str]] = {}
        for file, fields in _results(root, entry):
            desc = camel_case(entry.desc.format(**fields))
            name = root / entry.name.format(**fields, space=space, desc=desc)
            glob = entry.sources.format(**fields)
            if (key := glob or fields.get("sub", "")) not in sources:
                sources[key] = _sources(root, entry, glob, fields.get("sub", ""))
            for own, target in _forms(file, name):
                _link(own, target)
                sidecar = target.with_name(target.name.partition(".")[0] + ".json")
                _write_json(sidecar, _sidecar(root, entry, file, sources[key], space))
                wanted |= {target, sidecar}
    for folder in (*root.glob("sub-*/func"), *root.glob("tpl-*/*")):
        for sidecar in folder.glob("*.json"):
            stem = sidecar.name.removesuffix(".json")
            if sidecar not in wanted and stem.endswith(SUFFIXES) and _is_ours(sidecar, study):
                for file in folder.glob(f"{stem}.*"):
                    if file != sidecar:
                        file.unlink()
                sidecar.unlink()  # last: without it the file would count as somebody else's


def _forms(file: Path, name: Path) -> list[tuple[Path, Path]]:
    """The files of a result that get a BIDS name, each with it: those in the space of the data, if there are any.

    Of data on the cortical surface ``<result>.nii.gz`` has a grid that means nothing. The CIFTI file beside it gets the
    name with its own ending, the GIFTI files also ``hemi-L`` and ``hemi-R`` behind the first entity.
    """
    stem, first = file.name.removesuffix(NIFTI), name.name.split("_")[0]
    forms = []
    for ending in ON_SURFACE if file.name.endswith(NIFTI) else ():
        own = file.with_name(stem + ending)
        if own.exists():
            hemisphere, dot, suffix = ending.partition(".")
            new = name.name.removesuffix(NIFTI).replace(first, first + hemisphere, 1)
            forms.append((own, name.with_name(new + dot + suffix)))
    if forms and name.name.endswith(f"_mask{NIFTI}"):
        return []  # BIDS has no name for such a mask
    return forms or [(file, name)]


def _is_ours(sidecar: Path, study) -> bool:
    """Whether this study wrote a sidecar: the folder may hold other programs' files with such names."""
    try:
        stated = json.loads(sidecar.read_text(encoding="utf-8"))
    except ValueError:
        return False
    descriptions = {entry.description for entry in study.bids_names}
    return isinstance(stated, dict) and stated.get("Description") in descriptions


def _results(root: Path, entry: BidsName) -> Iterator[tuple[Path, dict[str, str]]]:
    folder, pattern = root / Path(entry.result).parent, entry.pattern
    for file in sorted(folder.glob("*")):
        match = pattern.fullmatch(file.relative_to(root).as_posix())
        if match and not file.name.startswith(PARTIAL):
            yield file, match.groupdict()


def _space(root: Path) -> str:
    """The ``space-`` that all images of the data set state; "study" if they state none."""
    names = [name for name in _images_read(root, ()) if "space-" in name]
    spaces = {space for name in names for space in re.findall(r"_space-([A-Za-z0-9]+)", name)}
    return spaces.pop() if len(spaces) == 1 else "study"


def _images_read(root: Path, folders: tuple[str, ...]) -> list[str]:
    """Images of the data set, relative to it, that the stages in these folders read; (): that any stage read."""
    names: dict[str, None] = {}
    for file in sorted(root.glob(f"*/{MANIFEST}")):
        if not folders or file.parent.name in folders:
            inputs = read_json(file).get("inputs", {})
            names |= dict.fromkeys(name for name in inputs if name.endswith((".nii", NIFTI)))
    return list(names)


def _sources(root: Path, entry: BidsName, glob: str, person: str) -> list[str]:
    """BIDS URIs of what a result was made from; of images of the data set, those of the person if there is one."""
    if glob:
        return [f"bids::{file.relative_to(root).as_posix()}" for file in sorted(root.glob(glob))]
    images = _images_read(root, (entry.result.partition("/")[0],)) or _images_read(root, ())
    return [
        f"bids:raw:{name}"
        for name in images
        if person in re.split("[/_]", name) or not person and ".." not in name
    ]


def _sidecar(root: Path, entry: BidsName, file: Path, sources: list[str], space: str) -> dict:
    content: dict = {"Description": entry.description, "Sources": sources}
    if entry.name.endswith(f"_mask{NIFTI}"):
        content |= {"Type": "ROI"}
        references = [source for source in sources if source.startswith("bids:raw:")]
        if references:
            content["SpatialReference"] = references[0]
    elif entry.name.endswith(NIFTI):
        mask = f"tpl-{space}/anat/tpl-{space}_desc-group_mask{NIFTI}"
        if (root / mask).exists():
            content["SpatialReference"] = f"bids::{mask}"
    columns = file.with_suffix(".json")
    if file.suffix == ".tsv" and columns.is_file():
        content |= read_json(columns)
    return content


def _link(file: Path, target: Path) -> None:
    """A second name of a file; a copy where the file system has no hard links."""
    if target.exists() and target.samefile(file):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic(target) as partial:
        Path(partial).unlink(missing_ok=True)
        try:
            os.link(file, partial)
        except OSError:
            shutil.copyfile(file, partial)


def _write_json(file: Path, content: dict) -> None:
    if not file.exists() or read_json(file) != content:
        write_json(file, content)


def _write_text(file: Path, text: str) -> None:
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        with atomic(file) as partial:
            Path(partial).write_text(text, encoding="utf-8")
