"""The numbered scripts of the face study as one command, with the arguments of a BIDS App.

    python -m neuroface BIDS_DIR OUT participant --participant-label 01   script 1 for one person
    python -m neuroface BIDS_DIR OUT group                                what is left of script 1, and the others

It runs the scripts themselves with DATASET_DIR = BIDS_DIR and OUT = DATA_DIR/RUN_NAME, so it writes what they write.
People may be done at the same time. DATASET is "bids" unless the file of ``--config`` says otherwise.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from neuroface import NeuroFaceError, __version__
from neuroface.bold import surface_space
from neuroface.face_study.settings import FaceSettings
from neuroface.face_study.study import STUDY
from neuroface.pipeline import errors_in_one_line, experiment_text, load_settings

ROOT = Path(__file__).parents[2]
FIRST, SURFACES = STUDY.step(1), STUDY.step(7)


def run_in_process(script: str, experiment: Path, *arguments: str) -> int:
    """Run a script of the study in a process of its own; returns its exit code."""
    environment = os.environ | {"NEUROFACE_CONFIG": str(experiment)}
    return subprocess.run([sys.executable, ROOT / script, *arguments], env=environment).returncode


def app_command(
    arguments: list[str] | None = None, run: Callable[..., int] = run_in_process
) -> None:
    """Parse the arguments of a BIDS App and run the scripts.

    Parameters
    ----------
    arguments : by default those of the command line.
    run : (script, experiment file, arguments of the script) → exit code.
    """
    chosen = _parser().parse_args(arguments)
    with errors_in_one_line(), tempfile.TemporaryDirectory() as folder:
        experiment = _write_experiment(Path(folder), chosen)
        cfg = load_settings(FaceSettings, ROOT / "config.py", experiment)
        for script, given in _calls(chosen, cfg):
            if script == SURFACES.script and _lacks_mesh(cfg):
                print(
                    f"left out: {script}, which needs a mesh of both hemispheres. "
                    f"{FIRST.folder}/ has none; docs/bids.md#surfaces says where to put it",
                    flush=True,
                )
                continue
            if run(script, experiment, *given):
                raise NeuroFaceError(
                    f"{script} stopped, for the reason above. Solve it and give the same command again; finished work "
                    "is kept."
                )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m neuroface", description=__doc__.split("\n")[0])
    parser.add_argument("bids_dir", type=Path, metavar="BIDS_DIR", help="the data set")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of the results")
    parser.add_argument("level", choices=("participant", "group"))
    parser.add_argument(
        "--participant-label",
        "--participant_label",
        nargs="+",
        default=[],
        metavar="LABEL",
        help="people, with or without sub-; by default all",
    )
    parser.add_argument(
        "--config", type=Path, help="an experiment file: differences from config.py"
    )
    parser.add_argument(
        "--until",
        type=int,
        choices=[step.number for step in STUDY.steps],
        default=STUDY.steps[-1].number,
        help="the last script of the group level",
    )
    parser.add_argument("--version", action="version", version=f"NeuroFaceCNN {__version__}")
    return parser


def _calls(chosen: argparse.Namespace, cfg: FaceSettings) -> list[tuple[str, list[str]]]:
    """Scripts to run, each with its arguments; no surface figures in native space."""
    people = [f"sub-{label.removeprefix('sub-')}" for label in chosen.participant_label]
    if chosen.level == "participant":
        return [(FIRST.script, ["--participants", *people] if people else [])]
    if people:
        raise NeuroFaceError(
            "--participant-label has no meaning at the group level. Name the people in INCLUDE of the file of --config."
        )
    steps = [step for step in STUDY.steps if step.number <= chosen.until]
    if cfg.SPACE == "native" and SURFACES in steps:
        steps.remove(SURFACES)
        print(
            f"left out: {SURFACES.script}, which needs MNI space or BOLD on the surface; SPACE is {cfg.SPACE!r}",
            flush=True,
        )
    return [(step.script, []) for step in steps]


def _lacks_mesh(cfg: FaceSettings) -> bool:
    """Whether script 1 found the places of a study on the cortical surface, but no mesh of both hemispheres."""
    space = surface_space(Path(cfg.DATA_DIR) / cfg.RUN_NAME / FIRST.folder)
    return cfg.SPACE == "surface" and space is not None and len(space.meshes) < 2


def _write_experiment(folder: Path, chosen: argparse.Namespace) -> Path:
    """The experiment file for the scripts: that of ``--config`` with the two folders of the command."""
    if not chosen.bids_dir.is_dir():
        raise NeuroFaceError(f"BIDS_DIR = {chosen.bids_dir} is not a folder.")
    out = chosen.out.resolve()
    settings = {
        "DATASET_DIR": str(chosen.bids_dir.resolve()),
        "DATA_DIR": str(out.parent),
        "RUN_NAME": out.name,
    }
    if chosen.config is not None and not chosen.config.is_file():
        raise NeuroFaceError(f"--config names {chosen.config}, but there is no such file.")
    file = folder / (chosen.config.name if chosen.config else "bids_app.py")
    text = experiment_text(chosen.config, **settings)
    file.write_text(f'{text}DATASET = globals().get("DATASET", "bids")\n')
    return file
