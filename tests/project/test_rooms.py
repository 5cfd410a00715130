"""The rooms of the package: their order, what they offer, what they must not know; the toy study; a missing environment."""

import ast
import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from conftest import ROOT

ROOMS = ("pipeline", "bold", "film", "decoding", "attribution", "maps", "timeline", "face_study")
SCRIPTS = sorted(ROOT.glob("[0-8]-*.py"))
OF_STUDIES = sorted((ROOT / "studies").rglob("*.py"))
STUDY_SCRIPTS = [path for path in OF_STUDIES if path.name[0].isdigit()]
COMMANDS = [*SCRIPTS, *OF_STUDIES, ROOT / "within_people.py", ROOT / "neuroface" / "manifest.py"]
OUTSIDE = [
    *COMMANDS,
    ROOT / "neuroface" / "__main__.py",
    *sorted((ROOT / "benchmarks").glob("*.py")),
]


def modules_of(room: str) -> list[Path]:
    return sorted((ROOT / "neuroface" / room).rglob("*.py"))


def imports_of(path: Path) -> list[tuple[str, str]]:
    """(module, name) of all that a file takes from the package, inside functions too."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if (
            isinstance(node, ast.ImportFrom)
            and node.module
            and node.module.split(".")[0] == "neuroface"
        ):
            found += [(node.module, alias.name) for alias in node.names]
        if isinstance(node, ast.Import):
            found += [
                (alias.name, "") for alias in node.names if alias.name.split(".")[0] == "neuroface"
            ]
    return found


def test_the_package_has_these_rooms_and_no_other_module():
    folders = {path.parent.name for path in (ROOT / "neuroface").glob("*/__init__.py")}
    assert folders == set(ROOMS)
    assert {path.name for path in (ROOT / "neuroface").glob("*.py")} == {
        "__init__.py",
        "__main__.py",
        "manifest.py",
    }


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_rooms_before_it_and_only_what_they_offer(room):
    before = ROOMS[: ROOMS.index(room)]
    for path in modules_of(room):
        for module, name in imports_of(path):
            parts = module.split(".")
            if len(parts) == 1:
                assert name in ("NeuroFaceError", "__version__"), (path, name)
            elif parts[1] != room:
                assert parts[1] in before, f"{path} imports {module}"
                assert len(parts) == 2, (
                    f"{path} imports {module}, a module that belongs to its room alone"
                )
                assert name in import_module(module).__all__, (path, module, name)


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: str(path.relative_to(ROOT)))
def test_scripts_take_what_rooms_offer(
    path,
):  # benchmarks may time a part that a room keeps to itself
    for module, name in imports_of(path):
        if module != "neuroface":
            assert module.count(".") == 1 and name in import_module(module).__all__, (
                path,
                module,
                name,
            )


@pytest.mark.parametrize("room", ROOMS)
def test_what_a_room_offers_is_there_and_used_elsewhere(room):
    offered = import_module(f"neuroface.{room}")
    others = [path for other in ROOMS if other != room for path in modules_of(other)]
    used = {
        name
        for path in others + OUTSIDE
        for module, name in imports_of(path)
        if module == f"neuroface.{room}"
    }
    # FaceSettings is what a program that reads config.py needs.
    assert set(offered.__all__) - {"FaceSettings", "fingerprint"} <= used
    for name in offered.__all__:
        assert getattr(offered, name) is not None


def test_a_type_checker_sees_the_names_of_every_room_and_no_other(tmp_path):
    rooms = [import_module(f"neuroface.{room}") for room in ROOMS]
    script = tmp_path / "script.py"
    lines = [f"from {room.__name__} import {name}" for room in rooms for name in room.__all__]
    wrong = [f"from {room.__name__} import no_such_name" for room in rooms]
    script.write_text("\n".join(lines + wrong))
    stubs = [ROOT / "neuroface" / room / "__init__.pyi" for room in ROOMS]
    mypy = [sys.executable, "-m", "mypy", "--follow-imports=skip", "--no-error-summary"]
    done = subprocess.run(
        [*mypy, f"--cache-dir={tmp_path}", script, *stubs], cwd=ROOT, capture_output=True, text=True
    )
    assert re.findall(r'Module "neuroface\.(\w+)" has no attribute "(\w+)"', done.stdout) == [
        (room, "no_such_name") for room in ROOMS
    ], done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == len(ROOMS), done.stdout


def test_no_study_imports_another():
    packages = {
        path.parent.name: path.relative_to(ROOT).parts[1]
        for path in OF_STUDIES
        if path.name == "__init__.py"
    }
    for path in OF_STUDIES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = (
                    [node.module or ""]
                    if isinstance(node, ast.ImportFrom)
                    else [alias.name for alias in node.names]
                )
                for name in names:
                    study = packages.get(name.split(".")[0], path.relative_to(ROOT).parts[1])
                    assert study == path.relative_to(ROOT).parts[1], f"{path} imports {name}"


@pytest.mark.parametrize("name", ("film_encoding", "seen_images", "volumes"))
def test_a_study_is_scripts_settings_and_one_package_with_its_declaration(name):
    """The package's name is its own, so that two studies can be imported in one process."""
    folder = ROOT / "studies" / name
    beside = [path.name for path in folder.glob("*.py") if not path.name[0].isdigit()]
    assert beside == ["config.py"]
    (package,) = [path.parent for path in folder.glob("*/__init__.py")]
    assert "STUDY = Study(" in (package / "study.py").read_text()
    for script in folder.glob("[0-9]-*.py"):
        assert f"from {package.name}.study import STUDY" in script.read_text(), script


def test_no_product_code_extends_the_path_of_imports():
    """A script finds its study's package beside itself. Workers of a cluster alone are told the folders."""
    for path in [*COMMANDS, *(ROOT / "neuroface").rglob("*.py")]:
        if path.name != "workers.py":
            assert "sys.path" not in path.read_text(), path


@pytest.mark.parametrize("room", ROOMS)
def test_a_rooms_docstring_says_what_belongs_there_and_who_may_import_it(room):
    docstring = import_module(f"neuroface.{room}").__doc__
    assert (
        "Code belongs here if" in docstring
        and re.search(r"imports?\b", docstring)
        and len(docstring) < 700
    )


@pytest.mark.parametrize("room", [room for room in ROOMS if room != "face_study"])
def test_a_room_that_all_studies_share_names_no_script_and_no_condition(room):
    scripts = {path.name for path in SCRIPTS}
    for path in [*modules_of(room), *(ROOT / "neuroface" / room).glob("*.j2")]:
        text = path.read_text()
        assert not any(script in text for script in scripts), path
        assert not re.search(r"\bscripts? [1-8]\b", text, re.IGNORECASE), path
        if room == "film":  # finds faces in pictures, whatever the conditions are
            continue
        words = re.sub(
            r"neuroface\w*|face_study|surface\w*|interface|facecolors|\.faces",
            "",
            text,
            flags=re.IGNORECASE,
        )
        assert "face" not in words.lower(), path


def test_pipeline_knows_no_brain():
    text = "".join(path.read_text() for path in modules_of("pipeline")).lower()
    for word in ("voxel", "nibabel.", "nilearn.", "import nibabel", "haemodynamic"):
        assert word not in text, word


def names_that_hold_values(node: ast.AST) -> list[str]:
    """Arguments of a function, the field of a dataclass, or an attribute."""
    if isinstance(node, (ast.FunctionDef, ast.Lambda)):
        given = node.args
        return [arg.arg for arg in given.posonlyargs + given.args + given.kwonlyargs]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    return [node.attr] if isinstance(node, ast.Attribute) else []


@pytest.mark.parametrize("room", [room for room in ROOMS if room not in ("pipeline", "face_study")])
def test_a_room_takes_arguments_and_not_all_settings(room):
    """So a signature says what a function depends on, and a study with other settings can call it.

    ``settings.py`` declares settings, so it alone may read them, to make an argument of its room.
    """
    for path in modules_of(room):
        if path.name == "settings.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            place = f"{path}, line {getattr(node, 'lineno', 0)}"
            assert not {"cfg", "_cfg"} & set(names_that_hold_values(node)), place
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert node.value.id != "settings" or not node.attr.isupper(), place


def test_no_product_code_makes_up_settings():
    """``SimpleNamespace(**vars(cfg) | …)`` gives a function a setting that no file holds."""
    for path in [*COMMANDS, *(ROOT / "neuroface").rglob("*.py")]:
        assert not re.search(r"SimpleNamespace\(\s*\*\*\s*vars\(", path.read_text()), path


def test_importing_a_room_loads_neither_keras_nor_nilearn():
    code = "import sys\n" + "".join(f"import neuroface.{room}\n" for room in ROOMS)
    code += "print([name for name in ('keras', 'tensorflow', 'jax', 'nilearn', 'matplotlib') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


# ---------------------------------------------------------------- main() reads like a methods
# section


@pytest.mark.parametrize(
    "path", SCRIPTS + STUDY_SCRIPTS, ids=lambda path: str(path.relative_to(ROOT))
)
def test_main_is_short_and_stands_first(path):
    functions = [
        node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)
    ]
    assert functions[0].name == "main"
    statements = [node for node in ast.walk(functions[0]) if isinstance(node, ast.stmt)]
    assert len(statements) <= 40  # main() itself is one


# ---------------------------------------------------------------- another study on the same package


STUDY = """
from neuroface.pipeline import Step, Study, StudySettings

STUDY = Study("Toy", (Step(3, "3-numbers", "3-draw.py"), Step(7, "7-sum", "7-add.py")), StudySettings, lambda _: "A toy")
"""
CONFIG = """
DATASET: str = "none"
DATASET_DIR: str = "."
DATA_DIR: str = "data"
RUN_NAME: str = "toy"
SEED: int = 1
TIMES: int = 2
DEMO: dict[str, object] = {}
N_FOLDS: int = 5
INFERENCE_BATCH: int = 1
N_JOBS: int = 1
DASK_SCHEDULER: str | None = None
"""
DRAW = '''"""3. Draw numbers.

Settings  SEED
Takes     no time
"""
from toy_study.study import STUDY
from neuroface.pipeline import Section, Stage, run_script, write_json


def main():
    cfg = STUDY.load_settings(__file__)
    stage = Stage(STUDY, 3, cfg, __doc__)
    stage.each(lambda n: write_json(stage.folder / f"{n}.json", {"n": n * cfg.SEED}), [1, 2, 3],
               "numbers", lambda n: stage.folder / f"{n}.json")
    stage.finish("3 numbers", Section("Numbers", "Three of them."))


if __name__ == "__main__":
    run_script(main)
'''
ADD = '''"""7. Add them.

Settings  TIMES
Takes     no time
"""
from toy_study.study import STUDY
from neuroface.pipeline import Rules, Section, Stage, read_json, run_script, write_json


def main():
    cfg = STUDY.load_settings(__file__)
    stage = Stage(STUDY, 7, cfg, __doc__, reads=(3,), rules=Rules(growing={"TIMES": lambda old, new, all: new > old}))
    total = sum(read_json(file)["n"] for file in stage.folder_of(3).glob("[1-3].json"))
    write_json(stage.folder / "sum.json", {"sum": cfg.TIMES * total})
    stage.finish("a sum", Section("Sum", "Of the numbers."))


if __name__ == "__main__":
    run_script(main)
'''


def test_a_study_of_its_own_numbers_runs_on_the_same_pipeline(tmp_path):
    files = {"toy_study/study.py": STUDY, "config.py": CONFIG, "3-draw.py": DRAW, "7-add.py": ADD}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("NEUROFACE_CONFIG", "PYTHONPATH")
    }

    def script(
        name,
    ):  # from another folder, without PYTHONPATH: the package is installed in place
        return subprocess.run(
            [sys.executable, tmp_path / name],
            env=environment,
            cwd="/",
            capture_output=True,
            text=True,
        )

    early = script("7-add.py")
    assert early.returncode == 1 and "Run: python 3-draw.py" in early.stderr
    first = script("3-draw.py")
    assert first.returncode == 0 and "next: python 7-add.py" in first.stdout, first.stderr
    left_by_a_kill = tmp_path / "data" / "toy" / "7-sum" / "partial-runs"
    left_by_a_kill.mkdir(parents=True)
    assert script("7-add.py").stdout.endswith("that was the last script\n")
    assert not left_by_a_kill.exists()
    assert '"sum": 12' in (tmp_path / "data" / "toy" / "7-sum" / "sum.json").read_text()
    page = (tmp_path / "data" / "toy" / "report.html").read_text()
    assert "A toy" in page and "Of the numbers." in page and "NeuroFaceCNN" not in page
    (tmp_path / "config.py").write_text(CONFIG.replace("TIMES: int = 2", "TIMES: int = 1"))
    refused = script("7-add.py")
    assert (
        refused.returncode == 1
        and "7-sum was made with TIMES = 2; the setting is now 1" in refused.stderr
    )
    (tmp_path / "config.py").write_text(CONFIG.replace("SEED: int = 1", "SEED: int = 5"))
    refused = script("7-add.py")
    assert (
        refused.returncode == 1
        and "3-numbers was made with SEED = 1; the setting is now 5" in refused.stderr
    )


# ---------------------------------------------------------------- outside the environment


def test_a_script_outside_the_environment_says_how_to_activate_it(tmp_path):
    shutil.copytree(
        ROOT / "neuroface", tmp_path / "neuroface", ignore=shutil.ignore_patterns("__pycache__")
    )
    for script in SCRIPTS:
        shutil.copy(script, tmp_path)
        done = subprocess.run(
            [sys.executable, "-S", "-E", tmp_path / script.name], capture_output=True, text=True
        )
        assert done.returncode == 1 and len(done.stderr.splitlines()) == 1, done.stderr
        assert "has no package" in done.stderr and ". .venv/bin/activate" in done.stderr
        assert "pip install -e ." in done.stderr and not done.stdout
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "activate").touch()
    done = subprocess.run(
        [sys.executable, "-S", "-E", tmp_path / SCRIPTS[0].name], capture_output=True, text=True
    )
    assert done.stderr.endswith(
        f"Activate the environment: . {tmp_path / '.venv' / 'bin' / 'activate'}\n"
    )
