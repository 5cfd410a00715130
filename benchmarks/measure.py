"""Common code of the benchmarks: each case in a separate process, medians, peak memory, one table."""

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent
# Every benchmark imports this module first: neuroface and the packages of the studies come before the benchmarks, of
# which one has the name of a package.
sys.path[:0] = [str(ROOT), *map(str, sorted((ROOT / "studies").glob("*")))]
KEYS = ("seconds", "peak_gb")


def machine(*packages: str) -> str:
    """The line above a table: processor, cores, memory, versions."""
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    memory = f"{psutil.virtual_memory().total / 1e9:.0f} GB"
    return (
        f"{cpu()}, {os.cpu_count()} cores, {memory}; Python {platform.python_version()}, {versions}"
    )


def cpu() -> str:
    info = Path("/proc/cpuinfo")
    names = (
        [line for line in info.read_text().splitlines() if line.startswith("model name")]
        if info.exists()
        else []
    )
    return names[0].split(":")[1].strip() if names else platform.processor()


def timed(work, *arguments) -> None:
    """In the child process: do the work, print its seconds and the peak memory of the process."""
    started = time.perf_counter()
    work(*arguments)
    print(json.dumps({"seconds": time.perf_counter() - started, "peak_gb": peak_gb()}))


def peak_gb() -> float:
    """Peak memory of this process. VmHWM (Linux) starts with the program, ``getrusage`` at the parent's memory."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e9  # macOS counts bytes


def compare(
    script: str, cases: list[str], folder: Path, repeats: int, keys: tuple[str, ...] = KEYS
) -> dict[str, dict]:
    """Measure ``python script --one CASE FOLDER`` for each case, one after another, in ``repeats`` rounds.

    Returns
    -------
    case → medians of what the child printed under ``keys``, or "error".
    """
    rounds: dict[str, list[dict]] = {case: [] for case in cases}
    for _ in range(repeats):
        for case in cases:
            rounds[case].append(_in_own_process([script, "--one", case, str(folder)]))
    return {
        case: next((r for r in results if "error" in r), None)
        or {key: statistics.median(r[key] for r in results) for key in keys}
        for case, results in rounds.items()
    }


def print_rows(stage: str, results: dict[str, dict], ours: str) -> None:
    """One row per case; the ratios are time and memory relative to those of ``ours``."""
    base = results[ours]
    for case, result in results.items():
        if "error" in result or "error" in base:
            print(f"| {stage} | {case} | {result.get('error', '')} | | | |", flush=True)
            continue
        seconds, peak = (
            f"{result[k]:.2f}" if result[k] >= 0.1 else f"{result[k]:.3f}" for k in KEYS
        )
        ratios = [f"{result[k] / base[k]:.1f}" for k in KEYS]
        print(f"| {stage} | {case} | {seconds} | {ratios[0]} | {peak} | {ratios[1]} |", flush=True)


def _in_own_process(command: list[str]) -> dict:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True
    )
    if done.returncode:
        return {
            "error": "out of memory"
            if done.returncode == -9
            else done.stderr.strip().splitlines()[-1]
        }
    return json.loads(done.stdout.splitlines()[-1])
