"""The report in a browser that has no network: no error in its console, every image loads, it fits a phone."""

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

from neuroface.face_study.study import STUDY
from neuroface.pipeline.report import LARGE_BYTES, Section, add_section, save_figure

import numpy as np
import pandas as pd
import pytest
from browser import BROWSER, check_in_print, check_on_a_phone
from matplotlib import pyplot as plt
from PIL import Image

needs_browser = pytest.mark.skipif(not BROWSER, reason="needs chromium or google-chrome")
LOOK = """<script>for (const part of document.querySelectorAll("details")) part.open = true;
addEventListener("load", async () => {
  await new Promise(done => setTimeout(done, 3000));  // lazy frames
  document.title = JSON.stringify({
  widths: [...document.images].map(image => image.complete && image.naturalWidth),
  frames: [...document.querySelectorAll("iframe")].map(frame => frame.contentDocument.querySelectorAll("canvas").length),
  page: document.documentElement.scrollWidth, window: innerWidth }) })</script>"""
# What the interactive view says about itself, and what software rendering says about its speed.
NO_ERROR = ("niivue-info", "GL Driver Message", "Automatic fallback to software WebGL")


def look_at(page: str, folder: Path) -> tuple[dict, list[str]]:
    """What the browser saw of a page, and what it complained about."""
    file = folder / "page.html"
    file.write_text(page.replace("</body>", f"{LOOK}</body>"))
    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--use-gl=angle", "--use-angle=swiftshader",
         "--enable-unsafe-swiftshader", "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder / 'profile'}",
         "--virtual-time-budget=10000", "--window-size=1200,20000", "--enable-logging=stderr", "--v=0", "--dump-dom",
         file.as_uri()], capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    said = [
        line
        for line in done.stderr.splitlines()
        if "CONSOLE" in line and not any(ok in line for ok in NO_ERROR)
    ]
    return json.loads(
        re.search("<title>(.*?)</title>", done.stdout).group(1).replace("&quot;", '"')
    ), said


@needs_browser
def test_the_report_opens_without_network_and_without_an_error(tiny, tmp_path):
    page = (tiny.root / "report.html").read_text()
    seen, said = look_at(page, tmp_path)
    assert said == []
    assert len(seen["widths"]) == page.count("<img ") > 20 and min(seen["widths"]) > 300
    assert seen["frames"] and min(seen["frames"]) >= 1, "the interactive view did not load"


def test_the_report_fits_a_phone(tiny):
    check_on_a_phone(tiny.root / "report.html")


def test_a_printed_report_is_complete_and_fits_the_paper(tiny):
    check_in_print(tiny.root / "report.html")


@needs_browser
def test_a_broken_page_is_noticed(tmp_path):
    page = '<html><body><img src="data:image/png;base64,AAAA"><script>missing()</script><img src="https://x.org/a.png"></body>'
    seen, said = look_at(page, tmp_path)
    assert seen["widths"] == [0, 0] and any("missing is not defined" in line for line in said)


def test_the_report_is_small_enough_to_send(tiny):
    assert (tiny.root / "report.html").stat().st_size < 15e6


def test_it_ends_with_the_methods_and_says_what_differs_from_the_paper(tiny):
    page = (tiny.root / "report.html").read_text()
    last = page.split('<section id="methods">')[1]
    for words in (
        "8 people who saw 4 films",
        "Integrated Gradients",
        "exact for linear and second-order models",
        "relabellings of events within films",
        "Nichols",
    ):
        assert words in last
    different = page.split("Settings that differ from the paper")[1].split("</table>")[0]
    rows = re.findall(
        r"<tr><td><code>(\w+)</code></td><td>(.*?)</td><td>(.*?)</td></tr>", different
    )
    assert ("IG_STEPS", "auto", "200") in rows and ("TRAINING", "robust", "paper") in rows
    assert not {"LAG_S", "WINDOW_TRS", "SEED"} & {name for name, *_ in rows}


def blocks_of_decoding(tiny, kind: str) -> list[dict]:
    blocks = json.loads((tiny.root / "3-model" / "report.json").read_text())["blocks"]
    return [block for block in blocks if block["kind"] == kind]


def test_the_first_numbers_are_those_of_the_best_model_on_unseen_films(tiny):
    cards = [list(block["values"]) for block in blocks_of_decoding(tiny, "numbers")]
    assert [card[0] for card in cards] == [
        "accuracy, best by inner validation, movie folds",
        "accuracy, best by inner validation, window folds",
        "accuracy, voxel-time CNN, movie folds, for reference",
        "accuracy, voxel-time CNN, window folds, for reference",
    ]
    assert not any(name.startswith("p ") for card in cards for name in card), (
        "a p of ridge beside another model"
    )


def test_a_model_has_one_auc_per_split(tiny):
    """Ridge regression on movie folds: in the comparison, beside the film regressors, not in the ladder."""
    everything = json.loads((tiny.root / "3-model" / "metrics.json").read_text())
    auc = f"{everything['linear_models']['linear']['movie']['all_folds']['auc']:.3f}"
    cells = []
    for table in blocks_of_decoding(tiny, "table"):
        columns = [
            i
            for i, name in enumerate(table["columns"])
            if "ROC AUC" in name or name == "AUC, movie folds"
        ]
        of_film_folds = "movie" in table["caption"] or "AUC, movie folds" in table["columns"]
        rows = [row for row in table["rows"] if "ridge, whole window" in row[0] and of_film_folds]
        cells += [row[i].split(" ")[0] for row in rows for i in columns]
        assert "AUC" not in table["columns"], "an AUC of which no one knows whether it is pooled"
    assert len(cells) >= 2 and set(cells) == {auc}


def test_every_script_says_when_and_on_what_it_ran(tiny):
    page = (tiny.root / "report.html").read_text()
    table = page.split("Time, commit and machine of each script")[1].split("</table>")[0]
    rows = re.findall(r"<tr>(.*?)</tr>", table.replace("\n", " "))[1:]
    assert len(rows) == 8 and all(re.search(r"\d+ cores, \d+ GB", row) for row in rows)
    # Script 6 refits models to swapped labels. The others name no GPU in a process without TensorFlow.
    for script in ("3-train", "4-integrated", "6-average", "8-moment"):
        (row,) = [row for row in rows if script in row]
        assert "GPU" in row


def test_what_is_stored_is_escaped_and_large_pictures_shrink(tmp_path):
    rng = np.random.default_rng(0)
    noisy = np.kron(rng.integers(0, 255, (150, 200, 3)), np.ones((3, 3, 1))) + rng.integers(
        0, 9, (450, 600, 3)
    )
    (tmp_path / "1-windows").mkdir()
    Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(
        tmp_path / "1-windows" / "large.png"
    )
    assert (tmp_path / "1-windows" / "large.png").stat().st_size > LARGE_BYTES
    section = Section("<b>title</b>", "lead & more")
    section.table(["<i>"], [["<script>bad()"]], "caption")
    section.figure(tmp_path / "1-windows" / "large.png", 'a "picture"')
    study = replace(STUDY, title=lambda settings: "title")
    page = add_section(study, tmp_path, tmp_path / "1-windows", section).read_text()
    assert (
        "<b>title" not in page
        and "<script>bad" not in page
        and "&lt;script&gt;bad()" in page
        and "lead &amp; more" in page
    )
    assert "data:image/webp;base64," in page and len(page) < LARGE_BYTES


def test_the_first_screen_has_the_result_its_null_a_map_a_timeline_and_what_to_read_next(tiny):
    page = (tiny.root / "report.html").read_text()
    first = page.split('<section id="result">')[1].split("</section>")[0]
    metrics = json.loads((tiny.root / "3-model" / "metrics.json").read_text())
    null = metrics["linear_models"]["linear"]["movie"]
    for words in (
        "Decoded from the BOLD of 8 people",
        "<dt>accuracy, best by inner validation</dt>",
        "<dt>95 % interval</dt>",
        "<dt>accuracy, voxel-time CNN, for reference</dt>",
        "<dt>with swapped labels (ridge, whole window)</dt>",
        "Held out together: films, with all their viewers",
        "the run with the median AUC",
        "docs/reading-the-numbers.md",
    ):
        assert words in first
    assert first.count("<img ") == 2 and null["all_folds"]["accuracy"] > 0
    assert page.index('<section id="result">') < page.index('<section id="1-windows">')
    assert page.count("<details>") >= 10  # eight scripts, settings, methods


def test_all_that_was_left_out_is_counted_on_the_first_screen(tmp_path):
    for folder, left_out in {"1-windows": [["sub-2", "no mask"]], "2-dataset": []}.items():
        (tmp_path / folder).mkdir()
        stamp = {
            "settings": {},
            "inputs": {},
            "versions": {},
            "backends": [],
            "commit": None,
            "script": folder,
        }
        stamp |= {"finished": "now", "left_out": left_out}
        (tmp_path / folder / "settings.json").write_text(json.dumps(stamp))
    section = Section("Data", "")
    section.first.text("what was decoded")
    study = replace(STUDY, title=lambda settings: "title", methods=lambda *_: None)
    page = add_section(study, tmp_path, tmp_path / "1-windows", section).read_text()
    first = page.split('<section id="result">')[1].split("</section>")[0]
    assert (
        "what was decoded" in first
        and "Left out: 1 (sub-2)" in first
        and "<td>no mask</td>" in first
    )
    assert "Not run yet: <code>3-train_voxel_time_cnn.py</code>" in first


def test_a_figure_names_the_table_of_what_it_shows(tmp_path):
    (tmp_path / "1-windows").mkdir()
    figure = plt.figure()
    save_figure(figure, tmp_path / "1-windows" / "a.png", data=pd.DataFrame({"x": [1.5]}))
    assert (tmp_path / "1-windows" / "a_data.tsv").read_text() == "x\n1.5\n"
    section = Section("Data", "")
    section.figure(tmp_path / "1-windows" / "a.png", "a curve.")
    study = replace(STUDY, title=lambda settings: "title", methods=lambda *_: None)
    page = add_section(study, tmp_path, tmp_path / "1-windows", section).read_text()
    assert "a curve. Data: <code>1-windows/a_data.tsv</code>." in page
