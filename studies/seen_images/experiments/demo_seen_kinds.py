"""The demo with test images of kinds that training also showed, to see what that adds to the scores."""

RUN_NAME = "images-demo-seen-kinds"
SPLIT = "given"
