"""Run independent units of work one after another, in worker processes or on a Dask cluster, with one progress bar."""

import io
import os
import random
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from neuroface import NeuroFaceError
from neuroface.pipeline.progress import Progress, UnitName, unit_progress

import cloudpickle
import joblib

CONNECT_S = 10  # to the scheduler
WAIT_FOR_WORKERS_S = (
    600  # for a first worker, or another one after the last has died: a queue may be slow
)
LOOK_FOR_WORKERS_S = 5  # how often, while no unit is done


def run_units(
    work,
    units: list,
    n_jobs: int,
    plural: str,
    scheduler: str | None = None,
    name_of: Callable[[Any], UnitName] | None = None,
) -> None:
    """Call ``work(unit)`` for all units, ``n_jobs`` at a time.

    Parameters
    ----------
    work : a function; it may be defined in a script and use its local variables. Pass large arrays
    as paths.
    plural : name of the units, in the plural, for the progress bar.
    scheduler : address of a Dask scheduler, whose workers then do the units instead of this
        machine. A unit whose worker dies is given to another worker.
    name_of : what a unit is called in progress messages; None: only their number is shown.

    Raises
    ------
    NeuroFaceError
        If a worker process dies, for example because memory runs out; on a cluster, if several
        workers or the last one die with the same unit, or if no scheduler or worker answers. Errors
        of ``work`` are raised unchanged.
    """
    names = [name_of(unit) if name_of else UnitName(plural, "") for unit in units]
    with Progress(names, n_jobs, plural) as progress:
        if scheduler:
            texts = [
                name.name or _called(unit, number, plural)
                for number, (name, unit) in enumerate(zip(names, units), start=1)
            ]
            _run_on_cluster(work, units, scheduler, progress, texts)
        elif n_jobs == 1:
            for number, unit in enumerate(units):
                with unit_progress(progress.file(number)):
                    work(unit)
                progress.count()
        else:
            _run_in_workers(work, units, n_jobs, progress)


def _run_in_workers(work, units: list, n_jobs: int, progress: Progress) -> None:
    # Depends on N_JOBS, not on the units that are left: the same number of threads gives the same
    # sums after a resume.
    threads = max(1, (os.cpu_count() or 1) // n_jobs)
    # joblib limits BLAS and OpenMP in its workers; TensorFlow has a separate thread pool.
    os.environ |= {"TF_NUM_INTRAOP_THREADS": str(threads), "TF_NUM_INTEROP_THREADS": str(threads)}
    # TensorFlow keeps some memory after each fold; joblib then replaces the worker without losing
    # work.
    warnings.filterwarnings("ignore", "A worker stopped while some jobs were given to the executor")
    pickled, keras_too = cloudpickle.dumps(work), "neuroface.pipeline.backend" in sys.modules
    with joblib.parallel_config(backend="loky", inner_max_num_threads=threads):
        # joblib would run a single unit in this process; with 2 workers it starts one.
        calls = joblib.Parallel(min(n_jobs, max(2, len(units))), return_as="generator_unordered")(
            joblib.delayed(_in_worker)(pickled, unit, keras_too, os.getpid(), progress.file(number))
            for number, unit in enumerate(units)
        )
        try:
            for text in calls:
                progress.count(text)
        except BrokenProcessPool:
            raise NeuroFaceError(
                f"A worker process was killed while making {progress.plural}, most likely for lack of memory. "
                f"Lower N_JOBS (now {n_jobs}) and run this script again; it resumes."
            ) from None


def _run_on_cluster(
    work, units: list, scheduler: str, progress: Progress, texts: list[str]
) -> None:
    """Use Dask's client directly: joblib's Dask backend waits forever when a unit kills its workers.

    The machines of a cluster do not say how far a unit is. ``texts``: what messages call each unit.
    """
    try:
        from distributed import CancelledError, Client, TimeoutError
        from distributed.scheduler import KilledWorker
    except ImportError:
        raise NeuroFaceError(
            'DASK_SCHEDULER needs Dask. Run: pip install "dask[distributed]"'
        ) from None
    try:
        client = Client(scheduler, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise NeuroFaceError(
            f"No Dask scheduler answers at DASK_SCHEDULER = {scheduler!r} ({error}). Start it, or set None."
        ) from None
    folders = [
        str(folder) for folder in (Path(__file__).parents[2], Path(sys.argv[0]).resolve().parent)
    ]  # a study's own
    call, keras_too = _carried(folders), "neuroface.pipeline.backend" in sys.modules
    with client:
        try:
            client.wait_for_workers(1, timeout=WAIT_FOR_WORKERS_S)
            for worker, threads in client.nthreads().items():
                if threads > 1:
                    raise NeuroFaceError(
                        f"Dask worker {worker} takes {threads} units at once. Start workers with --nthreads 1."
                    )
            # The work is a separate task: it is sent once with its variables, and again only if its
            # worker dies.
            pickled = client.submit(bytes, cloudpickle.dumps(work), pure=False)
            futures = [
                client.submit(call, pickled, cloudpickle.dumps(unit), keras_too, pure=False)
                for unit in units
            ]
            text_of = {str(future.key): text for future, text in zip(futures, texts)}
            for future in _as_done(client, futures, text_of):
                progress.count(future.result())
        except TimeoutError:
            raise NeuroFaceError(
                f"The Dask scheduler {scheduler} has had no worker for {WAIT_FOR_WORKERS_S} s. Start workers and run "
                f"this script again."
            ) from None
        except KilledWorker as error:
            raise NeuroFaceError(
                f"Several workers died while making {_suspects(client, text_of)}, the last at "
                f"{error.last_worker.address}, most likely for lack of memory. "
                f"Give each worker more memory, and run this script again; it resumes."
            ) from None
        except CancelledError:
            raise NeuroFaceError(
                f"The Dask scheduler {scheduler} has stopped. Start it and its workers, and run this script again; "
                f"it resumes."
            ) from None
        except ModuleNotFoundError as error:
            raise NeuroFaceError(
                f"A Dask worker lacks {error.name}. Workers need this environment, and this folder under the same path."
            ) from None


def _as_done(client, futures: list, text_of: dict[str, str]) -> Iterator:
    """Futures as they are done. Dask alone would wait for ever for a worker after the last one has died.

    Parameters
    ----------
    text_of : key of a future → what messages call its unit.

    Raises
    ------
    NeuroFaceError
        If there has been no worker for :data:`WAIT_FOR_WORKERS_S`; names the units on which workers died.
    """
    from distributed import TimeoutError, wait

    waiting, alone_since_s = set(futures), None
    while waiting:
        try:
            with client.as_current():  # not the default client, which wait asks for otherwise
                done, waiting = wait(waiting, LOOK_FOR_WORKERS_S, "FIRST_COMPLETED")
        except TimeoutError:
            if client.nthreads():
                alone_since_s = None
                continue
            died = f"The last Dask worker died while making {_suspects(client, text_of)}"
            if alone_since_s is None:
                alone_since_s = time.monotonic()
                print(f"  {died}; waiting {WAIT_FOR_WORKERS_S} s for another", flush=True)
            elif time.monotonic() - alone_since_s >= WAIT_FOR_WORKERS_S:
                raise NeuroFaceError(
                    f"{died}, and there has been no other for {WAIT_FOR_WORKERS_S} s. Most likely memory ran out: give "
                    f"each worker more, start workers, and run this script again; it resumes."
                ) from None
        else:
            alone_since_s = None
            yield from done


def _suspects(client, text_of: dict[str, str]) -> str:
    """Units on which most workers died. A worker takes the next unit while it makes one, so there may be two."""
    keys = list(text_of)

    def deaths(dask_scheduler) -> list[int]:  # within a function, so that it is sent by value
        tasks = [dask_scheduler.tasks.get(key) for key in keys]
        return [task.suspicious if task else 0 for task in tasks]

    n_deaths = client.run_on_scheduler(deaths)
    most = max(1, *n_deaths)
    suspects = [text for text, n in zip(text_of.values(), n_deaths) if n == most]
    return " or ".join(suspects) or "no unit"


def _called(unit, number: int, plural: str) -> str:
    """How messages call a unit: a run or a file by its name, a fold by its number, others by their place."""
    if isinstance(unit, (int, str)):
        return str(unit)
    name = getattr(unit, "name", None)
    return name if isinstance(name, str) else f"number {number} of the {plural}"


def _carried(folders: list[str]):
    """A function that is sent by value: the scheduler cannot import this project, and workers know only its paths."""

    def call(pickled_work: bytes, pickled_unit: bytes, keras_too: bool) -> str:
        import pickle
        import sys

        sys.path[:0] = [folder for folder in folders if folder not in sys.path]
        from neuroface.pipeline.workers import _keep_random_apart, _text_of

        _keep_random_apart()
        if keras_too:
            import neuroface.pipeline.backend  # noqa: F401
        return _text_of(pickle.loads(pickled_work), pickle.loads(pickled_unit))

    return call


def _keep_random_apart() -> None:
    """Give Dask its own random generator.

    Dask's threads use Python's global random generator. They would draw from it while a network is
    built, and so change its seeded initial weights.
    """
    other = random.Random()
    for name, module in list(sys.modules.items()):
        if (
            name.partition(".")[0] in ("dask", "distributed", "tornado")
            and getattr(module, "random", None) is random
        ):
            vars(module)["random"] = other


def _in_worker(pickled_work: bytes, unit, keras_too: bool, parent: int, progress_file: Path) -> str:
    if "end-with-parent" not in {thread.name for thread in threading.enumerate()}:
        threading.Thread(
            target=_end_with_parent, args=(parent,), name="end-with-parent", daemon=True
        ).start()
    if keras_too:
        import neuroface.pipeline.backend  # noqa: F401  first, so that TensorFlow's import messages are held back
    with unit_progress(progress_file):
        return _text_of(cloudpickle.loads(pickled_work), unit)


def _text_of(work, unit) -> str:
    """Do a unit in a worker; returns what it printed, warnings included, for the script to print and to log."""
    printed = io.StringIO()
    try:
        with redirect_stdout(printed), redirect_stderr(printed):
            work(unit)
    except BaseException:
        sys.stderr.write(printed.getvalue())
        raise
    return printed.getvalue()


def _end_with_parent(parent: int) -> None:
    """End this worker when the script is killed; otherwise it would continue to write during a rerun."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
