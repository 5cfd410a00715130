"""The two conditions that are decoded: their names, and their words in sentences."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Words(NamedTuple):
    """Words for a condition: in sentences "a house", "houses", "a house is on the screen", in figures "house"."""

    singular: str
    plural: str
    is_there: str
    title: str


@dataclass(frozen=True)
class Labels:
    """Two conditions by name; a model predicts the probability of the first one.

    Parameters
    ----------
    first, second : names as in the column ``label`` and in names of files.
    words : name → its words. A condition without words is called by its name.
    """

    first: str
    second: str
    words: Mapping[str, Words] = field(default_factory=dict)

    def __iter__(self):
        return iter((self.first, self.second))

    def of(self, label: str) -> Words:
        return self.words.get(label) or Words(label, label, f"{label} is present", label)

    @property
    def singular(self) -> str:
        """The first condition in a sentence, such as "a house"."""
        return self.of(self.first).singular

    @property
    def plural(self) -> str:
        """The first condition in general, such as "houses"."""
        return self.of(self.first).plural

    @property
    def is_there(self) -> str:
        """The first condition as a statement, such as "a house is on the screen"."""
        return self.of(self.first).is_there

    @property
    def titles(self) -> tuple[str, str]:
        """Both conditions as figures name them, such as "house" and "no house"."""
        return self.of(self.first).title, self.of(self.second).title
