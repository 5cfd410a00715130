"""The demo with the publication's settings, to see their effect on the numbers."""

RUN_NAME = "images-demo-as-published"
SPLIT = "given"
STANDARDIZE = "global"
LATENTS = "sample"
ALPHAS = (1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 1.0)
SELECTION = "paper"
DRAWINGS = "mean"
