"""Simulated studies without an effect, or with a known one: a module per area, each with ``CASES``."""
