"""Run one script: check its inputs, stamp its settings, resume, and report."""

import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from neuroface import NeuroFaceError
from neuroface.pipeline import provenance, report
from neuroface.pipeline.derivative import describe_run
from neuroface.pipeline.files import PARTIAL, read_json, write_json
from neuroface.pipeline.lock import FolderLock, Turn
from neuroface.pipeline.log import begin_log
from neuroface.pipeline.progress import UnitName
from neuroface.pipeline.settings import demo_differences
from neuroface.pipeline.stamp import Rules, compare_own, compare_upstream, short
from neuroface.pipeline.study import Study
from neuroface.pipeline.units import Files, UnitFiles, make_units, missing_units


class Stage:
    """A run of one script in its folder of ``data/<RUN_NAME>/``.

    Parameters
    ----------
    study : the study that the script belongs to. number : the script's number in it.
    cfg : settings, from :meth:`Study.load_settings`.
    contract : the script's docstring. The settings that its paragraph "Settings" names change the
        script's results; they are stamped into ``settings.json``.
    reads : numbers of the scripts whose output this one reads. Their stamped settings are stamped
    for this one too.
    unused : settings in the docstring that have no effect, given the values of the others.
    rules : which settings may change although there are results.
    side_results : beginnings of the names of results that no later script reads.
    shared : whether other runs of the script work in the folder at the same time, each on units of its own. Until
        :meth:`share` one of them works, and the others wait.

    Raises
    ------
    NeuroFaceError
        If an input is missing, unfinished, or made under other settings, or if this script's own
        folder holds results made under other settings or from other inputs.
    """

    def __init__(
        self,
        study: Study,
        number: int,
        cfg,
        contract: str,
        reads: tuple[int, ...] = (),
        *,
        unused: tuple[str, ...] = (),
        rules: Rules = Rules(),  # noqa: B008  frozen
        side_results: tuple[str, ...] = (),
        shared: bool = False,
    ):
        self.study, self.number, self.cfg = study, number, cfg
        self.root = Path(cfg.DATA_DIR) / cfg.RUN_NAME
        self.folder, self.script = self.folder_of(number), study.step(number).script
        self.left_out: list[tuple[str, str]] = []
        self._started, self._worked = time.monotonic(), False
        self._side_results = side_results
        self._input_files: list[Path] = []
        self._turn, self._is_stamped = None, False
        if shared:
            self.root.mkdir(parents=True, exist_ok=True)
            self._turn = Turn(self.root / f".{self.folder.name}.lock")
        print(f"{self.script} → {short(self.folder)}", flush=True)
        own = settings_in(contract)
        self._name_demo_preset(own)
        upstream = {n: self._finished_stamp(n) for n in reads}
        self._stamp = self._new_stamp(own - set(unused), upstream, rules)
        if self._stamp_file.exists():
            self._check_own_folder(
                rules, {name for stamp in upstream.values() for name in stamp.get("growing", ())}
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = FolderLock(self.folder, self.script, short(self.folder), shared=shared)
        versions = provenance.versions(study.packages)
        if other := provenance.lock_differences(versions):
            print(f"  {other}", flush=True)
        begin_log(self.root / "logs", self.script, versions | {"commit": provenance.git_commit()})

    @property
    def is_begun(self) -> bool:
        """Whether the folder's settings are stamped, and so other ones are refused."""
        return self._stamp_file.exists()

    def folder_of(self, number: int) -> Path:
        return self.root / self.study.step(number).folder

    def each(
        self,
        work: Callable,
        units: Iterable,
        plural: str,
        files: Callable[[Any], Files] | None = None,
        *,
        joined: Callable[[Any], Files] | None = None,
        valid: Callable[[Any], bool] | None = None,
        name_of: Callable[[Any], UnitName] | None = None,
    ) -> None:
        """Call ``work(unit)`` for every unit that is not done, ``N_JOBS`` at a time or on ``DASK_SCHEDULER``'s workers.

        A unit is done if all its files exist. ``work`` writes each of them completely or not at all, and a file
        that it writes only sometimes before one that it always writes.

        Parameters
        ----------
        plural : name of the units, in the plural.
        files : ``files(unit)``, the file or the files that ``work(unit)`` writes; None: a unit is the path of its file.
        joined : ``joined(unit)``, files into which a later step joins the files of units before it deletes them. Where
            these exist, the unit is done too.
        valid : ``valid(unit)`` tells whether files that exist also hold the result that is wanted now. For units that
            a change of settings or of other results makes again.
        name_of : what a unit is called in progress messages, where a unit may take minutes. Its work
            says how far it is with :func:`neuroface.pipeline.progress.note_progress`.
        """
        of_units = UnitFiles(files, joined, valid)
        if missing := missing_units(units, of_units, plural):
            self._worked = True
            # Backends of all runs that wrote results here: a resumed script may use another one.
            self._stamp["backends"] = sorted(
                {*self._stamp["backends"], provenance.backend()} - {None}
            )
            if not self._is_stamped:
                write_json(self._stamp_file, self._stamp)  # the folder is now unfinished
            make_units(work, missing, of_units, plural, self.folder, self.cfg, self.script, name_of)

    def share(self) -> None:
        """Let the other runs that share the folder go on: what all of them need is there."""
        if self._turn:
            stamp = self._stamp_file
            if not (stamp.exists() and provenance.read_stamp(self.folder).get("finished")):
                write_json(stamp, self._stamp)
            self._is_stamped = True
            self._turn.over()

    def take_files(self, files: Iterable[Path], used: Iterable[Path]) -> None:
        """Record the files of the data set that this folder is made from; raise if it was started with others.

        Parameters
        ----------
        used : files that finished units were made from. Others may change, so repairing a file
        loses no finished work.
        """
        self._input_files = list(dict.fromkeys(files))
        name_of = distinct_names(self._input_files)
        names_used = {name_of[file] for file in used}
        self._stamp["files"] = fingerprints = {
            name_of[file]: provenance.fingerprint(file) for file in self._input_files
        }
        old = (
            provenance.read_stamp(self.folder).get("files", {})
            if self._stamp_file.exists()
            else fingerprints
        )
        for name in sorted(old.keys() | fingerprints.keys()):
            in_both = name in old and name in fingerprints
            if old.get(name) != fingerprints.get(name) and (name in names_used or not in_both):
                happened = (
                    "is new"
                    if name not in old
                    else "is gone"
                    if name not in fingerprints
                    else "has changed"
                )
                raise NeuroFaceError(
                    f"{name} {happened} since {short(self.folder)} was made. Delete {short(self.folder)} and run "
                    f"{self.script} again, or choose another RUN_NAME."
                )

    def leave_out(self, item: str, why: str) -> None:
        """Print something that is left out of the results; it is listed again at the end and in the report."""
        self.left_out.append((item, why))
        print(f"  left out: {item}: {why}", flush=True)

    def finish(self, wrote: str, section: "report.Section") -> None:
        """Mark the folder complete, add this script's section to the report, print the results and the next script."""
        for leftover in list(self.folder.rglob(f"{PARTIAL}*")):  # of a run that was killed
            if leftover.is_dir():
                shutil.rmtree(leftover)
            else:
                leftover.unlink(missing_ok=True)
        self._mark_finished()
        if why := describe_run(self.root, self.study, Path(self.cfg.DATASET_DIR)):
            self.leave_out("description as a BIDS derivative", why)
        if self.left_out:
            section.table(["left out", "why"], self.left_out, "Left out")
        page = report.add_section(self.study, self.root, self.folder, section)
        for item, why in self.left_out:
            print(f"  left out: {item}: {why}")
        print(f"  wrote {wrote} in {time.monotonic() - self._started:.0f} s; report: {short(page)}")
        following = self.study.after(self.number)
        print(
            f"  next: python {following.script}" if following else "  that was the last script",
            flush=True,
        )

    # ---------------------------------------------------------------- the stamp

    @property
    def _stamp_file(self) -> Path:
        return self.folder / provenance.STAMP

    def _new_stamp(self, own: set[str], upstream: dict[int, dict], rules: Rules) -> dict:
        names = own | {"DATASET", "RUN_NAME"}
        for stamp in upstream.values():
            names |= set(stamp["settings"]) - set(stamp["aside"])
        before = provenance.read_stamp(self.folder) if self._stamp_file.exists() else {}
        return {
            "script": self.script,
            "settings": {
                n: provenance.stamped(self.cfg, n, self.study.settings) for n in sorted(names)
            },
            "aside": sorted(rules.aside),
            "growing": sorted(
                {
                    *rules.growing,
                    *(name for s in upstream.values() for name in s.get("growing", ())),
                }
            ),
            "inputs": {self.study.step(n).folder: stamp["digest"] for n, stamp in upstream.items()},
            "versions": provenance.versions(self.study.packages),
            "commit": provenance.git_commit(),
            "backends": before.get("backends", []),
            "finished": None,
        }

    def _mark_finished(self) -> None:
        old = read_json(self._stamp_file) if self._stamp_file.exists() else {}
        digest = self._write_manifest()
        self._stamp["digest"] = digest
        same = all(
            old.get(key) == self._stamp[key] for key in ("digest", "settings", "aside", "growing")
        )
        if self._worked or not old.get("finished") or not same:
            self._stamp |= {
                "left_out": [list(row) for row in self.left_out],
                "seconds": round(time.monotonic() - self._started, 1),
                "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
                "machine": provenance.machine(),
            }
            write_json(self._stamp_file, self._stamp)

    def _write_manifest(self) -> str:
        """Describe every result and every input in ``manifest.json``; returns the results' digest."""
        file, dataset = self.folder / provenance.MANIFEST, Path(self.cfg.DATASET_DIR)
        old = read_json(file) if file.exists() else {}
        outputs = provenance.describe_outputs(self.folder, old.get("outputs", {}))
        inputs = provenance.describe_inputs(self._input_files, dataset, old.get("inputs", {}))
        side = list(self._side_results)
        write_json(
            file,
            {"outputs": outputs, "inputs": inputs, "dataset": str(dataset), "side_results": side},
        )
        return provenance.digest(outputs, self._side_results)

    def _name_demo_preset(self, settings: set[str]) -> None:
        moved = demo_differences(self.study.settings, self.cfg)
        smaller = [
            name if isinstance(here, dict) else f"{name} {here} (else {there})"
            for name, (here, there) in moved.items()
            if name in settings | {"N_JOBS"}
        ]
        if smaller:
            print(f"  smaller for the demo: {', '.join(smaller)}", flush=True)

    # ---------------------------------------------------------------- inputs, and existing results

    def _finished_stamp(self, number: int) -> dict:
        folder, script = self.folder_of(number), self.study.step(number).script
        if not (folder / provenance.STAMP).exists():
            raise NeuroFaceError(f"{short(folder)} is not there yet. Run: python {script}")
        stamp = provenance.read_stamp(folder)
        compare_upstream(stamp, self.cfg, self.study.settings, short(folder), script)
        if not stamp.get("finished"):
            raise NeuroFaceError(
                f"{short(folder)} is not complete. Run again: python {script} (it resumes)"
            )
        # Without this check a lost map would silently reduce the number of people in a mean.
        _raise_first(
            provenance.differences(
                folder, provenance.read_manifest(folder, script)["outputs"], script
            )
        )
        return stamp

    def _check_own_folder(self, rules: Rules, inherited: set[str]) -> None:
        stamp = provenance.read_stamp(self.folder)
        if not stamp.get("finished") and not provenance.results_in(self.folder):
            return  # started, and stopped before any result was written
        compare_own(
            stamp, self.cfg, self.study.settings, rules, inherited, short(self.folder), self.script
        )
        for name, digest in self._stamp["inputs"].items():
            if stamp["inputs"].get(name) != digest:
                raise NeuroFaceError(
                    f"{short(self.folder)} was made from an earlier {name}, which has changed since. "
                    f"Delete {short(self.folder)} and run {self.script} again, or choose another RUN_NAME."
                )
        if stamp.get("finished") and (self.folder / provenance.MANIFEST).is_file():
            # A result that something else changed must not be kept as this script's result; a lost
            # one is made again.
            outputs = provenance.read_manifest(self.folder, self.script)["outputs"]
            here = {name: old for name, old in outputs.items() if (self.folder / name).is_file()}
            _raise_first(
                provenance.differences(
                    self.folder, here, self.script, content=True, unless_as_old_as=here
                )
            )


def distinct_names(files: list[Path]) -> dict[Path, str]:
    """File → its name; with the names of as many folders before it as tell it from the other files."""
    names = {file: file.name for file in files}
    for depth in range(2, 1 + max((len(file.parts) for file in names), default=0)):
        counts = Counter(names.values())
        if max(counts.values()) == 1:
            break
        alike = [file for file, name in names.items() if counts[name] > 1]
        names |= {file: "/".join(file.parts[-depth:]) for file in alike}
    return names


def settings_in(contract: str) -> set[str]:
    """Names of the settings that a script's docstring lists under "Settings".

    Raises
    ------
    RuntimeError
        If there is no such paragraph, for example under ``python -OO``, which removes docstrings.
    """
    section = re.search(
        r"^Settings\b(.*?)^(?:Takes\b|\Z)", contract or "", re.DOTALL | re.MULTILINE
    )
    if not section:
        raise RuntimeError(
            'the script has no docstring with "Settings" and "Takes" (python -OO removes docstrings)'
        )
    return set(re.findall(r"\b[A-Z][A-Z_]{3,}\b", section[1]))


def _raise_first(wrong: list[str]) -> None:
    if wrong:
        raise NeuroFaceError(
            f"{wrong[0]}{f' (and {len(wrong) - 1} more files)' if len(wrong) > 1 else ''}"
        )
