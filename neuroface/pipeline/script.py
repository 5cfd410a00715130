"""How a script starts and ends: its arguments, its log, its errors in one line."""

import argparse
import errno
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.pipeline.log import logged

WHAT_TO_DO = {
    errno.ENOSPC: "Free space there",
    errno.EDQUOT: "Free space there, or ask for a larger quota",
    errno.EFBIG: "Raise the limit on the size of a file (ulimit -f)",
    errno.EROFS: "Make it writable, or choose another DATA_DIR",
    errno.EACCES: "Change its permissions, or choose another folder",
    errno.EPERM: "Change its permissions, or choose another folder",
}


def run_script(
    main,
    *,
    check=None,
    follow=None,
    participants=None,
    parser: argparse.ArgumentParser | None = None,
) -> None:
    """Run a script's ``main``: problems with data or settings become one line on stderr and exit code 1.

    Parameters
    ----------
    check : function that ``--check`` calls instead of ``main``; None if the script has no such
    mode.
    follow : function that ``--follow FOLDER`` calls with FOLDER instead of ``main``; None if there
    is no such mode.
    participants : function that ``--participants LABEL …`` calls with the labels instead of ``main``; None if there
    is no such mode.
    parser : argument parser of a script with arguments of its own; ``main`` gets the parsed arguments.
    """
    work, arguments = main, sys.argv[1:]
    if parser:
        work = partial(main, parser.parse_args(arguments))
    elif check and arguments == ["--check"]:
        work = check
    elif follow and len(arguments) == 2 and arguments[0] == "--follow":
        work = partial(follow, arguments[1])
    elif participants and len(arguments) > 1 and arguments[0] == "--participants":
        work = partial(participants, tuple(arguments[1:]))
    elif arguments:
        modes = {
            "--check": check,
            "--follow FOLDER": follow,
            "--participants SUB …": participants,
        }
        there = " | ".join(mode for mode, work_of_mode in modes.items() if work_of_mode)
        mode = f" [{there}]" if there else ""
        call = f"python {Path(sys.argv[0]).name}{mode}"
        print(f"usage: {call}   (settings: config.py, or NEUROFACE_CONFIG)", file=sys.stderr)
        sys.exit(2)
    with logged(), errors_in_one_line():
        work()


@contextmanager
def errors_in_one_line():
    """Turn an error that the user can correct into one line on stderr and exit code 1; other errors keep their traceback."""
    try:
        yield
    except NeuroFaceError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        advice = WHAT_TO_DO.get(error.errno or 0, "Solve this problem")
        where = f": {error.filename}" if error.filename else ""
        sys.exit(
            f"error: {error.strerror or error}{where}. {advice} and run again; finished work is kept."
        )
    except KeyboardInterrupt:
        sys.exit("\nstopped. Finished work is kept; run the same script again to continue.")
    except Exception as error:  # a full GPU memory raises no specific class
        text = f"{type(error).__name__} {error}"
        if (
            not isinstance(error, MemoryError)
            and "RESOURCE_EXHAUSTED" not in text
            and "ResourceExhausted" not in text
        ):
            raise
        sys.exit(
            "error: the memory is full. Lower N_JOBS or INFERENCE_BATCH and run again; finished work is kept."
        )
