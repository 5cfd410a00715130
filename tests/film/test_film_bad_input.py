"""Film files and tables that are not as they should be: an error in one line, or the right result."""

import struct
import subprocess
import sys
import wave
from fractions import Fraction

import numpy as np
import pytest
from conftest import ROOT, popen_arguments, run_zero, write_config

av = pytest.importorskip("av", reason="needs the extra film: make film")

from neuroface import NeuroFaceError  # noqa: E402
from neuroface.film import open_film, scan  # noqa: E402

from film_files import grey, write_film  # noqa: E402

TIMES = np.arange(0, 40, 1 / 10)
NOISE = np.random.default_rng(1).integers(
    0, 255, (len(TIMES), 72, 128, 3), dtype=np.uint8
)  # hardly compressible


def noisy(time_s):
    return NOISE[round(time_s * 10)]


def complain(path) -> str:
    with pytest.raises(NeuroFaceError) as caught:
        open_film(path)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    return message


def test_a_file_that_is_no_film(tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mkv").write_text("no film\n" * 100)
    with wave.open(str(tmp_path / "sound.wav"), "wb") as sound:
        sound.setparams((1, 2, 16_000, 0, "NONE", ""))
        sound.writeframes(bytes(32_000))
    assert "is not there" in complain(tmp_path / "missing.mp4")
    assert "is a folder" in complain(tmp_path)
    assert "is empty (0 bytes)" in complain(tmp_path / "empty.mp4")
    assert "cannot be opened as a film" in complain(tmp_path / "text.mkv")
    assert "has no video track" in complain(tmp_path / "sound.wav")


@pytest.mark.parametrize("name, options, words", [
    ("index at the end.mp4", {}, "cannot be opened as a film"),
    ("index first.mp4", {"movflags": "faststart"}, "is cut off"),
    ("film.mkv", {}, "is cut off"),
    ("film.avi", {}, "is cut off"),
], ids=lambda part: part if isinstance(part, str) and "." in part else "")  # fmt: skip
def test_a_film_that_is_cut_off(tmp_path, name, options, words):
    kind = {"codec": "mpeg4", "time_base": Fraction(1, 10)} if name.endswith("avi") else {}
    path = write_film(tmp_path / name, TIMES, noisy, rate=10, container_options=options, **kind)
    whole = open_film(path)
    assert abs(whole.duration_s - 40) < 0.3
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    assert words in complain(path)


def test_a_film_that_is_encrypted(tmp_path):
    """FFmpeg 8 (av 18.1.0) makes pictures of about one encrypted film in fifteen, by its initial vector."""
    options = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb",
               "encryption_kid": "a7e61c373e219033c21091fa607bf3b8"}  # fmt: skip
    for copy in range(20):  # each with an initial vector of its own
        path = write_film(
            tmp_path / f"{copy}.mp4", TIMES[:12], noisy, rate=10, container_options=options
        )
        assert "its video track is encrypted" in complain(path)


@pytest.mark.parametrize("turned", [90, 180, 270])
def test_a_film_that_a_telephone_turned(tmp_path, turned):
    """The track's matrix (ISO/IEC 14496-12, 8.3.2) says how to turn it; light is at the top of what the viewer sees."""
    upright = np.concatenate([grey(220, 40, 64), grey(20, 72, 64)])  # (112, 64): light above
    stored = np.ascontiguousarray(np.rot90(upright, turned // 90))
    path = write_film(tmp_path / "turned.mp4", TIMES[:20], lambda t: stored, rate=10)
    data, one = bytearray(path.read_bytes()), 0x10000
    matrix = {90: (0, one, -one, 0), 180: (-one, 0, 0, -one), 270: (0, -one, one, 0)}[turned]
    a, b, c, d = matrix
    start = data.index(b"tkhd") + 4 + 40
    data[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 0x40000000)
    path.write_bytes(data)
    film = open_film(path)
    assert (film.width, film.height) == (64, 112)
    picture = next(film.frames()).rgb(112, film)
    assert picture.shape == (112, 64, 3)
    assert picture[:30].mean() > 180 and picture[60:].mean() < 60


def boxes(content: bytes) -> list[bytes]:
    """The boxes of an MP4 file, or of a box without its header (ISO/IEC 14496-12, 4.2)."""
    parts = []
    while content:
        size = struct.unpack(">I", content[:4])[0]
        parts.append(content[:size])
        content = content[size:]
    return parts


def test_a_cover_picture_is_not_the_film_though_it_comes_first(tmp_path):
    """Shops and tagging programs add one; ``str`` of PyAV's disposition is a number."""
    path = tmp_path / "cover.mp4"
    pictures = {"mjpeg": grey(200, 64, 64), "libx264": grey(90, 48, 96)}
    with av.open(str(path), "w") as container:
        tracks = {codec: container.add_stream(codec, rate=10) for codec in pictures}
        tracks["mjpeg"].disposition = av.stream.Disposition.attached_pic
        for codec, track in tracks.items():
            track.height, track.width = pictures[codec].shape[:2]
            track.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for codec, n_frames in (("mjpeg", 1), ("libx264", 20)):
            for number in range(n_frames):
                frame = av.VideoFrame.from_ndarray(pictures[codec], format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 10)
                container.mux(tracks[codec].encode(frame))
            container.mux(tracks[codec].encode(None))
    *others, moov = boxes(path.read_bytes())
    inner = sorted(
        boxes(moov[8:]), key=lambda box: box[4:8] != b"udta"
    )  # the cover before the track
    path.write_bytes(b"".join(others) + moov[:8] + b"".join(inner))
    with av.open(str(path)) as container:
        assert [track.codec_context.name for track in container.streams.video] == ["mjpeg", "h264"]
    film = open_film(path)
    assert (film.width, film.height, film.duration_s) == (96, 48, 2.0)
    assert len(list(film.frames())) == 20


def test_a_film_with_oblong_pixels(tmp_path):
    """PAL widescreen: 720 × 576 stored, shown 16:9; here in small."""
    path = write_film(tmp_path / "wide.mkv", TIMES[:20], lambda t: grey(90, 144, 180), rate=10,
                      options={"x264-params": "sar=64/45"})  # fmt: skip
    film = open_film(path)
    assert (film.width, film.height) == (256, 144)
    assert next(film.frames()).rgb(72, film).shape == (72, 128, 3)


def test_a_damaged_stretch_is_counted_and_the_rest_is_read(tmp_path):
    path = write_film(tmp_path / "scratched.mkv", TIMES, lambda t: noisy(t) if t < 20 else grey(int(t * 5)), rate=10,
                      options={"g": "10"})  # fmt: skip
    data = bytearray(path.read_bytes())
    middle = len(data) // 3
    data[middle : middle + 3000] = bytes(3000)
    path.write_bytes(data)
    found = scan(open_film(path), range(0, 200), 5.0, lambda frames: [[] for _ in frames], 72)[0]
    assert len(found["time_s"]) == 200
    assert np.allclose(
        np.array(found["brightness"])[150:] * 255, np.floor(np.arange(150, 200) / 5 * 5), atol=4
    )


def test_one_frame_is_a_film(tmp_path):
    film = open_film(write_film(tmp_path / "one.mp4", [0.0], lambda t: grey(100)))
    found = scan(film, range(0, 1), 5.0, lambda frames: [[] for _ in frames], 72)[0]
    assert 0 < film.duration_s < 0.2 and len(found["time_s"]) == 1


# ---------------------------------------------------------------- as the script says it


def test_the_script_says_it_in_one_line_and_leaves_nothing(tmp_path):
    (tmp_path / "leer ü.mp4").touch()
    config = write_config(tmp_path / "film.py", FILM_DIR=str(tmp_path / "out"))
    done = run_zero(config, tmp_path / "leer ü.mp4")
    assert (
        done.returncode == 1
        and len(done.stderr.splitlines()) == 1
        and "leer ü.mp4 is empty" in done.stderr
    )
    assert not (tmp_path / "out").exists()


def test_without_the_extra_packages_one_line_names_the_command(tmp_path):
    (tmp_path / "film.mp4").write_bytes(b"0")
    config = write_config(tmp_path / "film.py", FILM_DIR=str(tmp_path / "out"))
    code = (
        "import runpy, sys; sys.modules['av'] = None\n"
        f"sys.argv = ['0-annotate_film.py', {str(tmp_path / 'film.mp4')!r}]\n"
        f"runpy.run_path({str(ROOT / '0-annotate_film.py')!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], **popen_arguments(config))
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "Run: pip install -e '.[film]'" in done.stderr
