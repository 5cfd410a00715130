"""The film's clock: frames come at their second, whatever the container, the frame rate, edit lists or a late start."""

from fractions import Fraction

import numpy as np
import pytest

pytest.importorskip("av", reason="needs requirements-film.txt")

from neuroface.film import open_film, scan  # noqa: E402

from film_files import grey, write_film  # noqa: E402

ON_S, OFF_S = 3.04, 5.0
CONSTANT = np.arange(0, 8, 1 / 25)


def variable() -> np.ndarray:
    """Frames 1/60 s to half a second apart, one of them at each cut."""
    steps = np.random.default_rng(0).choice([1 / 60, 1 / 24, 0.2, 0.5], 300)
    times_s = np.concatenate([[0.0], np.cumsum(steps)])
    return np.unique(np.round(np.concatenate([times_s[times_s < 8], [ON_S, OFF_S]]), 4))


def light_between(time_s: float) -> np.ndarray:
    return grey(200 if ON_S - 1e-6 <= time_s < OFF_S - 1e-6 else 30)


SOUND = 0.1 * np.random.default_rng(0).standard_normal(48_000 * 10)
FILMS = {
    "constant.mp4": dict(times_s=CONSTANT),
    "constant.mkv": dict(times_s=CONSTANT),
    "transport stream.ts": dict(times_s=CONSTANT),
    "B-frames without time stamps.avi": dict(times_s=CONSTANT, time_base=Fraction(1, 25)),
    "variable.mp4": dict(times_s=variable()),
    "variable.mkv": dict(times_s=variable()),
    "picture after sound, edit list.mp4": dict(times_s=CONSTANT, start_s=1.0, sound=SOUND),
    "picture after sound.mkv": dict(times_s=CONSTANT, start_s=1.0, sound=SOUND),
    "late start of all.mkv": dict(times_s=CONSTANT, start_s=1.0),
    "100 per second.mp4": dict(times_s=np.arange(0, 8, 0.01), rate=100),
    "29.97 per second.mp4": dict(times_s=np.arange(240) * 1001 / 30000, rate=Fraction(30000, 1001)),
    "ten bits, ä ß.mkv": dict(
        times_s=CONSTANT, codec="libx265", pixels="yuv420p10le", options={"x265-params": "log-level=none"}
    ),
    "VP9.webm": dict(times_s=CONSTANT, codec="libvpx-vp9", options={"cpu-used": "8"}),
    "MPEG-4.avi": dict(times_s=CONSTANT, codec="mpeg4", time_base=Fraction(1, 25)),
}  # fmt: skip


@pytest.fixture(scope="module", params=FILMS, ids=lambda name: name)
def film(request, tmp_path_factory):
    """(the film, by how much its picture starts after it)."""
    arguments = FILMS[request.param]
    path = write_film(tmp_path_factory.mktemp("film") / request.param, picture=light_between, **arguments)
    return open_film(path), arguments.get("start_s", 0.0) if "sound" in arguments else 0.0


def nobody(frames):
    return [[] for _ in frames]


def test_a_cut_is_found_to_the_sample(film):
    """A sample shows what is on the screen at its second: light from the first sample at or after the cut."""
    film, later_s = film
    found = scan(film, range(0, 40), 5.0, nobody, 72)[0]
    light = np.flatnonzero(np.array(found["brightness"]) > 0.4)
    times_s = np.asarray(FILMS[film.path.name]["times_s"])
    first_light, first_dark = (times_s[times_s >= cut_s - 1e-6][0] + later_s for cut_s in (ON_S, OFF_S))
    assert light[0] == np.ceil((first_light - 2e-3) * 5)  # Matroska rounds to 1 ms
    assert light[-1] + 1 == np.ceil((first_dark - 2e-3) * 5)
    assert len(light) == light[-1] - light[0] + 1
    assert np.flatnonzero(found["shot_cuts"]).tolist() == [light[0], light[-1] + 1]


def test_samples_are_the_same_from_wherever_the_scan_starts(film):
    film, _ = film
    whole, part = (scan(film, samples, 5.0, nobody, 72)[0] for samples in (range(0, 40), range(17, 29)))
    for name in ("time_s", "brightness", "motion_energy", "shot_cuts"):
        assert part[name] == whole[name][17:29], name


def test_a_film_states_its_length_and_rate(film):
    film, later_s = film
    times_s = np.asarray(FILMS[film.path.name]["times_s"])
    assert times_s[-1] + later_s < film.duration_s < times_s[-1] + later_s + 0.6
    assert (film.width, film.height, film.rotation, film.damaged) == (128, 72, 0, 0)


def test_frames_come_once_each_and_in_order(film):
    film, _ = film
    times_s = [frame.time_s for frame in film.frames()]
    assert len(times_s) == len(FILMS[film.path.name]["times_s"]) and np.all(np.diff(times_s) > 0)


def test_a_frame_stays_until_the_next(tmp_path):
    """A slide show: the frame on the screen at a second may have come long before it."""
    film = open_film(write_film(tmp_path / "slides.mp4", [0.0, 30.0, 61.0, 62.0], lambda t: grey(int(t * 4))))
    assert [frame.time_s for frame in film.frames(59.0, 61.5)] == [30.0, 61.0]
    found = scan(film, range(55, 62), 1.0, nobody, 72)[0]
    assert np.allclose(np.array(found["brightness"]) * 255, [120] * 6 + [244], atol=3)
    assert np.allclose(np.array(found["motion_energy"]) * 255, [0] * 6 + [124], atol=3)
