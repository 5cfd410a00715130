#!/usr/bin/env bash
# imageio 2.38.1 with imageio-ffmpeg 0.8.1: of a film whose frame rate changes, as phones and screen recorders write it, the reader
# yields frames at one constant rate, but "fps" of its metadata is another rate: the mean rate of the file. So frame number / fps is
# not the time of a frame. count_frames() counts the frames of the file, not those that the reader yields, and get_data(i), which
# seeks to i / fps, is not frame i of the loop over the reader. Nothing warns. PyAV states the time of every frame of the same file.
#
# Output seen on 2026-11-30 (a cut from black to white at 60 s; 60 s at the first rate, then 60 s at the second):
#   30 then 30 frames/s: fps 30.0, count_frames() 3600, frames read 3600, cut at 60.0 s (PyAV 60.0 s), get_data agrees
#   30 then 15 frames/s: fps 22.52, count_frames() 2700, frames read 3599, cut at 79.9 s (PyAV 60.0 s), get_data differs
#   15 then 30 frames/s: fps 22.49, count_frames() 2700, frames read 1802, cut at 40.0 s (PyAV 60.0 s), get_data differs
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet imageio==2.38.1 imageio-ffmpeg==0.8.1 av==18.1.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PY'
from fractions import Fraction

import av
import imageio
import numpy as np

CUT_S = 60
TICKS_PER_S = 600
BLACK, WHITE = (np.full((64, 64, 3), level, np.uint8) for level in (16, 235))


def write_film(path, first_rate, second_rate):
    times_s = np.r_[np.arange(CUT_S * first_rate) / first_rate, CUT_S + np.arange(CUT_S * second_rate) / second_rate]
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height = 64, 64
        stream.codec_context.time_base = Fraction(1, TICKS_PER_S)
        for time_s in times_s:
            frame = av.VideoFrame.from_ndarray(BLACK if time_s < CUT_S else WHITE, format="rgb24")
            frame.pts, frame.time_base = round(time_s * TICKS_PER_S), Fraction(1, TICKS_PER_S)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def cut_by_pyav(path):
    with av.open(path) as container:
        return next(frame.time for frame in container.decode(video=0) if frame.to_ndarray(format="gray").mean() > 128)


def look(first_rate, second_rate):
    path = f"{first_rate}_{second_rate}.mp4"
    write_film(path, first_rate, second_rate)
    with imageio.get_reader(path, "ffmpeg") as reader:
        fps = reader.get_meta_data()["fps"]
        counted = reader.count_frames()
        white = [frame.mean() > 128 for frame in reader]
        cut = white.index(True)
        agrees = [reader.get_data(number).mean() > 128 for number in (cut - 1, cut)] == [False, True]
    by_fps_s, by_pyav_s = cut / fps, cut_by_pyav(path)
    print(
        f"{first_rate} then {second_rate} frames/s: fps {fps}, count_frames() {counted}, frames read {len(white)},",
        f"cut at {by_fps_s:.1f} s (PyAV {by_pyav_s:.1f} s), get_data {'agrees' if agrees else 'differs'}",
    )
    assert abs(by_pyav_s - CUT_S) < 0.01, by_pyav_s
    return by_fps_s, counted == len(white), agrees


constant_s, *constant = look(30, 30)
slower_s, *slower = look(30, 15)
faster_s, *faster = look(15, 30)
assert abs(constant_s - CUT_S) < 0.1 and constant == [True, True]
assert slower_s > CUT_S + 15 and slower == [False, False]
assert faster_s < CUT_S - 15 and faster == [False, False]
PY
