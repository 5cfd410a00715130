"""What the eight scripts have in common: check the inputs, remember the settings, resume, report, fail in one line."""

import errno
import fcntl
import sys
import time
from collections.abc import Iterable
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from neuroface import NeuroFaceError, provenance, report
from neuroface.files import PARTIAL, STAGES, read_json, write_json
from neuroface.settings import demo_differences
from neuroface.workers import run_units

WHAT_TO_DO = {
    errno.ENOSPC: "Free space there",
    errno.EDQUOT: "Free space there, or ask for a larger quota",
    errno.EFBIG: "Raise the limit on the size of a file (ulimit -f)",
    errno.EROFS: "Make it writable, or choose another DATA_DIR",
    errno.EACCES: "Change its permissions, or choose another folder",
    errno.EPERM: "Change its permissions, or choose another folder",
}

# Settings of a script that change nothing in what later scripts read: number → names.
ASIDE = {
    3: ("ROI_FILE", "BASELINES", "N_PERMUTATIONS", "N_PERMUTATIONS_CNN"),
    4: ("ATTRIBUTION_CHECKS", "CHECK_WINDOWS"),
}
MADE_ANEW = ASIDE[4]  # what they make is made again, for little, when they change
# What is added is made, the rest stays; the first of MODELS stays first, since the nulls are about it.
GROWING = ("ATTRIBUTION_METHODS", "MODELS", "MODEL_OPTIONS")


class Stage:
    """One script at work in its folder of ``data/<RUN_NAME>/``.

    Parameters
    ----------
    number : the script's number, 1 to 8.
    cfg : settings, from :func:`neuroface.settings.load_settings`.
    settings : names of the settings that change this script's results; they are stamped into ``settings.json``.
    reads : numbers of the scripts whose output this one reads. Their stamped settings count as this one's too.

    Raises
    ------
    NeuroFaceError
        If an input is missing, unfinished, or made under other settings, or if this script's own folder holds results
        made under other settings or from other inputs.
    """

    def __init__(
        self, number: int, cfg, settings: tuple[str, ...], reads: tuple[int, ...] = (), unused: tuple[str, ...] = ()
    ):
        self.number, self.cfg = number, cfg
        self.root = Path(cfg.DATA_DIR) / cfg.RUN_NAME
        self.folder = self.folder_of(number)
        self.script = STAGES[number][1]
        self.left_out: list[tuple[str, str]] = []
        self._started = time.monotonic()
        self._worked = False
        print(f"{self.script} → {_short(self.folder)}", flush=True)
        self._name_demo_preset(settings)
        upstream = {n: self._finished_stamp(n) for n in reads}
        names = set(settings) - set(unused)
        names |= {name for n, stamp in upstream.items() for name in stamp["settings"] if name not in ASIDE.get(n, ())}
        self._stamp = {
            "script": self.script,
            "settings": {name: provenance.stamped(cfg, name) for name in sorted(names | {"DATASET", "RUN_NAME"})},
            "inputs": {STAGES[n][0]: stamp["digest"] for n, stamp in upstream.items()},
            "versions": provenance.versions(),
            "commit": provenance.git_commit(),
            "backends": provenance.read_stamp(self.folder).get("backends", []) if self._stamp_file.exists() else [],
            "finished": None,
        }
        self._input_files: list[Path] = []
        self._check_own_folder()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = open(self.folder / ".lock", "w")  # held until this process ends, however it ends
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NeuroFaceError(
                f"Another run of {self.script} is at work in {_short(self.folder)}. Wait for it, or stop it first."
            ) from None

    def __getstate__(self) -> dict:
        """What a worker process gets to see: everything but the lock, which stays with the script."""
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def folder_of(self, number: int) -> Path:
        return self.root / STAGES[number][0]

    def each(self, work, units, done, what: str) -> None:
        """Call ``work(unit)`` for every unit that is not done, ``N_JOBS`` at a time or on ``DASK_SCHEDULER``'s workers.

        Parameters
        ----------
        work : writes the unit's files, the one that ``done`` looks for last. See :func:`neuroface.workers.run_units`.
        done : ``done(unit)`` tells whether an earlier run of this script made it.
        what : name of the units, in the plural.
        """
        units = list(units)
        missing = [unit for unit in units if not done(unit)]
        if len(missing) < len(units):
            print(f"  {what}: {len(units) - len(missing)} of {len(units)} already there, not made again", flush=True)
        if not missing:
            return
        self._worked = True
        # Of all runs that made something here: a resumed script may compute with another one.
        self._stamp["backends"] = sorted({*self._stamp["backends"], provenance.backend()} - {None})
        write_json(self._stamp_file, self._stamp)  # unfinished from here on

        def once(unit):  # a cluster gives a unit out again when the worker that made it dies before it can say so
            if not done(unit):
                work(unit)

        run_units(once, missing, self.cfg.N_JOBS, what, self.cfg.DASK_SCHEDULER)
        list(self.folder.rglob("*"))  # a network file system may still remember that a file was not there
        if lost := [unit for unit in missing if not done(unit)]:
            raise NeuroFaceError(
                f"{len(lost)} of {len(missing)} {what} are not in {_short(self.folder)}, though no worker failed. Do all "
                f"workers see that folder under the same path? Run {self.script} again; it resumes."
            )

    def take_files(self, files: Iterable[Path], used: Iterable[Path]) -> None:
        """Remember which files of the data set this folder is made from; raise if it was begun with others.

        Parameters
        ----------
        used : those that finished units were made from. Others may change: to repair a file costs no finished work.
        """
        used = {file.name for file in used}
        self._input_files = list(dict.fromkeys(files))
        self._stamp["files"] = fingerprints = {file.name: provenance.fingerprint(file) for file in self._input_files}
        old = provenance.read_stamp(self.folder).get("files", {}) if self._stamp_file.exists() else fingerprints
        for name in sorted(old.keys() | fingerprints.keys()):
            in_both = name in old and name in fingerprints
            if old.get(name) != fingerprints.get(name) and (name in used or not in_both):
                happened = "is new" if name not in old else "is gone" if name not in fingerprints else "has changed"
                raise NeuroFaceError(
                    f"{name} {happened} since {_short(self.folder)} was made. Delete {_short(self.folder)} and run "
                    f"{self.script} again, or choose another RUN_NAME."
                )

    def leave_out(self, what: str, why: str) -> None:
        """Note something that will not be in the results; repeated at the end and in the report."""
        self.left_out.append((what, why))
        print(f"  left out: {what}: {why}", flush=True)

    def finish(self, wrote: str, section: "report.Section") -> None:
        """Mark the folder complete, add this script's section to the report, say what was written and what comes next."""
        for leftover in self.folder.rglob(f"{PARTIAL}*"):
            leftover.unlink()  # left by a killed run whose unit was then made under another name
        old = read_json(self._stamp_file) if self._stamp_file.exists() else {}
        digest = self._write_manifest()
        same = old.get("digest") == digest and old.get("settings") == self._stamp["settings"]
        if self._worked or not old.get("finished") or not same:
            self._stamp |= {
                "digest": digest,
                "left_out": [list(row) for row in self.left_out],
                "seconds": round(time.monotonic() - self._started, 1),
                "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
                "machine": provenance.machine(),
            }
            write_json(self._stamp_file, self._stamp)
        if self.left_out:
            section.table(["left out", "why"], self.left_out, "Left out")
        page = report.add_section(self.root, self.folder, section)
        for what, why in self.left_out:
            print(f"  left out: {what}: {why}")
        print(f"  wrote {wrote} in {time.monotonic() - self._started:.0f} s; report: {_short(page)}")
        following = STAGES.get(self.number + 1)
        print(f"  next: python {following[1]}" if following else "  that was the last script", flush=True)

    def _write_manifest(self) -> str:
        """Describe every result and every input in ``manifest.json``; returns the results' digest."""
        file, dataset = self.folder / provenance.MANIFEST, Path(self.cfg.DATASET_DIR)
        old = read_json(file) if file.exists() else {}
        outputs = provenance.describe_outputs(self.folder, old.get("outputs", {}))
        inputs = provenance.describe_inputs(self._input_files, dataset, old.get("inputs", {}))
        write_json(file, {"outputs": outputs, "inputs": inputs, "dataset": str(dataset)})
        return provenance.digest(outputs)

    def _name_demo_preset(self, settings: tuple[str, ...]) -> None:
        moved = demo_differences(self.cfg, Path(__file__).parent.parent / "config.py")
        mine = [
            name if isinstance(here, dict) else f"{name} {here} (else {there})"
            for name, (here, there) in moved.items()
            if name in (*settings, "N_JOBS")
        ]
        if mine:
            print(f"  smaller for the demo: {', '.join(mine)}", flush=True)

    @property
    def _stamp_file(self) -> Path:
        return self.folder / provenance.STAMP

    def _finished_stamp(self, number: int) -> dict:
        folder, script = self.folder_of(number), STAGES[number][1]
        if not (folder / provenance.STAMP).exists():
            raise NeuroFaceError(f"{_short(folder)} is not there yet. Run: python {script}")
        stamp = provenance.read_stamp(folder)
        self._compare(stamp["settings"], folder, script, ASIDE.get(number, ()))
        if not stamp.get("finished"):
            raise NeuroFaceError(f"{_short(folder)} is not complete. Run again: python {script} (it resumes)")
        # A map that got lost would make a mean over fewer people, and nobody would know.
        if wrong := provenance.differences(folder, provenance.read_manifest(folder, script)["outputs"], script):
            raise NeuroFaceError(f"{wrong[0]}{f' (and {len(wrong) - 1} more files)' if len(wrong) > 1 else ''}")
        return stamp

    def _check_own_folder(self) -> None:
        if not self._stamp_file.exists():
            return
        stamp = provenance.read_stamp(self.folder)
        if not stamp.get("finished") and not provenance.results_in(self.folder):
            return  # begun, and stopped before anything was made
        self._compare(stamp["settings"], self.folder, self.script, MADE_ANEW, own=True)
        for name, digest in self._stamp["inputs"].items():
            if stamp["inputs"].get(name) != digest:
                raise NeuroFaceError(
                    f"{_short(self.folder)} was made from an earlier {name}, which has changed since. "
                    f"Delete {_short(self.folder)} and run {self.script} again, or choose another RUN_NAME."
                )
        if stamp.get("finished") and (self.folder / provenance.MANIFEST).is_file():
            self._refuse_what_others_changed(provenance.read_manifest(self.folder, self.script)["outputs"])

    def _refuse_what_others_changed(self, outputs: dict) -> None:
        """A result that is not as this script left it must not pass for its own; one that is gone is made anew."""
        here = {name: old for name, old in outputs.items() if (self.folder / name).is_file()}
        if wrong := provenance.differences(self.folder, here, self.script, content=True, unless_as_old_as=here):
            raise NeuroFaceError(f"{wrong[0]}{f' (and {len(wrong) - 1} more files)' if len(wrong) > 1 else ''}")

    def _compare(self, stamped: dict, folder: Path, script: str, apart=(), own: bool = False) -> None:
        for name, old in stamped.items():
            new = provenance.stamped(self.cfg, name)
            if name in apart or new == old:
                continue
            if not (name in GROWING and _only_grown(name, old, new, stamped)):
                raise NeuroFaceError(
                    f"{_short(folder)} was made with {name} = {old!r}; the setting is now {new!r}. Choose another "
                    f"RUN_NAME, set {name} back, or delete that folder and run {script} again."
                )
            if not own and name != "MODEL_OPTIONS":  # options of a network that is missing: MODELS says so
                raise NeuroFaceError(
                    f"{_short(folder)} lacks some of {name} = {new!r}. Run: python {script}   It makes what is missing, or "
                    f"says what to delete."
                )


def run_script(main, *, check=None, follow=None) -> None:
    """Run a script's ``main``: problems with data or settings become one line on stderr and exit code 1.

    Parameters
    ----------
    check : what ``--check`` calls in place of ``main``; None where a script has no such mode.
    follow : what ``--follow FOLDER`` calls in place of ``main``, with FOLDER; None likewise.
    """
    work, arguments = main, sys.argv[1:]
    if check and arguments == ["--check"]:
        work = check
    elif follow and len(arguments) == 2 and arguments[0] == "--follow":
        work = partial(follow, arguments[1])
    elif arguments:
        mode = " [--check]" if check else " [--follow FOLDER]" if follow else ""
        call = f"python {Path(sys.argv[0]).name}{mode}"
        print(f"usage: {call}   (settings: config.py, or NEUROFACE_CONFIG)", file=sys.stderr)
        sys.exit(2)
    with errors_in_one_line():
        work()


@contextmanager
def errors_in_one_line():
    """What a person can mend becomes one line on stderr and exit code 1; an error in this code keeps its traceback."""
    try:
        yield
    except NeuroFaceError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        advice = WHAT_TO_DO.get(error.errno, "See to it")
        where = f": {error.filename}" if error.filename else ""
        sys.exit(f"error: {error.strerror or error}{where}. {advice} and run again; what is finished is kept.")
    except KeyboardInterrupt:
        sys.exit("\nstopped. What is finished is kept; run the same script again to go on.")
    except Exception as error:  # the memory of a GPU has no class of its own
        text = f"{type(error).__name__} {error}"
        if not isinstance(error, MemoryError) and "RESOURCE_EXHAUSTED" not in text and "ResourceExhausted" not in text:
            raise
        sys.exit("error: the memory is full. Lower N_JOBS or INFERENCE_BATCH and run again; what is finished is kept.")


def _only_grown(name: str, old, new, stamped: dict) -> bool:
    """Whether a list of names kept what it had, or options those of the networks that there were."""
    if name == "MODEL_OPTIONS":
        return all(old.get(model) == new.get(model) for model in stamped["MODELS"])
    return set(old) <= set(new) and (name != "MODELS" or old[0] == new[0])


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
