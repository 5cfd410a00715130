"""The page that plays a film: what it joins, and what it shows when it is clicked and typed at."""

import io
import json
import shutil
from types import SimpleNamespace

from neuroface.face_study.viewing import moments_of_volumes
from neuroface.face_study.words import named_labels
from neuroface.timeline.viewer import (
    mean_and_limits,
    tracks_of_film,
    worst_misses,
    write_viewer,
)

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import stats

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
LABELS = named_labels(("face", "noface"))


def table(start_s: float, probability: list[float], truth: list[float]) -> pd.DataFrame:
    times = start_s + np.arange(len(probability))
    return pd.DataFrame({"stimulus_time_s": times, "probability": probability, "truth": truth})


def picture(colour: str) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (16, 9), colour).save(target, "webp")
    return target.getvalue()


@pytest.fixture
def tracks():
    n = 120
    truth = (np.arange(n) // 20 % 2).astype(float)
    right = 0.1 + 0.8 * truth
    right[50] = 0.02  # second 50: the truth is 0 there, so this is no miss
    right[70] = 0.05  # second 70: a face that nobody saw
    tables = {f"sub-{k}": table(0, list(right), list(truth)) for k in (1, 2)}
    tables["sub-3"] = table(2, list(right[2:]), list(truth[2:]))  # its first volumes are missing
    loud = pd.DataFrame({"loudness": np.arange(n, dtype=float), "constant": np.ones(n)})
    loud["stimulus_time_s"] = np.arange(n) - 5.0  # half a window before the predictions
    windows = [(20.0, "face"), (40.0, "noface")]
    return tracks_of_film(
        "aurora", tables, windows, {"sub-1": loud}, [(0.0, picture("red")), (60.0, picture("blue"))]
    )


def test_viewers_are_joined_on_the_clock_of_the_film(tracks):
    assert tracks.seconds.tolist() == list(range(120)) and len(tracks.people) == 3
    assert (
        np.isnan(tracks.people["sub-3"][:2]).all()
        and tracks.people["sub-3"][2] == tracks.people["sub-1"][2]
    )
    assert list(tracks.regressors) == ["loudness"]  # one that never changes has no SD
    np.testing.assert_allclose(tracks.regressors["loudness"][:115], stats.zscore(np.arange(115.0)))
    assert np.isnan(tracks.regressors["loudness"][115:]).all()


def test_regressors_stand_where_their_volumes_respond_to_the_film():
    cfg = SimpleNamespace(TR_S=2.0, WINDOW_TRS=5, PREDICTION_AT=0.5)
    middle_of_window_s = [-4 + 5.0, -2 + 5.0, 0 + 5.0]  # volumes at 0, 2, 4 s of a run; LAG_S = 4
    predicted = table(0, [0.5] * 3, [1.0] * 3).assign(stimulus_time_s=middle_of_window_s)
    assert moments_of_volumes(predicted, cfg).tolist() == [-4, -2, 0]


def test_the_interval_is_scipys_t_interval_over_people():
    people = np.random.default_rng(0).random((5, 7))
    people[0, 0] = np.nan
    mean, low, high = mean_and_limits(list(people))
    for column in range(7):
        known = people[~np.isnan(people[:, column]), column]
        expected = stats.t.interval(0.95, len(known) - 1, known.mean(), stats.sem(known))
        np.testing.assert_allclose((low[column], high[column]), np.clip(expected, 0, 1))
        assert mean[column] == pytest.approx(known.mean())
    _, low, _ = mean_and_limits(list(people[:2]))
    assert np.isnan(low).all()  # two people give no interval


def test_the_worst_misses_are_apart_and_are_misses():
    seconds = np.arange(30.0)
    truth, probability = np.zeros(30), np.full(30, 0.3)
    probability[[4, 5, 20]] = 0.9, 0.95, 0.6
    assert worst_misses(seconds, probability, truth) == [(5.0, 0.95), (20.0, 0.6)]
    assert worst_misses(seconds, np.full(30, np.nan), truth) == []


@pytest.fixture
def page(tracks, tmp_path):
    maps = {"face": [picture("orange")] * 10, "noface": [picture("green")] * 10}
    write_viewer(tmp_path / "viewer.html", [tracks], maps, 1.0, LABELS, "a <title>", "film")
    text = (tmp_path / "viewer.html").read_text()
    assert "a &lt;title&gt;" in text and "http" not in text.replace("http-equiv", "")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if not BROWSER:
        pytest.skip("needs chromium or google-chrome")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(offline=True)
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.goto((tmp_path / "viewer.html").as_uri())
        yield page
        assert page.errors == []
        browser.close()


def test_the_film_is_played_by_keys_and_clicks(page):
    clock, said = page.locator("#clock"), page.locator("#said")
    assert (
        clock.inner_text() == "0:00:00.0" and said.inner_text() == "probability 0.10; true: no face"
    )
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ArrowRight")
    assert clock.inner_text() == "0:00:21.0" and said.inner_text() == "probability 0.90; true: face"
    assert "“face” windows, 1.0 s after" in page.locator("#map-caption").inner_text()
    red = page.get_attribute("#picture", "src")
    page.keyboard.press("n")
    assert clock.inner_text() == "0:01:10.0" and said.inner_text() == "probability 0.05; true: face"
    assert "no map" in page.locator("#map-caption").inner_text()
    assert page.get_attribute("#picture", "src") != red  # the film's second picture
    page.locator("#scrubber").fill("45")
    assert clock.inner_text() == "0:00:45.0"
    assert "“no face” windows, 5.0 s after" in page.locator("#map-caption").inner_text()
    page.locator("#misses button").first.click()
    assert clock.inner_text() == "0:01:10.0"
    page.select_option("#person", "sub-3")
    page.keyboard.press("Escape")
    page.locator("#scrubber").fill("0")
    assert said.inner_text() == "no prediction; true: no face"
    box = page.locator("#whole").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 100 / 119, box["y"] + 20)
    assert clock.inner_text() == "0:01:40.0"


def test_an_hour_of_film_is_small_and_no_number_is_invented(tmp_path):
    n = 3600
    values = np.random.default_rng(1).random(n)
    people = {
        f"sub-{k}": table(0, list(values), list((values > 0.5).astype(float))) for k in range(10)
    }
    tracks = tracks_of_film("long", people, [], {}, [])
    write_viewer(tmp_path / "viewer.html", [tracks], {}, 1.0, LABELS, "title", "run")
    text = (tmp_path / "viewer.html").read_text()
    assert len(text) < 2e6
    data = json.loads(text.split('id="data">')[1].split("</script>")[0])
    np.testing.assert_allclose(data["films"][0]["people"]["sub-7"], values, atol=5e-4)
    assert data["films"][0]["seconds"][-1] == n - 1
