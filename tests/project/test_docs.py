"""README.md and docs/: links lead somewhere, and what they say about the code and the disk is so."""

import ast
import errno
import os
import re
import runpy
from functools import cache
from pathlib import Path

from film_encoding.settings import FilmSettings
from neuroface.face_study.settings import FaceSettings
from seen_images.settings import SeenSettings
from volume_study.settings import VolumeSettings

import pytest

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = sorted((ROOT / "docs").glob("*.md"))
STUDIES = sorted((ROOT / "studies").glob("*/README.md"))
ALL = [README, ROOT / "CONTRIBUTING.md", *PAGES, ROOT / "benchmarks" / "README.md"]
CODE = sorted((ROOT / "neuroface").rglob("*.py"))
SCRIPTS = sorted(ROOT.glob("[1-8]-*.py"))
WITH_ZERO = [ROOT / "0-annotate_film.py", *SCRIPTS]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(page: Path) -> str:
    """A page without its code blocks, indented ones included."""
    return re.sub(r"^( *)```.*?^\1```", "", page.read_text(), flags=re.S | re.M)


def headings(page: Path, level: str = "#{1,6}") -> list[str]:
    return re.findall(rf"^{level} (.+)$", prose(page), re.M)


def anchor_of(heading: str) -> str:
    """GitHub's rule: links and marks go, lower case, only letters, digits, "_", "-" and spaces stay, spaces become "-"."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("*", "")
    return re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    """Anchors of a page; GitHub counts headings that repeat: "steps", "steps-1"."""
    found, seen = set(), {}
    for heading in headings(page):
        anchor = anchor_of(heading)
        seen[anchor] = seen.get(anchor, -1) + 1
        found.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
    return found


def rows_of(page: Path, heading: str) -> list[list[str]]:
    """Cells of the tables under a heading, without their two header lines."""
    text = page.read_text()
    assert f"\n## {heading}\n" in text, f"{name_of(page)} has no section {heading!r}"
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    tables = re.findall(r"(?:^\|.*\n?)+", section, re.M)
    lines = [line for table in tables for line in table.splitlines()[2:]]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def links(page: Path) -> list[str]:
    return [target for target in LINK.findall(prose(page)) if not re.match(r"[a-z]+:", target)]


# ---------------------------------------------------------------- the pages themselves


def test_the_readme_is_short():
    assert len(README.read_text().splitlines()) <= 200


@pytest.mark.parametrize(
    "page, target", [(page, target) for page in ALL + STUDIES for target in dict.fromkeys(links(page))],
    ids=lambda part: name_of(part) if isinstance(part, Path) else part,
)  # fmt: skip
def test_a_link_leads_somewhere(page, target):
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    assert file.exists(), f"{name_of(page)} links {target}"
    assert not anchor or anchor in anchors(file), (
        f"{name_of(page)} links {target}; there are {sorted(anchors(file))}"
    )


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_and_the_readme_link_each_other(page):
    assert "../README.md" in links(page)
    assert name_of(page) in {link.partition("#")[0] for link in links(README)}
    assert name_of(page) in {LINK.search(row[0])[1] for row in rows_of(README, "All pages")}


@pytest.mark.parametrize("page", PAGES + STUDIES, ids=name_of)
def test_a_page_begins_with_its_table_of_contents(page):
    top = page.read_text().split("\n## ")[0]
    listed = re.findall(r"^- \[(.+)\]\(#(.+)\)$", top, re.M)
    assert listed == [(heading, anchor_of(heading)) for heading in headings(page, "##")]


def test_the_readme_lists_its_sections():
    top = README.read_text().split("\n## ")[0]
    assert re.findall(r"\]\(#(.+?)\)", top) == [
        anchor_of(heading) for heading in headings(README, "##")
    ]


FOLDERS = "experiments|masks|tests|docs|benchmarks|neuroface"
NOT_THERE = {
    "neuroface/files.py",
    "experiments/mydata.py",
    "neuroface/bold/mydata.py",
    "neuroface/decoding/mine.py",
    "masks/voice_rois.tsv",
}  # named as examples


@pytest.mark.parametrize(
    "path",
    sorted(
        {path for page in ALL for path in re.findall(rf"`((?:{FOLDERS})/[\w./-]*)`", prose(page))}
        - NOT_THERE
    ),
)
def test_a_path_that_the_pages_name_exists(path):
    assert (ROOT / path).exists()


# ---------------------------------------------------------------- the disk


def steps() -> list[tuple[str, str]]:
    """(script, folder) of the face study's stages."""
    text = (ROOT / "neuroface" / "face_study" / "study.py").read_text()
    return [
        (script, folder)
        for folder, script in re.findall(r'Step\(\d+, "([^"]+)", "([^"]+)"\)', text)
    ]


def test_the_table_of_scripts_is_the_scripts_on_disk():
    rows = rows_of(README, "The eight scripts")
    listed = [re.fullmatch("`(.*)`", row[0])[1] for row in rows]
    assert listed == [path.name for path in SCRIPTS]
    assert steps() == [
        (script, re.findall("`([^`]*)/`", row[1])[-1])
        for script, row in zip(listed, rows, strict=True)
    ]


def test_the_outputs_are_in_folders_of_the_stages():
    named = [
        re.match(r"`(\d-[^/]*)/", row[0])
        for row in rows_of(ROOT / "docs" / "outputs.md", "Files of a run")
    ]
    assert {found[1] for found in named if found} == {folder for _, folder in steps()}


def test_outputs_that_the_page_lists_are_written(tiny):
    page = ROOT / "docs" / "outputs.md"
    for row in rows_of(page, "Files of a run") + rows_of(page, "Files of every script"):
        folder = re.findall("`([^`/]*)/", row[0])
        for name in re.findall("`([^`]*)`", row[0]):
            if name.startswith("."):
                continue
            pattern = re.sub(r"<[^>]*>|…", "*", name)
            found = list(tiny.root.glob(pattern))
            found = found or list(tiny.root.glob(f"{folder[0] if folder else '*'}/**/{pattern}"))
            assert found, f"{name} is in docs/outputs.md and not in the data directory"


def test_columns_that_the_page_lists_are_written(tiny):
    for tables, columns in rows_of(ROOT / "docs" / "outputs.md", "Columns"):
        for name in re.findall("`([^`]*)`", tables):
            written = {
                column
                for path in tiny.root.glob(f"**/{name.replace('…', '*')}")
                for column in path.read_text().split("\n", 1)[0].split("\t")
            }
            listed = set(re.findall("`([a-z][a-z0-9_]*)`", columns))
            assert listed and listed <= written, f"{name} lacks {listed - written}"


# ---------------------------------------------------------------- the code

LAYOUT = ROOT / "docs" / "code-layout.md"


def rooms() -> list[str]:
    """Rooms in the order of the page."""
    return [re.fullmatch("`(.*)`", row[0])[1] for row in rows_of(LAYOUT, "The rooms")]


def imported_by(files: list[Path], name: str) -> set[str]:
    """Rooms that files import, other than their own."""
    found = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
    parts = [module.split(".") for module in found]
    return {part[1] for part in parts if part[0] == "neuroface" and len(part) > 1} & set(
        rooms()
    ) - {name}


@cache
def imports() -> dict[str, set[str]]:
    of_rooms = {
        room: imported_by(sorted((ROOT / "neuroface" / room).rglob("*.py")), room)
        for room in rooms()
    }
    return of_rooms | {"scripts": imported_by(WITH_ZERO, "scripts")}


def test_all_rooms_are_listed():
    assert sorted(rooms()) == sorted(
        path.parent.name for path in (ROOT / "neuroface").glob("*/__init__.py")
    )


def test_all_modules_are_listed():
    listed = [
        tuple(re.fullmatch("`(.*)`", cell)[1] for cell in row[:2])
        for row in rows_of(LAYOUT, "Modules")
    ]
    there = [
        path.relative_to(ROOT / "neuroface").as_posix().split("/", 1)
        for path in CODE
        if path.name != "__init__.py"
    ]
    assert sorted(listed) == sorted(tuple(parts) for parts in there if len(parts) > 1)
    assert [room for room, _ in listed] == sorted((room for room, _ in listed), key=rooms().index)


def test_each_fast_module_is_listed_with_a_test_that_compares_it_with_its_plain_way():
    rows = rows_of(LAYOUT, "Fast modules")
    listed = [ROOT / re.fullmatch("`(.*)`", row[0])[1] for row in rows]
    code = [*CODE, *(ROOT / "studies").rglob("*.py")]
    fast = [path for path in code if path.parent.name == "fast" and path.name != "__init__.py"]
    assert sorted(listed) == sorted(fast)
    for module, (_, plain, _, test) in zip(listed, rows):
        name, file = re.fullmatch("`(.*)` of `(.*)`", test).groups()
        assert re.search(rf"^def {name}\(", (ROOT / file).read_text(), re.MULTILINE), name
        for beside in re.findall(r"`(\w+\.py)`", plain):
            assert (module.parent.parent / beside).exists(), beside


def test_the_order_of_the_rooms_is_that_of_the_page():
    order = re.search(r"`(pipeline < [^`]*)`", LAYOUT.read_text())[1].split(" < ")
    assert order == [*rooms(), "scripts"]
    for importing, imported in imports().items():
        to_the_right = imported - set(order[: order.index(importing)])
        assert not to_the_right, f"{importing} imports {to_the_right}"


def test_the_graph_of_imports_is_that_of_the_source():
    graph = re.search(r"```mermaid\n(.*?)```", LAYOUT.read_text(), re.S)[1]
    drawn = {}
    for line in graph.splitlines()[1:]:
        importing, imported = line.strip().split(" --> ")
        drawn.setdefault(importing, set()).update(imported.split(" & "))
    assert drawn == {importing: imported for importing, imported in imports().items() if imported}


# ---------------------------------------------------------------- messages and settings


def messages() -> list[str]:
    page = ROOT / "docs" / "errors.md"
    return [
        re.fullmatch("`(.*)`", row[0])[1]
        for section in headings(page, "##")
        for row in rows_of(page, section)
        if row[0].startswith("`")
    ]


@cache
def code_with_whole_messages() -> list[str]:
    """Text of every module and script, with the parts of a message over several lines joined."""
    return [re.sub(r'"\s*\n\s*f?"', "", path.read_text()) for path in [*CODE, *WITH_ZERO]]


def test_the_page_of_errors_has_messages():
    assert len(messages()) > 20


@pytest.mark.parametrize("message", messages())
def test_a_message_that_the_page_explains_is_one_of_ours(message):
    """Its parts are in the code in this order, in one message; what lies between them is filled in."""
    if "No space left on device" in message:
        assert os.strerror(errno.ENOSPC) in message  # the system's own
        return
    parts = [re.escape(part.strip()) for part in message.split("…") if part.strip(" .?)")]
    pattern = re.compile("[^\n]*?".join(parts))
    assert any(pattern.search(text) for text in code_with_whole_messages())


def settings() -> dict[str, object]:
    """Names and defaults of config.py, and of the fine settings."""
    values = runpy.run_path(str(ROOT / "config.py"))  # a value may be an expression, as 1 / 128
    fine = {name: field.default for name, field in FaceSettings.fine_settings().items()}
    return fine | {name: values[name] for name in values["__annotations__"]}


def examples() -> dict[str, dict]:
    """Experiment files in docs/labels.md: RUN_NAME → settings."""
    page = (ROOT / "docs" / "labels.md").read_text()
    found = []
    for code in re.findall(r"```python\n(.*?)```", page, re.S):
        assigned = [node for node in ast.parse(code).body if isinstance(node, ast.Assign)]
        found.append({node.targets[0].id: ast.literal_eval(node.value) for node in assigned})
    return {example["RUN_NAME"]: example for example in found}


def test_there_are_three_examples_of_other_labels():
    assert len(examples()) == 3


@pytest.mark.parametrize("name", sorted(examples()))
def test_an_example_of_other_labels_is_sound(name):
    """As :class:`neuroface.face_study.settings.FaceSettings` asks for."""
    example = examples()[name]
    assert example.keys() <= settings().keys()
    chosen = settings() | example
    assert (
        set(chosen["LABELS"]) == set(chosen["LABEL_EVENTS"])
        and chosen["LABEL_EVENTS"][chosen["LABELS"][0]]
    )
    assert chosen["WINDOW_TRS"] * chosen["TR_S"] <= chosen["MIN_STRETCH_S"]
    assert chosen["HELD_OUT_SPLIT"] in chosen["CV_SPLITS"]
    assert chosen["ROI_FILE"] is None or (ROOT / chosen["ROI_FILE"]).is_file()


def test_settings_that_the_pages_name_exist():
    other = {
        "NEUROFACE_CONFIG", "KERAS_BACKEND", "NUMBA_DISABLE_JIT", "BIDS_DIR",  # of the environment, of a command
        "ARCHITECTURES", "COMPARED", "MEANS", "OTHER", "SILENT", "STUDIES", "STUDY",  # names in the code
    }  # fmt: skip
    for page in ALL:
        named = set(re.findall(r"`([A-Z][A-Z_]{3,})(?: = [^`]*)?`", prose(page)))
        if page.name == "settings.md":
            for study in (FilmSettings, SeenSettings, VolumeSettings):
                named -= study.fine_settings().keys()
        assert not (unknown := named - settings().keys() - other), f"{name_of(page)}: {unknown}"
