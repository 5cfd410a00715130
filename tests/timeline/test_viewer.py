"""The page that plays a film: what it joins, and what it shows when it is clicked and typed at."""

import base64
import io
import json
import zlib
from types import SimpleNamespace

from neuroface.face_study.viewing import MOST_PICTURES, moments_of_volumes
from neuroface.face_study.viewing_maps import n_people_that_fit, people_of_films
from neuroface.face_study.words import named_labels
from neuroface.timeline.viewer import (
    mean_and_limits,
    tracks_of_film,
    worst_misses,
    write_viewer,
)
from neuroface.timeline.window_maps import N_LEVELS, Brain, ViewerMaps, WindowMaps

import numpy as np
import pandas as pd
import pytest
from browser import PHONE_PX, TOO_WIDE, open_page
from PIL import Image
from scipy import stats

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


LIMIT = 0.5
STRONGEST_MM = [10, -20, 30]  # voxel (4, 3, 5) of the grid below
OTHER_MM = [-10, 0, 10]  # voxel (2, 5, 3)


@pytest.fixture
def brain():
    """Voxels of 10 mm; all are in the mask but those of the lowest plane."""
    affine = np.diag([10.0, 10, 10, 1])
    affine[:3, 3] = -30, -50, -20
    mask = np.ones((7, 9, 8), dtype=bool)
    mask[:, :, 0] = False
    levels = np.arange(-N_LEVELS, N_LEVELS + 1)
    red, blue = np.where(levels > 0, 255, 0), np.where(levels < 0, 255, 0)
    colours = np.stack([red, 0 * red, blue, np.where(levels == 0, 0, 255)], axis=1)
    return Brain(
        mask, affine, np.full(mask.shape, 90, np.uint8), affine, colours.astype(np.uint8),
        box_mm=np.array([[-35.0, -55, -25], [35, 35, 55]]),
    )  # fmt: skip


def values_with(brain: Brain, peaks: dict[tuple[int, int, int], float]) -> np.ndarray:
    """(n_voxels, 10) with the same values at all volumes, in C order of the mask."""
    volume = np.zeros(brain.mask.shape)
    for voxel, value in peaks.items():
        volume[voxel] = value
    return np.repeat(volume[brain.mask][:, None], 10, axis=1)


@pytest.fixture
def maps(brain):
    group = values_with(brain, {(4, 3, 5): 2 * LIMIT, (2, 5, 3): -0.4 * LIMIT})
    person = values_with(brain, {(2, 5, 3): -LIMIT})
    orange, green, blue = ([picture(colour)] * 10 for colour in ("orange", "green", "blue"))
    return ViewerMaps(
        of={
            "group": {
                "face": WindowMaps(orange, group, LIMIT),
                "noface": WindowMaps(green, group, LIMIT),
            },
            "sub-1": {"face": WindowMaps(blue, person, LIMIT)},
        },
        n_trs=10,
        brain=brain,
        unit="logit",
        left_out=("sub-3",),
    )


@pytest.fixture
def page(tracks, maps, tmp_path):
    write_viewer(tmp_path / "viewer.html", [tracks], maps, 1.0, LABELS, "a <title>", "film")
    text = (tmp_path / "viewer.html").read_text()
    assert "a &lt;title&gt;" in text and "http" not in text.replace("http-equiv", "")
    with open_page(tmp_path / "viewer.html") as page:
        yield page


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


def has_text(page, element: str, text: str) -> None:
    page.wait_for_function(
        "([id, text]) => document.querySelector(id).textContent.includes(text)",
        arg=[element, text],
        timeout=10_000,
    )


def colour_at(page, plane: str, right_mm: float, up_mm: float) -> list[int]:
    """Red, green, blue of a slice's pixel; the lowest corner of the box is -35, -55, -25 mm, the highest 35, 35, 55."""
    low = {"sagittal": -55, "coronal": -35, "axial": -35}[plane]
    high = {"sagittal": 55, "coronal": 55, "axial": 35}[plane]
    return page.evaluate(
        "([id, x, y]) => [...document.getElementById(id).getContext('2d').getImageData(x, y, 1, 1).data].slice(0, 3)",
        [plane, right_mm - low, high - up_mm],
    )


def test_slices_go_through_the_strongest_voxel_and_where_one_clicks(page):
    page.locator("#scrubber").fill("21")
    has_text(page, "#place", "x 10, y -20, z 30 mm: 1 logit, the strongest voxel")  # beyond LIMIT
    x, y, z = (mm + 3 for mm in STRONGEST_MM)  # beside the cross, in the same voxel
    red, grey = [255, 0, 0], [90, 90, 90]
    assert colour_at(page, "sagittal", y, z) == red
    assert colour_at(page, "coronal", x, z) == red
    assert colour_at(page, "axial", x, y) == red
    assert colour_at(page, "axial", x + 10, y) == grey
    axial = page.locator("#axial").bounding_box()  # 70 mm wide, 90 mm high
    page.mouse.click(
        axial["x"] + axial["width"] * (OTHER_MM[0] + 35) / 70,
        axial["y"] + axial["height"] * (35 - OTHER_MM[1]) / 90,
    )
    has_text(page, "#place", "x -10, y 0, z 30 mm: about 0 logit")
    coronal = page.locator("#coronal").bounding_box()
    page.mouse.click(
        coronal["x"] + coronal["width"] * (OTHER_MM[0] + 35) / 70,
        coronal["y"] + coronal["height"] * (55 - OTHER_MM[2]) / 80,
    )
    has_text(page, "#place", "x -10, y 0, z 10 mm: about -0.19 logit")  # -12 of 31 levels of 0.5
    assert colour_at(page, "axial", OTHER_MM[0] + 3, OTHER_MM[1] + 3) == [0, 0, 255]
    page.keyboard.press("s")
    has_text(page, "#place", "x 10, y -20, z 30 mm")
    page.mouse.click(
        coronal["x"] + coronal["width"] / 2, coronal["y"] + coronal["height"] * (55 + 20) / 80
    )
    has_text(page, "#place", "z -20 mm: not in the group's mask")
    page.locator("#strongest").click()
    has_text(page, "#place", "x 10, y -20, z 30 mm")


def test_the_map_is_the_groups_or_a_persons(page):
    page.locator("#scrubber").fill("21")
    has_text(page, "#map-caption", "Mean attributions of the group in “face” windows")
    has_text(page, "#map-caption", "too large: the maps of sub-3.")
    of_group = page.get_attribute("#map", "src")
    assert page.locator("#map-of option").all_inner_texts() == ["group", "sub-1"]
    page.keyboard.press("m")
    has_text(page, "#map-caption", "Mean attributions of sub-1 in “face” windows")
    has_text(page, "#place", "x -10, y 0, z 10 mm: -0.5 logit, the strongest voxel")
    assert page.get_attribute("#map", "src") != of_group
    page.locator("#scrubber").fill("45")
    has_text(page, "#map-caption", "sub-1 has no “no face” window")
    assert not page.locator("#map").is_visible() and not page.locator("#slices").is_visible()
    page.keyboard.press("m")
    has_text(page, "#map-caption", "Mean attributions of the group in “no face” windows")
    page.select_option("#person", "sub-1")
    assert page.input_value("#map-of") == "sub-1"
    page.select_option("#person", "")
    assert page.input_value("#map-of") == "group"
    page.select_option("#map-of", "sub-1")
    page.locator("#scrubber").fill("25")
    has_text(page, "#map-caption", "Mean attributions of sub-1 in “face” windows")


def test_without_maps_there_is_no_panel_of_maps(tracks, tmp_path):
    write_viewer(tmp_path / "viewer.html", [tracks], ViewerMaps(), 1.0, LABELS, "title", "film")
    with open_page(tmp_path / "viewer.html") as page:
        page.locator("#scrubber").fill("21")
        assert page.locator("#clock").inner_text() == "0:00:21.0"
        assert not page.locator("#map-figure").is_visible()


def test_the_viewer_fits_a_phone(tracks, maps, tmp_path):
    write_viewer(tmp_path / "viewer.html", [tracks], maps, 1.0, LABELS, "title", "film")
    with open_page(tmp_path / "viewer.html", PHONE_PX, 844) as page:
        page.locator("#scrubber").fill("21")
        has_text(page, "#place", "strongest voxel")
        assert page.evaluate(TOO_WIDE, PHONE_PX) == []


def test_the_values_of_slices_are_those_of_the_map(brain):
    values = np.random.default_rng(0).normal(size=(int(brain.mask.sum()), 10))
    content = WindowMaps([], values, limit=1.5).as_json()
    inflated = zlib.decompress(base64.b64decode(content["levels"]))
    levels = np.frombuffer(inflated, np.int8).reshape(10, -1).T
    shown = levels / N_LEVELS * 1.5
    np.testing.assert_allclose(shown, np.clip(values, -1.5, 1.5), atol=1.5 / N_LEVELS / 2 + 1e-12)
    for tr, (voxel, value) in enumerate(content["strongest"]):
        assert value == pytest.approx(values[voxel, tr], rel=1e-3)
        assert abs(value) == pytest.approx(np.abs(values[:, tr]).max(), rel=1e-3)


def test_as_many_people_as_fit_are_taken_from_all_films_in_turn():
    run = lambda subject: SimpleNamespace(subject=subject)  # noqa: E731
    films = [[run("sub-1"), run("sub-2"), run("sub-3")], [run("sub-4"), run("sub-1")]]
    assert people_of_films(films) == ["sub-1", "sub-4", "sub-2", "sub-3"]
    assert n_people_that_fit(2, 10, 0) == 18  # 6 MB of 20 pictures of 16 kB
    assert n_people_that_fit(2, 10, 41_489) == 6  # NNDb


def test_a_page_of_nndbs_size_is_at_most_15_mb(tracks, tmp_path):
    rng = np.random.default_rng(0)
    mask = np.zeros((85, 85, 85), dtype=bool)
    mask.flat[rng.permutation(mask.size)[:41_489]] = True
    brain = Brain(mask, np.eye(4), rng.integers(0, 255, (67, 79, 64), dtype=np.uint8), np.eye(4),
                  np.zeros((2 * N_LEVELS + 1, 4), np.uint8), np.zeros((2, 3)))  # fmt: skip
    people = ["group", *(f"sub-{k}" for k in range(n_people_that_fit(2, 10, 41_489)))]
    values = rng.laplace(size=(41_489, 10))
    maps = WindowMaps([rng.bytes(11_000)] * 10, values, np.percentile(np.abs(values), 99.5))
    of = {who: {"face": maps, "noface": maps} for who in people}
    pictures = [(2.4 * k, rng.bytes(3_000)) for k in range(MOST_PICTURES)]
    film = tracks._replace(pictures=pictures)
    target = tmp_path / "viewer.html"
    write_viewer(target, [film], ViewerMaps(of, 10, brain, "logit"), 1.0, LABELS, "t", "film")
    assert target.stat().st_size < 15e6


def test_an_hour_of_film_is_small_and_no_number_is_invented(tmp_path):
    n = 3600
    values = np.random.default_rng(1).random(n)
    people = {
        f"sub-{k}": table(0, list(values), list((values > 0.5).astype(float))) for k in range(10)
    }
    tracks = tracks_of_film("long", people, [], {}, [])
    write_viewer(tmp_path / "viewer.html", [tracks], ViewerMaps(), 1.0, LABELS, "title", "run")
    text = (tmp_path / "viewer.html").read_text()
    assert len(text) < 2e6
    data = json.loads(text.split('id="data">')[1].split("</script>")[0])
    np.testing.assert_allclose(data["films"][0]["people"]["sub-7"], values, atol=5e-4)
    assert data["films"][0]["seconds"][-1] == n - 1


def test_a_person_with_two_runs_of_a_film_has_one_map(tracks, maps, tmp_path):
    """Viewers are then runs, such as sub-1_run-2, and maps are still of people."""
    of_runs = {f"{who}_run-{k}": values for who, values in tracks.people.items() for k in (1, 2)}
    film = tracks._replace(people=of_runs)
    write_viewer(tmp_path / "viewer.html", [film], maps, 1.0, LABELS, "title", "film")
    with open_page(tmp_path / "viewer.html") as page:
        page.locator("#scrubber").fill("21")
        has_text(page, "#map-caption", "too large: the maps of sub-3.")
        assert page.locator("#map-of option").all_inner_texts() == ["group", "sub-1"]
        page.locator("#person").select_option("sub-1_run-2")
        assert page.input_value("#map-of") == "sub-1"
        page.locator("#person").select_option("sub-2_run-1")  # has no map
        assert page.input_value("#map-of") == "group"
