"""Film and brain: frames on the film's clock, whatever the file; where the film's clock and the scanner's meet."""

from fractions import Fraction
from pathlib import Path

from neuroface import NeuroFaceError

import numpy as np
import pytest

av = pytest.importorskip("av", reason="films need PyAV: make film-encoding")

from film_encoding.film_clock import (  # noqa: E402
    count_chunks,
    count_pairs,
    first_volume,
    frame_time_s,
    middle_frame,
    sample_times_s,
)
from film_encoding.film_frames import SampledFilm, store_frames, write_film  # noqa: E402

STEP = 32  # of grey between two digits: each survives the codec


def numbered(times_s, size: int = 32):
    """Frames that say their number in two octal digits, the brightness of the left and of the right half."""
    for number, time_s in enumerate(times_s):
        frame = np.full((size, size, 3), STEP // 2 + STEP * (number // 8), dtype=np.uint8)
        frame[:, size // 2 :] = STEP // 2 + STEP * (number % 8)
        yield time_s, frame


def numbers_of(film: SampledFilm, times_s) -> list[int]:
    halves = [(frame[:, :3].mean(), frame[:, -3:].mean()) for frame in film.frames_at(times_s, 8)]
    return [8 * int(left // STEP) + int(right // STEP) for left, right in halves]


def shown_at(times_s, wanted) -> list[int]:
    """By definition: the last frame that has appeared."""
    return [max(i for i, t in enumerate(times_s) if t <= w + 1e-9) for w in wanted]


@pytest.mark.parametrize(
    "times",
    [
        np.arange(40) / 10,
        np.delete(np.arange(50) / 10, [3, 4, 5, 17, 30, 31]),
        np.cumsum([0] + [0.04, 0.21, 0.1] * 13),
    ],
    ids=["constant rate", "frames left out", "variable rate"],
)
def test_the_frame_on_the_screen_is_the_last_that_appeared(tmp_path, times):
    times = np.round(times, 3)
    write_film(tmp_path / "film.mp4", numbered(times))
    film = SampledFilm(tmp_path / "film.mp4")
    np.testing.assert_allclose(film.times_s, times, atol=1e-3)
    wanted = np.arange(0, times[-1], 0.07)
    assert numbers_of(film, wanted) == shown_at(times, wanted)
    assert film.n_decoded == len(times) == film.n_stated


def test_times_exactly_at_a_frame_and_after_the_end_have_that_frame(tmp_path):
    times = np.arange(30) / 10
    write_film(tmp_path / "film.mp4", numbered(times))
    assert numbers_of(SampledFilm(tmp_path / "film.mp4"), [0.0, 0.1, 0.2, 2.9, 3.5, 9.0]) == [
        0,
        1,
        2,
        29,
        29,
        29,
    ]


def test_sound_that_goes_on_does_not_lengthen_the_picture(tmp_path):
    write_film(tmp_path / "film.mp4", numbered(np.arange(40) / 10), sound_s=7.5)
    film = SampledFilm(tmp_path / "film.mp4")
    assert film.end_s == pytest.approx(4.0, abs=0.05) and film.file_end_s == pytest.approx(
        7.5, abs=0.1
    )
    assert count_chunks(film.end_s, 1.3) == 3


def test_a_picture_that_starts_late_stands_from_the_beginning_and_keeps_its_time(tmp_path):
    """The sound starts at 0, the picture 1.2 s later: the file has an empty edit for it."""
    write_film(tmp_path / "film.mp4", numbered(1.2 + np.arange(30) / 10), sound_s=4.0)
    film = SampledFilm(tmp_path / "film.mp4")
    assert film.times_s[0] == pytest.approx(1.2, abs=0.03)
    assert numbers_of(film, [0.0, 1.0, 1.25, 2.25]) == [0, 0, 0, 10]


def test_an_edit_list_that_cuts_the_beginning_moves_the_clock(tmp_path):
    """Copied from its 21st frame on, without a key frame there: players begin at the edit, not at the frames before it."""
    write_film(tmp_path / "whole.mp4", numbered(np.arange(50) / 10))
    with (
        av.open(str(tmp_path / "whole.mp4")) as source,
        av.open(str(tmp_path / "cut.mp4"), "w") as target,
    ):
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.size:
                packet.pts, packet.dts = (
                    round(t - 2 / packet.time_base) for t in (packet.pts, packet.dts)
                )
                packet.stream = copy
                target.mux(packet)
    film = SampledFilm(tmp_path / "cut.mp4")
    assert film.times_s[film.times_s >= -1e-3][0] == pytest.approx(0, abs=0.051)
    assert film.end_s == pytest.approx(3.0, abs=0.06)
    assert numbers_of(film, [0.05, 1.05, 2.05]) == [20, 30, 40]


def test_frames_that_cannot_be_decoded_are_counted_and_the_one_before_stays(tmp_path):
    rng = np.random.default_rng(0)
    noise = [(i / 10, rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)) for i in range(60)]
    write_film(tmp_path / "film.mp4", noise)
    content = bytearray((tmp_path / "film.mp4").read_bytes())
    for place in range(len(content) // 3, len(content) // 3 + 4000):
        content[place] = (content[place] * 7 + 13) % 256
    (tmp_path / "broken.mp4").write_bytes(content)
    film = SampledFilm(tmp_path / "broken.mp4")
    frames = list(film.frames_at(np.arange(60) / 10, 16))
    assert len(frames) == 60 and 30 < film.n_decoded < 60 == len(film.times_s)


@pytest.mark.parametrize("content", [b"no film at all", b"\x00\x00\x00\x18ftypmp42" + bytes(100)])
def test_what_is_no_film_is_one_line(tmp_path, content):
    (tmp_path / "film.mp4").write_bytes(content)
    with pytest.raises(NeuroFaceError, match="cannot be opened as a film"):
        SampledFilm(tmp_path / "film.mp4")


def test_half_a_film_and_sound_alone_and_nothing_are_one_line(tmp_path):
    write_film(tmp_path / "film.mp4", numbered(np.arange(40) / 10))
    content = (tmp_path / "film.mp4").read_bytes()
    (tmp_path / "half.mp4").write_bytes(content[: len(content) // 2])
    with pytest.raises(NeuroFaceError, match="cannot be opened as a film"):
        SampledFilm(tmp_path / "half.mp4")
    with pytest.raises(NeuroFaceError, match="is not there"):
        SampledFilm(tmp_path / "gone.mp4")
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        sound = container.add_stream("aac", rate=8000, layout="mono")
        silence = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), dtype=np.float32), format="fltp", layout="mono"
        )
        silence.sample_rate, silence.time_base, silence.pts = 8000, Fraction(1, 8000), 0
        container.mux(sound.encode(silence))
        container.mux(sound.encode(None))
    with pytest.raises(NeuroFaceError, match="no video track"):
        SampledFilm(tmp_path / "sound.mp4")


def test_scaling_takes_the_mean_of_areas(tmp_path):
    stripes = np.zeros((64, 64, 3), dtype=np.uint8)
    stripes[:, ::2] = 200
    write_film(tmp_path / "film.mp4", [(i / 10, stripes) for i in range(12)])
    (frame,) = SampledFilm(tmp_path / "film.mp4").frames_at([0.5], 16)
    assert frame.shape == (16, 16, 3) and abs(float(frame.mean()) - 100) < 6 and frame.std() < 6


def test_stored_frames_are_those_given_also_across_maps(tmp_path, monkeypatch):
    monkeypatch.setattr("film_encoding.film_frames.MAPPED_FRAMES", 4)
    frames = np.random.default_rng(0).integers(0, 255, (3, 5, 2, 2, 3), dtype=np.uint8)
    store_frames(tmp_path / "chunks.npy", frames.shape, iter(frames.reshape(15, 2, 2, 3)))
    np.testing.assert_array_equal(np.load(tmp_path / "chunks.npy"), frames)


def test_a_film_that_fails_half_way_leaves_no_file(tmp_path):
    def frames():
        yield from list(numbered(np.arange(10) / 10))
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        write_film(tmp_path / "film.mp4", frames())
    assert list(Path(tmp_path).iterdir()) == []


# ---------------------------------------------------------------- the two clocks


def test_chunks_and_volumes_are_on_one_clock():
    tr = 1.3
    times = sample_times_s(5, 32, tr)
    assert len(times) == 160 and times[0] == 0 and times[32] == pytest.approx(tr)
    np.testing.assert_allclose(
        sample_times_s(5, 16, tr), times[::2]
    )  # half as many frames: every second one
    assert (
        middle_frame(32) == 15 and middle_frame(16) == 7 and middle_frame(64) == 31
    )  # 15: as published
    assert frame_time_s(3, 15, 32, tr) == pytest.approx(times[3 * 32 + 15])
    assert first_volume(6.4, tr) == 5 and first_volume(0, tr) == 0 and first_volume(5.9, tr) == 5


@pytest.mark.parametrize("n", [1, 7, 100, 6923])
@pytest.mark.parametrize("tr", [0.72, 1.0, 1.3, 2.0])
def test_a_film_of_whole_trs_loses_no_chunk_to_rounding(n, tr):
    assert count_chunks(sum([tr] * n), tr) == n
    assert count_chunks(n * tr - 0.01, tr) == n - 1


def test_a_chunk_needs_the_volume_after_its_delay():
    assert (
        count_pairs(100, 100, 4) == 96
        and count_pairs(100, 110, 4) == 100
        and count_pairs(100, 3, 4) == 0
    )
