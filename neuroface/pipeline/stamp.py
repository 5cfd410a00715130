"""``settings.json``: the settings that made a folder, compared with the current settings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neuroface import NeuroFaceError
from neuroface.pipeline import provenance


@dataclass(frozen=True)
class Rules:
    """Settings of a script that may change although it has results, and the consequence. The script declares them.

    Parameters
    ----------
    aside : settings that change nothing in what later scripts read.
    remade : settings whose results the script makes again when they change.
    growing : setting → function (old value, new value, all old settings) that tells whether the
        results still hold and the script only has to add what is missing.
    """

    aside: tuple[str, ...] = ()
    remade: tuple[str, ...] = ()
    growing: Mapping[str, Callable[[Any, Any, dict], bool]] = field(default_factory=dict)


def only_more(old, new, stamped: dict) -> bool:
    """A rule for ``growing``: the new list contains everything in the old one."""
    return set(old) <= set(new)


def compare_upstream(stamp: dict, settings, model, folder: str, script: str) -> None:
    """Raise if a folder that the script reads was made under other settings.

    Parameters
    ----------
    stamp : the folder's ``settings.json``. settings : the current ones. model : their
    :class:`SettingsModel`.
    folder : the folder, as messages show it. script : the script that made it.
    """
    for name, old, new in _changed(stamp, settings, model):
        if name in stamp.get("aside", ()):
            continue
        if name in stamp.get("growing", ()):
            raise NeuroFaceError(
                f"{folder} was made with {name} = {old!r}; the setting is now {new!r}. Run: python {script}   It makes "
                f"what is missing, or says what to delete."
            )
        why = model.why(settings, name)
        raise NeuroFaceError(_made_otherwise(name, old, new, why, folder, script))


def compare_own(
    stamp: dict, settings, model, rules: Rules, inherited: set[str], folder: str, script: str
) -> None:
    """Raise if the script's own folder holds results of other settings.

    Parameters
    ----------
    rules : rules of this script. inherited : settings that grow in an earlier script, whose digest is
    compared instead.
    """
    for name, old, new in _changed(stamp, settings, model):
        if name in rules.remade:
            continue
        grown = name in rules.growing and rules.growing[name](old, new, stamp["settings"])
        if not grown and (name in rules.growing or name not in inherited):
            why = model.why(settings, name)
            raise NeuroFaceError(_made_otherwise(name, old, new, why, folder, script))


def _changed(stamp: dict, settings, model) -> list[tuple[str, object, object]]:
    """(name, old value, new value) of the settings that differ."""
    old = stamp["settings"]
    new = {name: provenance.stamped(settings, name, model) for name in old}
    return [(name, old[name], new[name]) for name in old if new[name] != old[name]]


def _made_otherwise(name: str, old, new, why: str, folder: str, script: str) -> str:
    """The message; ``why`` a value that follows from data is what it is, or ""."""
    return (
        f"{folder} was made with {name} = {old!r}; the setting is now {new!r}"
        f"{f' ({why})' if why else ''}. Choose another RUN_NAME, set {name} back, or delete that folder "
        f"and run {script} again."
    )


def short(path: Path) -> str:
    """A path as messages show it: relative to the current folder if it lies inside."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
