"""The methods text of the further studies after each script: it asks for no setting that a later script stamps."""

import ast
import importlib

from neuroface.pipeline.provenance import stamped
from neuroface.pipeline.stage import settings_in

import pytest
from conftest import ROOT

# Study → its package, the packages that it needs, and the results of scripts 1 and 2 that its text reads.
STUDIES = {
    "volumes": (
        "volume_study",
        (),
        {
            "1-labels/agreement.json": '{"observers": 9, "trs": 50, "labelled_trs": 40, '
            '"krippendorff_alpha": {"named": 0.61}}',
            "2-dataset/samples.tsv": "subject\tlabel\nsub-1\tjoy\nsub-2\tfear\n",
            "2-dataset/labels.json": '{"labels": ["fear", "joy"]}',
        },
    ),
    "seen_images": (
        "seen_images",
        ("torch", "diffusers"),
        {
            "1-betas/voxels.tsv": "part\troi\nearly\tV1\nhigher\tFFA\n",
            "1-betas/trials.tsv": "image\tsession\na\t1\na\t2\n",
            "1-betas/test.tsv": "image\nb\n",
            "2-embeddings/generator.json": '{"text_encoder/model.safetensors": "a1"}',
        },
    ),
    "film_encoding": (
        "film_encoding",
        ("av", "himalaya"),
        {
            "2-voxels/people.tsv": "subject\nsub-1\nsub-2\n",
            "2-voxels/folds.tsv": "film\norchard\nharbour\n",
        },
    ),
}
NEED_RESULTS = {("volumes", 4), ("volumes", 5), ("volumes", 6)}  # of their own script


@pytest.mark.parametrize("name", STUDIES)
def test_it_needs_only_what_the_finished_scripts_stamp(name, tmp_path, monkeypatch):
    package_of_study, packages, results = STUDIES[name]
    for package in packages:
        pytest.importorskip(package, reason=f"needs the extra packages of {name}")
    folder = ROOT / "studies" / name
    monkeypatch.delenv("NEUROFACE_CONFIG", raising=False)
    study = importlib.import_module(f"{package_of_study}.study").STUDY
    for file, text in results.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text)
    versions = dict.fromkeys(("neuroface", "keras", "tensorflow", *study.packages), "1.0")
    settings: dict = {}
    for step in study.steps:
        if step.number == 0:
            continue
        cfg = study.load_settings(folder / step.script)
        contract = ast.get_docstring(ast.parse((folder / step.script).read_text()))
        names = settings_in(contract) | {"DATASET", "RUN_NAME"}
        settings |= {new: stamped(cfg, new, study.settings) for new in names - set(settings)}
        done = {
            number for number in range(1, step.number + 1) if (name, number) not in NEED_RESULTS
        }
        assert study.title(settings)
        found = study.methods(tmp_path, settings, done, versions, "abc1234", {"tensorflow"})
        if step.number == 1:
            assert found is None
            continue
        assert "NeuroFaceCNN 1.0 (commit abc1234)" in found[0]


def test_the_voxels_whose_separation_was_tested_are_named(tmp_path, monkeypatch):
    """60 voxels of a label's group map are drawn, 10 of every person's map are tested."""
    monkeypatch.delenv("NEUROFACE_CONFIG", raising=False)
    methods_text = importlib.import_module("volume_study.methods_text")
    study = importlib.import_module("volume_study.study").STUDY
    (tmp_path / "5-clusters").mkdir()
    silhouette = tmp_path / "5-clusters" / "silhouette.json"
    silhouette.write_text('{"why_not_tested": "", "voxels_per_map": 10}')
    script = next((ROOT / "studies" / "volumes").glob("5-*.py"))
    cfg = study.load_settings(script)
    text = methods_text._clusters(tmp_path, vars(cfg) | {"TOP_VOXELS": 60})
    assert "The 60 strongest voxels of each label's group map" in text
    assert "silhouette (Rousseeuw 1987) of the 10 strongest voxels of every person's map" in text
