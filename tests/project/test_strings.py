"""Strings of several parts break between clauses: no part is a word or two in mid-sentence."""

import io
import tokenize

import pytest
from conftest import ROOT

SHORT = 25  # characters of a part, with its quotation marks
FILES = [
    path
    for pattern in ("[0-8]-*.py", "neuroface/**/*.py", "studies/**/*.py")
    for path in sorted(ROOT.glob(pattern))
]


def joined_strings(text: str) -> list[list[tokenize.TokenInfo]]:
    """The parts of every string that is written as several strings, one after the other."""
    groups: list[list[tokenize.TokenInfo]] = [[]]
    depth = 0  # Python 3.12 gives an f-string as a start, its parts and an end
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        kind = tokenize.tok_name[token.type]
        if kind == "FSTRING_START":
            groups[-1].append(token)
        depth += (kind == "FSTRING_START") - (kind == "FSTRING_END")
        if depth or kind in ("FSTRING_END", "NL", "COMMENT"):
            continue
        if kind == "STRING":
            groups[-1].append(token)
        elif groups[-1]:
            groups.append([])
    return [parts for parts in groups if len(parts) > 1]


def broken(text: str) -> list[str]:
    """Lines on which a short part ends in mid-sentence although another follows."""
    lines = text.splitlines()
    shown = [
        lines[part.start[0] - 1][part.start[1] :].strip()
        for parts in joined_strings(text)
        for part, following in zip(parts, parts[1:])
        if part.start[0] < following.start[0]
    ]
    words = [part.rstrip("\"' ") for part in shown]
    return [
        part
        for part, text in zip(shown, words)
        if len(part) < SHORT and text[-1:] not in ".,:;!?(" and not text.endswith("\\n")
    ]


def test_a_word_alone_on_a_line_is_found():
    text = 'x = (\n    "The network would not "\n    "be "\n    "than "\n    f"trained in {n} folds."\n)\n'
    assert broken(text) == ['"The network would not "', '"be "', '"than "']
    assert not broken('x = (\n    "Not trained. "\n    f"It has {n} folds."\n)\n')


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_string_breaks_between_clauses(path):
    assert not broken(path.read_text())
