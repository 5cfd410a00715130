"""What the seven scripts of the study "labelled volumes" share: labels, splits, networks, maps, words of the report.

Code belongs here if a script of this study needs it and a test should cover it. This package
imports the rooms of ``neuroface``; no room imports it.
"""
