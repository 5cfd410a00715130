"""Code that stands twice, even with other names: statements that must be corrected together are in one place."""

import ast
from collections import defaultdict

from conftest import ROOT

PATTERNS = ("[0-8]-*.py", "within_people.py", "neuroface/**/*.py", "studies/**/*.py")
FILES = [path for pattern in PATTERNS for path in sorted(ROOT.glob(pattern))]
LARGE = 45  # parts of the syntax; about four lines
LONGEST = 8  # statements
# Files that share such statements, with the reason in docs/code-layout.md, "Code that stands twice".
KEPT = {
    frozenset(pair)
    for pair in [
        (
            "studies/film_encoding/film_encoding/__init__.py",
            "studies/seen_images/seen_images/__init__.py",
        ),
        (
            "neuroface/decoding/comparison.py",
            "studies/volumes/volume_study/decoding_report.py",
        ),
        ("neuroface/face_study/check.py", "studies/volumes/volume_study/check.py"),
    ]
}


def shape_of(statements: list[ast.stmt]) -> tuple[str, ...]:
    """The syntax of statements; their variables are numbered, and texts do not count.

    Names that are called, attributes and numbers stay, because they say what is done.
    """
    numbers: dict[str, str] = {}
    shape: list[str] = []

    def visit(node: ast.AST, is_called: bool = False) -> None:
        if isinstance(node, (ast.Name, ast.arg)):
            name = node.id if isinstance(node, ast.Name) else node.arg
            shape.append(name if is_called else numbers.setdefault(name, f"name {len(numbers)}"))
            return
        if isinstance(node, ast.JoinedStr) or (
            isinstance(node, ast.Constant) and isinstance(node.value, str)
        ):
            shape.append("text")
            return
        shape.append(type(node).__name__)
        shape.extend(
            str(value)
            for field, value in ast.iter_fields(node)
            if field in ("attr", "value") and not isinstance(value, (ast.AST, list))
        )
        for field, value in ast.iter_fields(node):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    visit(child, is_called=field == "func")

    for statement in statements:
        visit(statement)
    return tuple(shape)


def bodies_of(tree: ast.Module) -> list[list[ast.stmt]]:
    """The statements of every function, loop and branch, without docstrings."""
    bodies = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef)):
            continue
        for field in ("body", "orelse", "finalbody"):
            statements = getattr(node, field, None)
            if isinstance(statements, list):
                bodies.append(
                    [
                        statement
                        for statement in statements
                        if not isinstance(getattr(statement, "value", None), ast.Constant)
                        or not isinstance(statement, ast.Expr)
                    ]
                )
    return bodies


def copies_in(texts: dict[str, str]) -> list[set[tuple[str, int]]]:
    """Places (file, line) of statements that stand in several files, the largest first."""
    places = defaultdict(set)
    for name, text in texts.items():
        for statements in bodies_of(ast.parse(text)):
            for start in range(len(statements)):
                for end in range(start + 1, min(start + LONGEST, len(statements)) + 1):
                    shape = shape_of(statements[start:end])
                    if len(shape) >= LARGE:
                        places[shape].add((name, statements[start].lineno))
    several = [
        (len(shape), found)
        for shape, found in places.items()
        if len({name for name, _ in found}) > 1
    ]
    return [found for _, found in sorted(several, key=lambda pair: -pair[0])]


MEAN = """
def {f}({a}, {b}):
    {a} = [value for value in {a} if value is not None]
    if not {a}:
        raise ValueError(f"{{{b}}}: nothing to average")
    {b} = sum({a}) / len({a})
    return round({b}, 3), len({a}), max({a}) - min({a})
"""


def test_a_copy_with_other_names_is_found_and_another_formula_is_not():
    one = MEAN.format(f="mean", a="values", b="name")
    renamed = MEAN.format(f="average", a="rows", b="label")
    copies = copies_in({"one.py": one, "two.py": renamed})
    assert copies and copies[0] == {("one.py", 3), ("two.py", 3)}
    another = renamed.replace("max(rows) -", "max(rows) +")
    assert copies_in({"one.py": one, "two.py": another}) == []


def test_no_statements_stand_in_two_places_that_must_be_corrected_together():
    texts = {str(path.relative_to(ROOT)): path.read_text() for path in FILES}
    copies = [
        sorted(places)
        for places in copies_in(texts)
        if frozenset(name for name, _ in places) not in KEPT
    ]
    assert not copies, "\n".join(map(str, copies))


def test_the_copies_that_are_kept_are_still_there():
    texts = {name: (ROOT / name).read_text() for pair in KEPT for name in pair}
    there = {frozenset(name for name, _ in places) for places in copies_in(texts)}
    assert KEPT <= there


def test_every_kept_copy_has_its_reason_on_the_page():
    page = (ROOT / "docs" / "code-layout.md").read_text()
    section = page.split("## Code that stands twice\n")[1].split("\n## ")[0]
    for pair in KEPT:
        assert all(f"`{name}`" in section for name in pair), pair
