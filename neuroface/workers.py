"""Run independent units of work, one after another or in worker processes, behind one progress bar."""

import os
import sys
import threading
import time
import warnings
from concurrent.futures.process import BrokenProcessPool

import cloudpickle
import joblib
from tqdm import tqdm

from neuroface import NeuroFaceError


def run_units(work, units: list, n_jobs: int, what: str) -> None:
    """Call ``work(unit)`` for all units, ``n_jobs`` at a time.

    Parameters
    ----------
    work : a function; it may be a script's own, with what it closes over. Large arrays should reach it as paths.
    what : name of the units, in the plural, for the progress bar.

    Raises
    ------
    NeuroFaceError
        If a worker process dies, as it does when memory runs out. Errors of ``work`` come through as they are.
    """
    n_jobs = min(n_jobs, len(units))
    if n_jobs == 1:
        _show_progress(map(work, units), len(units), what)
        return
    threads = max(1, (os.cpu_count() or 1) // n_jobs)
    # joblib limits BLAS and OpenMP in its workers; TensorFlow has a pool of its own.
    os.environ |= {"TF_NUM_INTRAOP_THREADS": str(threads), "TF_NUM_INTEROP_THREADS": str(threads)}
    # TensorFlow keeps some memory after each fold; joblib then renews the worker, and no work is lost.
    warnings.filterwarnings("ignore", "A worker stopped while some jobs were given to the executor")
    pickled, keras_too = cloudpickle.dumps(work), "neuroface.backend" in sys.modules
    with joblib.parallel_config(backend="loky", inner_max_num_threads=threads):
        calls = joblib.Parallel(n_jobs, return_as="generator_unordered")(
            joblib.delayed(_in_worker)(pickled, unit, keras_too, os.getpid()) for unit in units
        )
        try:
            _show_progress(calls, len(units), what)
        except BrokenProcessPool:
            raise NeuroFaceError(
                f"A worker process was killed while making {what}, most likely for lack of memory. "
                f"Lower N_JOBS (now {n_jobs}) and run this script again; it resumes."
            ) from None


def _in_worker(pickled_work: bytes, unit, keras_too: bool, parent: int) -> None:
    if "end-with-parent" not in {thread.name for thread in threading.enumerate()}:
        threading.Thread(target=_end_with_parent, args=(parent,), name="end-with-parent", daemon=True).start()
    if keras_too:
        import neuroface.backend  # noqa: F401  first, so that what TensorFlow says on import is held back
    cloudpickle.loads(pickled_work)(unit)


def _end_with_parent(parent: int) -> None:
    """End this worker when the script is killed: it would go on writing beside a rerun."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _show_progress(results, total: int, what: str) -> None:
    """Exhaust ``results`` behind a bar, or behind a plain line now and then where the output is not a terminal."""
    if sys.stderr.isatty():
        for _ in tqdm(results, total=total, desc=f"  {what}", unit=""):
            pass
        return
    last = time.monotonic()
    for count, _ in enumerate(results, 1):
        if count == total > 1 or time.monotonic() - last > 10:
            print(f"  {what}: {count} of {total}", flush=True)
            last = time.monotonic()
