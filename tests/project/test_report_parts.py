"""Parts of the report and of --check that a reader would misread: each was found by reading a page."""

from pathlib import Path

from neuroface.attribution.report import in_powers_of_ten
from neuroface.bold.film_event import clock_of_onsets
from neuroface.bold.group_mask import describe_overlap, plot_overlap
from neuroface.decoding import figures
from neuroface.decoding.training_report import (
    describe_histories,
    intervals_against_p,
    shown_models,
)
from neuroface.face_study.films import place_in_film
from neuroface.film import Part, box_of
from neuroface.film.correction_page import write_correction_page
from neuroface.film.faces import candidate
from neuroface.maps.region_bold import describe_courses, region_courses
from neuroface.maps.surface_figures import GLASS_SHARE, strongest
from neuroface.pipeline import Section
from neuroface.pipeline.checklist import sizes_text
from neuroface.timeline.report import shown_of

import numpy as np
import pandas as pd
import pytest
from PIL import Image


@pytest.mark.parametrize(
    ("needed", "there", "said"),
    [
        (0.0841, 0.0712, ("0.08 GB", "0.07 GB")),
        (12.0, 3.0, ("12.0 GB", "3.0 GB")),
        (0.1, 0.1, ("0.1 GB", "0.1 GB")),
        (0.1044, 0.1041, ("0.1044 GB", "0.1041 GB")),
    ],
)
def test_two_sizes_that_differ_are_written_as_two_sizes(needed, there, said):
    assert sizes_text(needed, there) == said


@pytest.mark.parametrize(
    ("models", "shown"),
    [
        (["polynomial_network", "voxel_time_cnn", "best"], ["best", "voxel_time_cnn"]),
        (["polynomial_network", "voxel_time_cnn"], ["polynomial_network", "voxel_time_cnn"]),
        (["voxel_time_cnn", "linear_plus"], ["voxel_time_cnn"]),
        (["linear_plus", "best"], ["best", "linear_plus"]),
    ],
)
def test_the_reference_is_the_papers_network_wherever_it_stands_in_models(models, shown):
    assert shown_models(models) == shown


def test_the_report_shows_the_training_of_every_network(tmp_path):
    models = (
        "polynomial_network",
        "voxel_time_cnn",
        "linear_plus",
    )  # the last is not trained by steps
    results, steps = {}, dict(zip(models, (40, 70, None)))
    for model in models:
        folder = tmp_path / "movie" / ("" if model == "voxel_time_cnn" else model)
        folder.mkdir(parents=True, exist_ok=True)
        results[model] = {"movie": {"cost": {}}}
        if steps[model]:
            cost = {"best_step": steps[model], "steps": 120, "windows_per_pass": 16}
            results[model]["movie"]["cost"] = cost
            (folder / "history.png").write_bytes(b"")
    section = Section("", "")
    describe_histories(section, tmp_path, results, ["movie"], models, "inner")
    captions = [block["caption"] for block in section.blocks]
    assert ["40 of 120" in captions[0], "70 of 120" in captions[1], len(captions)] == [
        True,
        True,
        2,
    ]


def test_an_axis_needs_no_factor_of_its_own():
    shown, power = in_powers_of_ten(np.array([0.0, 3e-6, 9e-6]))
    assert power == -6 and shown.tolist() == pytest.approx([0, 3, 9])
    same, none = in_powers_of_ten(np.array([0.02, 0.5]))
    assert none == 0 and same.tolist() == [0.02, 0.5]
    assert in_powers_of_ten(np.zeros(3))[1] == 0


def test_curves_of_ten_models_have_ten_colours_and_no_legend_lies_over_them(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(figures, "save_figure", lambda figure, target, data: drawn.append(figure))
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    figures.plot_curves(
        y, {f"model {k}": rng.random(40) for k in range(10)}, "", tmp_path / "x.png"
    )
    (figure,) = drawn
    figure.draw_without_rendering()
    (legend,) = figure.legends
    box = legend.get_window_extent()
    for axis in figure.axes:
        assert axis.get_legend() is None and not box.overlaps(axis.get_window_extent())
        curves = [line.get_color() for line in axis.lines if line.get_linestyle() == "-"]
        assert len(curves) == len(set(curves)) == 10
    assert legend.get_texts()[0].get_text().startswith("model 0 (AUC ")


def test_it_says_how_many_of_all_timelines_it_shows(tmp_path):
    assert shown_of(8, "runs", tmp_path / "8-predictions") == ""
    assert shown_of(10, "runs", tmp_path / "8-predictions") == (
        " This page shows 8 of 10 runs; 8-predictions/ has the figures of all."
    )


def test_seconds_are_those_of_the_run_where_nothing_says_when_the_film_began():
    clocks = [
        clock_of_onsets(dataset, event)
        for dataset, event in (("bids", None), ("bids", 0.0), ("bids", "film"), ("nndb-v1", None))
    ]
    assert clocks == ["run", "film", "film", "film"]


def test_a_glass_brain_shows_the_strongest_values_and_those_that_pass():
    matrix = np.linspace(-1, 1, 2000).reshape(200, 10)
    found = np.zeros(matrix.shape, bool)
    found[100, 0] = True  # a small value
    shown = strongest(matrix, found)
    assert (shown != 0).sum() == round(GLASS_SHARE * matrix.size) + 1
    assert shown[100, 0] == matrix[100, 0] and shown[0, 0] == -1 and shown[-1, -1] == 1
    assert np.abs(strongest(matrix, None)[strongest(matrix, None) != 0]).min() >= 0.949


def scores(low: float, high: float) -> dict:
    return {"movie": {"intervals_95": {"over": "people", "n": 8, "scores": {"auc": [low, high]}}}}


@pytest.mark.parametrize(
    ("interval", "p", "says"),
    [
        ((0.556, 0.681), 0.13, "lies above chance, and p is 0.1300"),
        ((0.45, 0.70), 0.01, "includes chance, and p is 0.0100"),
        ((0.556, 0.681), 0.01, None),
        ((0.45, 0.70), 0.13, None),
        ((0.556, 0.681), None, None),
    ],
)
def test_an_interval_that_contradicts_its_p_is_explained(interval, p, says):
    sentences = intervals_against_p(
        {"linear": scores(*interval)}, {"linear": {"movie": {"p": p}}}, ["movie"]
    )
    assert len(sentences) == (says is not None)
    if says:
        assert says in sentences[0] and "ridge, whole window, movie folds" in sentences[0]


def test_the_overlap_of_masks_is_a_picture(tmp_path):
    overlap = np.zeros((6, 5, 12), np.float32)
    overlap[1:5, 1:4, 2:10] = 1
    overlap[1, 1:4, 2:10] = 0.5
    section = Section("Data", "")
    describe_overlap(section, tmp_path)
    assert section.blocks == []  # with a mask of the user's own
    plot_overlap(overlap, overlap > 0.9, tmp_path / "mask_overlap.png")
    describe_overlap(section, tmp_path)
    assert Path(section.blocks[0]["path"]) == tmp_path / "mask_overlap.png"
    picture = np.asarray(Image.open(tmp_path / "mask_overlap.png").convert("RGB")).astype(int)
    orange = (np.abs(picture - (0xC8, 0x64, 0x3C)) < 12).all(axis=2)
    assert orange.sum() > 100  # the outline of the group mask


def test_a_box_of_a_candidate_is_where_the_face_is():
    found = candidate(0.98765, (64, 36, 128, 90), (360, 640, 3))
    assert found == (0.9877, 0.25, 0.05, 0.1, 0.1)
    assert box_of(found) == pytest.approx((0.1, 0.1, 0.2, 0.25))


def test_the_page_draws_boxes_and_names_the_time_of_the_film_file(tmp_path):
    parts = [
        Part("a.mkv", 100.0, 160.0, "gump", "1", 5.0),
        Part("b.mkv", 0.0, 60.0, "gump", "1", 90.0),
    ]
    places = [place_in_film(parts, second) for second in (5.0, 10.5, 70.0, 90.0)]
    assert places == ["a.mkv at 0:01:40.0", "a.mkv at 0:01:45.5", "", "b.mkv at 0:00:00.0"]
    assert place_in_film([Part("a.mkv", 0.0, 60.0, "gump", "", 0.0)], 12.0) == ""
    boxes = {0: [(True, 0.1, 0.2, 0.3, 0.4), (False, 0.5, 0.5, 0.1, 0.1)]}
    write_correction_page(
        tmp_path / "check.html", "task-gump", "face", [(True, 5.0, 2.0, 0.5)], 60.0, 5.0, np.array([25]),
        lambda sample: b"", lambda sample: boxes[0], lambda second: place_in_film(parts, second),
    )  # fmt: skip
    page = (tmp_path / "check.html").read_text()
    assert "0:00:05.0, 2.0 s<br>a.mkv at 0:01:40.0<br>doubt 50 %" in page
    assert '<i style="left:10.0%;top:20.0%;width:30.0%;height:40.0%"></i>' in page
    assert '<i class="below" style="left:50.0%;top:50.0%;width:10.0%;height:10.0%"></i>' in page


def test_bold_of_a_region_is_the_mean_over_people_of_their_means(tmp_path):
    X = np.zeros((6, 4, 3), np.float32)
    samples = pd.DataFrame(
        {"subject": ["a", "a", "a", "b", "b", "b"], "label": ["face", "face", "noface"] * 2}
    )
    X[0, :2], X[1, :2], X[3, :2], X[4, :2] = 1, 3, 4, 4  # a: mean 2, b: mean 4
    X[:, 2:] = 99  # outside the region
    courses = region_courses(X, samples, {"FFA": np.array([True, True, False, False])}, 2.0)
    face = courses[courses["label"] == "face"]
    assert face["mean"].tolist() == [3, 3, 3] and face["second"].tolist() == [0, 2, 4]
    assert face["sd_people"].tolist() == pytest.approx([np.sqrt(2)] * 3)
    assert courses[courses["label"] == "noface"]["mean"].tolist() == [0, 0, 0]
    section = Section("", "")
    describe_courses(section, tmp_path, courses)
    written = pd.read_csv(tmp_path / "roi_bold_data.tsv", sep="\t")
    assert written["mean"].tolist() == courses["mean"].tolist() and len(section.blocks) == 1
