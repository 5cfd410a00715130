"""Placeholder."""

from null_studies.case import Case

CASES: list[Case] = []
