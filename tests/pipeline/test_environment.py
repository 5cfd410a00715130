"""One environment: what make, Dockerfile and apptainer.def install, and versions that differ from it."""

import re
import shutil
import subprocess

from neuroface.pipeline.provenance import lock_differences

import pytest
from conftest import ROOT

RECIPES = ("Dockerfile", "apptainer.def")
# Folders that no script reads.
NOT_NEEDED = {"__pycache__", "benchmarks", "data", "docs", "findings", "tests"}


def text_of(recipe: str) -> str:
    return (ROOT / recipe).read_text()


def defaults(recipe: str) -> dict[str, str]:
    """The build arguments of a recipe and their defaults."""
    return dict(re.findall(r"^(?:ARG |    )([A-Z]+)=(.*)$", text_of(recipe), re.MULTILINE))


def copied(recipe: str) -> set[str]:
    """Files and folders of the project that a recipe copies."""
    text = text_of(recipe)
    if recipe == "Dockerfile":
        lines = re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE)
    else:
        lines = re.findall(r"^    (\S+) /opt/neuroface/$", text, re.MULTILINE)
    return {name for line in lines for name in line.split()}


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_container_gets_the_lock_of_its_python_and_every_file_that_scripts_need(recipe):
    python, extras = defaults(recipe)["PYTHON"], defaults(recipe)["EXTRAS"].split(",")
    assert (ROOT / "locks" / f"python-{python}.txt").is_file()
    lock = re.search(r"--constraint locks/python-(.+?)\.txt", text_of(recipe))
    assert lock and lock[1] in ("${PYTHON}", "{{ PYTHON }}")
    for extra in extras:
        assert f"\n{extra} = [" in (ROOT / "pyproject.toml").read_text()
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()}
    needed = {name for name in folders if not re.search(r"^\.|\.egg-info$", name)} - NOT_NEEDED
    assert copied(recipe) == needed | {"*.py", "LICENSE", "README.md", "pyproject.toml"}


def test_both_recipes_make_the_same_container():
    assert defaults("Dockerfile") == defaults("apptainer.def")
    assert copied("Dockerfile") == copied("apptainer.def")


@pytest.mark.parametrize("target", ["demo", "demo-film", "demo-volumes", "demo-images", "test"])
def test_make_installs_the_tested_versions(target):
    if not shutil.which("make"):
        pytest.skip("no make")
    command = ["make", "--dry-run", "--always-make", "VENV=none", target]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    installs = [line for line in done.stdout.splitlines() if "pip install" in line]
    locked = [
        line for line in installs if re.search(r"--constraint locks/python-3\.\d+\.txt", line)
    ]
    assert any("-e '." in line for line in locked), done.stdout + done.stderr
    assert [line for line in installs if line not in locked] == [
        "none/bin/python -m pip install --quiet --upgrade pip"
    ]


def test_versions_other_than_the_tested_ones_are_one_line(tmp_path):
    (tmp_path / "python-3.12.txt").write_text("# head\nkeras==3.15.1\nnumpy==2.4.1\ntorch==2.9\n")
    stated = {"neuroface": "0.1.0", "python": "3.12.4", "numpy": "2.4.1", "torch": "2.9+cpu"}
    assert lock_differences(stated, tmp_path) is None
    assert lock_differences(stated | {"keras": "3.12.0", "numpy": "2.5.0"}, tmp_path) == (
        "versions other than in locks/python-3.12.txt: numpy 2.5.0 (tested: 2.4.1), keras 3.12.0 (tested: 3.15.1)"
    )
    assert (
        lock_differences(stated | {"python": "3.14.0"}, tmp_path) is None
    )  # no lock to compare with
