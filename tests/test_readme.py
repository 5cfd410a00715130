"""The README's tables name the files that are there, all of them."""

import errno
import os
import re

import pytest
from conftest import ROOT

from neuroface.files import STAGES

README = (ROOT / "README.md").read_text()


def rows_of(heading: str) -> list[list[str]]:
    """Cells of the first table under a heading, its two header lines aside."""
    section = README.split(f"## {heading}\n")[1]
    lines = [line for line in section.split("\n## ")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_table_of_scripts_is_the_scripts_on_disk():
    listed = [re.fullmatch("`(.*)`", row[0]).group(1) for row in rows_of("The eight scripts")]
    assert listed == sorted(p.name for p in ROOT.glob("[1-8]-*.py"))
    assert [(script, folder) for folder, script in STAGES.values()] == [
        (script, re.findall("`([^`]*)/`", row[1])[-1]) for script, row in zip(listed, rows_of("The eight scripts"))
    ]


def test_the_table_of_the_code_names_every_module():
    listed = {name for row in rows_of("How the code is laid out") for name in re.findall("`(neuroface/[^`]*)`", row[0])}
    assert listed == {f"neuroface/{p.name}" for p in (ROOT / "neuroface").glob("*.py") if p.name != "__init__.py"}


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:experiments|masks|tests|docs)/[\w./-]*)`", README))))
def test_a_path_that_the_readme_names_exists(path):
    assert (ROOT / path).exists()


@pytest.mark.parametrize("anchor", sorted(set(re.findall(r"\]\(#(.*?)\)", README))))
def test_a_section_that_the_readme_points_to_exists(anchor):
    headings = re.findall("^#+ (.*)$", README, re.M)
    assert anchor in {re.sub("[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("figure", re.findall(r"!\[.*?\]\((.*?)\)", README))
def test_a_figure_of_the_readme_exists(figure):
    assert (ROOT / figure).is_file()


@pytest.mark.parametrize("message", [row[0] for row in rows_of("What can go wrong")])
def test_a_message_that_the_readme_explains_is_one_of_ours(message):
    """Its parts stand in the code in this order, in one message: what lies between them is filled in."""
    if "No space left on device" in message:
        assert os.strerror(errno.ENOSPC) in message  # the system's own
        return
    parts = [re.escape(part.strip()) for part in message.strip("`").split("…") if part.strip(" .?)")]
    code = [p.read_text() for p in [*(ROOT / "neuroface").glob("*.py"), *ROOT.glob("[1-8]-*.py")]]
    joined = [re.sub(r'"\s*\n\s*f?"', "", text) for text in code]  # a message over several lines of code
    assert any(re.search("[^\n]*?".join(parts), text) for text in joined)


def test_outputs_that_the_readme_lists_are_written(tiny):
    for row in rows_of("What each output is"):
        for name in re.findall("`([^`]*)`", row[0]):
            if name.startswith(".") or "<stage>" in name:
                continue
            pattern = re.sub(r"<[^>]*>|…", "*", name)
            folder = re.findall("`([^`/]*)/", row[0])
            found = list(tiny.root.glob(pattern)) or list(
                tiny.root.glob(f"{folder[0] if folder else '*'}/**/{pattern}")
            )
            assert found, f"{name} is in the README and not in the data directory"
