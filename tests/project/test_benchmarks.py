"""The benchmarks import what exists, and explain their options; the small ones run at a tiny size."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

from neuroface.bold import Labels
from neuroface.bold.annotations import merge_overlaps
from neuroface.bold.windows import window_table

import numpy as np
import pandas as pd
import pytest
from conftest import FULL
from scipy.spatial.distance import pdist

ROOT = Path(__file__).parents[2]
BENCHMARKS = sorted((ROOT / "benchmarks").rglob("*.py"))
COMMANDS = [
    path for path in BENCHMARKS if "argparse" in path.read_text() and path.name != "measure.py"
]


@pytest.fixture
def benchmark(monkeypatch):
    """A function that imports a benchmark by its name; the package of a study may have the same one."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    names = {path.stem for path in BENCHMARKS}
    others = {name: sys.modules.pop(name) for name in names & sys.modules.keys()}
    yield importlib.import_module
    for name in names:
        sys.modules.pop(name, None)
    sys.modules.update(others)


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_name_that_a_benchmark_imports_from_the_package_exists(path):
    """Imports inside functions too: they fail only when the function runs."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "neuroface":
            module = importlib.import_module(node.module)
            for name in node.names:
                if not hasattr(module, name.name):
                    importlib.import_module(f"{node.module}.{name.name}")


@pytest.mark.parametrize("loop", ["released", "ours"])
@pytest.mark.parametrize("per_pass", [20, 10])
def test_a_training_step_is_timed(benchmark, tmp_path, loop, per_pass):
    training = benchmark("training")
    file = training.write_windows(tmp_path / "X.npy", 40, 30)
    found = training.measure(loop, "float32", str(per_pass), str(file), 2)
    assert 0 < found["step_s"] < 60 and found["peak_gb"] > 0.01


def write_small_study(folder, n=96):
    """Windows of four films; one of 30 voxels carries the label."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    y = np.arange(n) % 2
    X = rng.standard_normal((n, 30, 4)).astype(np.float32)
    X[:, 7] += 3.0 * y[:, None]
    films = np.repeat([f"film{number}" for number in range(4)], n // 4)
    columns = ["subject\tmovie\trun\tlabel\tonset_s\tfirst_tr\tevent"]
    for row in range(n):
        label = "face" if y[row] else "noface"
        columns.append(
            f"sub-{films[row]}\t{films[row]}\t\t{label}\t{row}\t{row}\t{films[row]}_{row}"
        )
    (folder / "samples.tsv").write_text("\n".join(columns) + "\n")
    np.save(folder / "X.npy", X)
    np.save(folder / "y.npy", y.astype(np.int8))
    np.save(folder / "mask.npy", np.ones((30, 1, 1), dtype=bool))


def test_decoders_are_compared_on_a_small_data_set(benchmark, tmp_path):
    """One voxel carries the label: the closed forms read it, and their rows say so."""
    decoders = benchmark("decoders")
    folder = tmp_path / "demo"
    write_small_study(folder)
    models = ["linear-mean", "screened_ridge"]
    for model in models:
        file = decoders.file_of(tmp_path, "demo", model, 1)
        decoders.run("demo", model, 1, {}, folder, file)
        assert float(decoders.scores(folder, [file])["balanced accuracy"]) > 0.95
    best = decoders.best_of("demo", folder, tmp_path, models)
    assert float(decoders.scores(folder, [best])["balanced accuracy"]) > 0.95


def test_a_learning_curve_is_continued_where_it_was_stopped(
    benchmark, tmp_path, monkeypatch, capsys
):
    curves = benchmark("learning_curves")
    write_small_study(tmp_path / "mixed")
    call = ["learning_curves.py", "--out", str(tmp_path), "--sizes", "48", "96", "--seeds", "2"]
    monkeypatch.setattr(sys, "argv", [*call, "--models", "linear", "screened_ridge"])
    curves.main()
    whole = curves.journal(tmp_path)
    assert len(whole) == 2 * 2 * 2 and whole["auc"].min() > 0.9
    assert "| linear | " in capsys.readouterr().out
    whole.drop(index=[3, 6]).to_csv(tmp_path / "curves.tsv", sep="\t", index=False)
    curves.main()
    assert capsys.readouterr().out.count("windows, draw") == 2
    again = curves.journal(tmp_path).sort_values(curves.KEY)[[*curves.KEY, "auc"]]
    expected = whole.sort_values(curves.KEY)[[*curves.KEY, "auc"]]
    np.testing.assert_array_equal(again.to_numpy(), expected.to_numpy())
    curves.draw_figure(whole, "mixed", tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 1000


def test_a_draw_has_as_many_windows_of_each_film_and_label(benchmark, tmp_path):
    curves = benchmark("learning_curves")
    write_small_study(tmp_path / "mixed")
    samples = pd.read_csv(tmp_path / "mixed" / "samples.tsv", sep="\t")
    rows = curves.rows_of_draw(samples, 40, 1)
    assert (samples.iloc[rows].groupby(["movie", "label"]).size() == 5).all()
    assert not np.array_equal(rows, curves.rows_of_draw(samples, 40, 2))
    with pytest.raises(SystemExit, match="the data have 96 windows, --sizes asks for 97"):
        curves.rows_of_draw(samples, 97, 1)


def test_the_table_compares_with_ridge_on_the_same_draws(benchmark):
    """Differences 0.1 and 0.3: mean 0.2, standard error 0.1, t of one degree of freedom 12.706."""
    curves = benchmark("learning_curves")
    rows = []
    for model, aucs in {"linear": (0.6, 0.5), "paper": (0.7, 0.8)}.items():
        for seed, auc in enumerate(aucs, 1):
            rows.append({"data": "mixed", "model": model, "size": 75, "seed": seed, "auc": auc})
    table = curves.table_of(pd.DataFrame(rows), "mixed")
    assert "| linear | 0.550 |" in table
    assert "| paper | 0.750 (+0.200 [-1.071, +1.471]) |" in table


def test_the_twin_has_the_windows_of_the_papers_study(benchmark):
    decoders = benchmark("decoders")
    people = n_windows = 0
    for _, stretches, film_s, n_people in decoders.films_of(
        "twin", ROOT / "tests" / "data" / "nndb"
    ):
        labels = Labels("face", "noface")
        table = window_table(merge_overlaps(stretches), None, labels, 10.0, 1.0, 4.0)
        counts = table.loc[table["first_tr"] + 10 <= film_s, "label"].value_counts()
        people += n_people
        n_windows += n_people * 2 * counts.min()
    assert (people, n_windows) == (85, 3606)
    assert [n for *_, n in decoders.films_of("nndb-10", ROOT / "tests" / "data" / "nndb")] == [
        1
    ] * 10


def test_what_ridge_reads_after_each_block_is_measured(benchmark, tmp_path):
    decoders = benchmark("decoders")
    write_small_study(tmp_path / "demo")
    aucs = decoders.aucs_after_blocks("demo", tmp_path / "demo", 1)
    assert list(aucs) == ["input", "pooling 1", "pooling 2", "pooling 3"]
    assert aucs["input"] > 0.95 and all(0 <= auc <= 1 for auc in aucs.values())


@pytest.mark.skipif(not FULL, reason="imports everything once per benchmark: make test-full")
@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_benchmark_explains_its_options(path):
    done = subprocess.run(
        [sys.executable, str(path), "--help"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0 and "--help" in done.stdout


def test_digits_by_folds_are_decoded_where_voxels_are_pixels(benchmark):
    """Voxels that hold the pictures, with a little noise, give the pictures back."""
    pytest.importorskip("himalaya", reason="needs the extras of seen images: make images-test")
    pytest.importorskip("diffusers", reason="needs the extras of seen images: make images-test")
    digits, rng = benchmark("digits"), np.random.default_rng(0)
    kind = np.repeat(["six", "nine"], 20)
    low = rng.standard_normal((2, 36))[(kind == "nine").astype(int)] + 0.5 * rng.standard_normal(
        (40, 36)
    )
    pictures = np.clip(128 + 40 * low, 0, 255).astype(np.uint8).reshape(40, 6, 6, 1).repeat(3, 3)
    target = digits.grey(pictures).reshape(40, -1) / 255
    betas = target @ rng.standard_normal((36, 50)) + 0.01 * rng.standard_normal((40, 50))
    decoded, mean = digits.decode_by_folds(betas, target, 5)
    found = digits.scores(decoded, mean, pictures, kind)
    assert digits.identified(decoded - mean, target - mean) > 0.95
    assert (
        found["digit told"] > 0.9
        and found["pixel correlation"] > found["pixel correlation of the mean picture"]
    )


def test_boxes_that_are_found_are_counted_by_hand(benchmark):
    faces = benchmark("face_detectors")
    assert faces.overlap((0, 0, 10, 10), (5, 0, 10, 10)) == pytest.approx(50 / 150)
    truth = [[(0.0, 0.0, 40.0, 40.0), (100.0, 0.0, 40.0, 40.0)]]
    # The first face twice, a box beside both, and one that is too small to count.
    found = [
        [(0.9, 1, 1, 40, 40), (0.8, 2, 2, 40, 40), (0.7, 200, 0, 40, 40), (0.99, 100, 0, 20, 20)]
    ]
    frames = [[(0.6, 0, 0, 40, 40)], [], [(0.7, 0, 0, 40, 40)]]
    row = faces.counts(0.65, found, truth, frames, np.array([1, 1, 0]))
    assert (row["found"], row["faces"], row["extra"]) == (1, 2, 2)
    assert (row["hits"], row["with_face"], row["false"], row["without"]) == (0, 2, 1, 1)


def test_new_people_are_compared_with_the_group_by_person(benchmark):
    table_of = benchmark("new_people").table_of
    rows = [
        {"draw": draw, "person": person, "way": way, "minutes": minutes, "auc": auc}
        for draw, person, way, minutes, auc in [
            (1, 0, "group", 0, 0.6), (1, 1, "group", 0, 0.7), (2, 0, "group", 0, 0.8),
            (1, 0, "refit", 5, 0.72), (1, 1, "refit", 5, 0.68), (2, 0, "refit", 5, 0.71),
        ]
    ]  # fmt: skip
    table = table_of(pd.DataFrame(rows)).set_index("decoder")
    assert table.loc["group", "AUC"] == pytest.approx(np.mean([0.65, 0.8]))
    assert table.loc["refit", "mean gain"] == pytest.approx(np.mean([0.12, -0.02, -0.09]))
    assert table.loc["refit", "worst person's gain"] == pytest.approx(-0.09)
    # Draws of 0.70 and 0.71: standard error 0.005, t of one degree of freedom 12.706.
    assert table.loc["refit", "95 % interval"] == "[0.641, 0.769]"
    assert table.loc["group", "95 % interval"] == "[0.000, 1.000]"  # cut at what an AUC can be


def test_a_moved_brain_keeps_its_shape(benchmark):
    moved = benchmark("new_people").moved
    positions = np.random.default_rng(1).normal(0, 40, (50, 3))
    own = moved(positions, np.random.default_rng(2), 6.0, 6.0)
    assert pdist(own) == pytest.approx(pdist(positions))
    assert 1 < np.linalg.norm(own - positions, axis=1).mean() < 40
