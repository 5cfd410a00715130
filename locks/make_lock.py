"""Write ``locks/python-<version>.txt``: the releases that pip takes today for this project with this Python.

    make lock                            for the Python of .venv
    python3.13 locks/make_lock.py        for another one

The files limit what ``make`` installs (pip's ``--constraint``). They hold names and versions only, no addresses, and
not PyTorch, which ``make TORCH=…`` chooses. Hashes are left out: pip refuses a project that is installed in place, and
a build of PyTorch for CPUs, once one package has a hash.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXTRAS = ("volumes", "images-test", "test")
FROM_3_11 = ("film", "film-encoding")  # PyAV 18 has no build for Python 3.10
NOT_LOCKED = ("neuroface", "torch")
OF_PYTORCH = ("cuda-", "nvidia-", "triton")  # what PyTorch with CUDA brings; it pins them itself


def main() -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    wanted = ",".join(EXTRAS if version == "3.10" else (*EXTRAS, *FROM_3_11))
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options = ["--dry-run", "--ignore-installed", "--quiet", "--report", report]
        subprocess.run(
            [sys.executable, "-m", "pip", "install", *options, f"{ROOT}[{wanted}]"], check=True
        )
        packages = [package["metadata"] for package in json.loads(report.read_text())["install"]]
    lines = {
        f"{package['name'].lower()}=={package['version'].partition('+')[0]}"
        for package in packages
        if package["name"].lower() not in NOT_LOCKED
        and not package["name"].lower().startswith(OF_PYTORCH)
    }
    head = f"# What make installs with Python {version}; written by locks/make_lock.py.\n"
    (ROOT / "locks" / f"python-{version}.txt").write_text(head + "\n".join(sorted(lines)) + "\n")


if __name__ == "__main__":
    main()
