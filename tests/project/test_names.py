"""Names of variables are the field's words: none says only that something was found or is a part of something."""

import ast

import pytest
from conftest import ROOT

PATTERNS = ("[0-8]-*.py", "within_people.py", "neuroface/**/*.py", "studies/**/*.py")
FILES = [str(path.relative_to(ROOT)) for pattern in PATTERNS for path in sorted(ROOT.glob(pattern))]
SAY_NOTHING = {"found", "mine", "one", "part", "said", "stuff", "what"}
# A part is a thing of its own where a row of FILM_PARTS is one, where chunks or voxels have a column of this name.
PARTS_ARE_KNOWN = (
    "0-annotate_film.py",
    "neuroface/film/parts.py",
    "neuroface/face_study/films.py",
    "studies/film_encoding/film_encoding/splits.py",
    "studies/seen_images/",
)


def names_of(source: str) -> set[str]:
    """Names of variables, arguments and functions."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
    return names


@pytest.mark.parametrize("file", FILES)
def test_no_name_says_nothing(file):
    unwanted = names_of((ROOT / file).read_text()) & SAY_NOTHING
    if file.startswith(PARTS_ARE_KNOWN):
        unwanted.discard("part")
    assert not unwanted, f"{file}: give {', '.join(sorted(unwanted))} the field's word"


def test_names_are_read_in_every_place():
    source = "def one(what, *mine):\n    return [f'{part}' for part in what]\n"
    assert names_of(source) == {"one", "what", "mine", "part"}


def test_a_function_that_describes_says_what():
    functions = {
        f"{file}: {node.name}"
        for file in FILES
        for node in ast.walk(ast.parse((ROOT / file).read_text()))
        if isinstance(node, ast.FunctionDef) and node.name == "describe"
    }
    assert not functions
