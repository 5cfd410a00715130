"""The methods paragraph follows the settings, every one of them, and cites what it names."""

import ast

from neuroface.face_study.methods_text import PAPER, REFERENCES, methods_paragraph
from neuroface.face_study.settings import FaceSettings
from neuroface.face_study.study import title
from neuroface.pipeline.provenance import stamped
from neuroface.pipeline.report import _differences
from neuroface.pipeline.stage import settings_in

import pandas as pd
import pytest
from conftest import ROOT, STAGES
from test_settings import load_settings

FACTS = {
    "people": 85,
    "films": 10,
    "runs": 85,
    "windows": {"face": 1803, "noface": 1802},
    "voxels": 41489,
}
FACTS["tests"] = {
    "relabel": {"relabellings": 1000, "flips": None, "units": None},
    "flip films": {"relabellings": None, "flips": 512, "units": 10},
    "none": {"relabellings": None, "flips": None, "units": None},
}
VERSIONS = {
    "neuroface": "1.2.3",
    "tensorflow": "2.21.0",
    "jax": "0.10.2",
    "keras": "3.15.0",
    "nilearn": "0.14.1",
}
ALL = set(STAGES)
# A setting → another value of it, as stamped; and what must be set beside it for the difference to
# matter.
OTHER = {
    "DATASET": ("nndb-v1", {}),
    "SEED": (43, {}),
    "EXCLUDE": (["sub-7"], {}),
    "INCLUDE": (["sub-7"], {}),
    "TR_S": (1.5, {}),
    "LAG_S": (5.0, {}),
    "WINDOW_TRS": (8, {}),
    "MIN_STRETCH_S": (12.0, {}),
    "STANDARDIZE": ("none", {}),
    "DENOISE": (["trans_x", "csf"], {}),
    "HIGH_PASS_HZ": (0.02, {"DENOISE": "detrend"}),
    "SMOOTHING_MM": (6.0, {}),
    "BALANCE": ("none", {}),
    "MASK_THRESHOLD": (0.5, {}),
    "MASK_FILE": ("masks/own.nii.gz (abc)", {}),
    "LABEL_EVENTS": ({"face": ["face"], "noface": ["house"]}, {"DATASET": "bids"}),
    "EVENT_COLUMN": ("place", {"DATASET": "bids"}),
    "JOIN_GAP_S": (1.5, {"DATASET": "bids"}),
    "FILM_EVENT": (["film", "task-scan_acq-{task}_events.tsv"], {"DATASET": "bids"}),
    "BIDS_FILTER": ("space-MNI", {"DATASET": "bids"}),
    "NNDB_VARIANT": ("blur_censor", {"DATASET": "nndb-v2"}),
    "CV_SPLITS": (["subject"], {}),
    "N_FOLDS": (7, {}),
    "EMBARGO_TRS": (3, {"CV_SPLITS": ["event"]}),
    "SELECTION": ("paper", {}),
    "CNN_FILTERS": ([1, 2, 3], {}),
    "CNN_DENSE_UNITS": (17, {}),
    "TRAINING": ("paper", {}),
    "TRAINING_STEPS": (601, {}),
    "EPOCHS": (151, {"TRAINING": "paper"}),
    "BATCH_SIZE": (6, {}),
    "LEARNING_RATE": ([0.005, 0.07], {}),
    "N_SEEDS": (5, {}),
    "BASELINES": (["linear"], {}),
    "N_PERMUTATIONS": (77, {}),
    "N_PERMUTATIONS_CNN": (5, {}),
    "HELD_OUT_SPLIT": ("window", {}),
    "ATTRIBUTION_METHODS": (["occlusion"], {}),
    "EXPLAIN": ("best fold", {}),
    "IG_RULE": ("midpoint", {}),
    "IG_STEPS": (31, {}),
    "ATTRIBUTION_BASELINE": ("training mean", {}),
    "ATTRIBUTION_DRAWS": (3, {"ATTRIBUTION_BASELINE": "other class"}),
    "SMOOTHGRAD_DRAWS": (5, {}),
    "SMOOTHGRAD_NOISE": (0.3, {"SMOOTHGRAD_DRAWS": 5}),
    "IG_ENGINE": ("deepexplain", {}),
    "IG_TOLERANCE": (0.02, {"IG_STEPS": "auto"}),
    "OCCLUSION_REGIONS": ("rois", {"ATTRIBUTION_METHODS": ["occlusion"]}),
    "OCCLUSION_CUBE_MM": (9.0, {"ATTRIBUTION_METHODS": ["occlusion"]}),
    "PARCEL_FILE": (
        "masks/own.nii.gz (abc)",
        {"ATTRIBUTION_METHODS": ["occlusion"], "OCCLUSION_REGIONS": "parcels"},
    ),
    "OCCLUSION_TRS": (2, {"ATTRIBUTION_METHODS": ["occlusion"]}),
    "ATTRIBUTION_CHECKS": (["deletion"], {}),
    "CHECK_WINDOWS": (20, {}),
    "SPACE": ("native", {}),
    "ROI_FILE": ("masks/own.tsv (abc)", {}),
    "ROI_MASKS": (["masks/ffa.nii.gz (abc)"], {}),
    "N_RANDOM_REGIONS": (99, {}),
    "VARIANCE_FWHM_MM": (9.0, {}),
    "CLUSTER_FORMING_P": (0.02, {}),
    "REFERENCE_MAPS": (["glm"], {}),
    "MODELS": (["voxel_time_cnn", "hybrid"], {}),
    "MODEL_OPTIONS": ({"hybrid": {"depth": 1}}, {"MODELS": ["voxel_time_cnn", "hybrid"]}),
    "EXPLAINED_MODEL": ("hybrid", {"MODELS": ["voxel_time_cnn", "hybrid"]}),
    "SMOOTH_TRS": (3, {}),
    "MATCH_ON": (["brightness"], {}),
    "MATCH_WITHIN_SD": (0.3, {"MATCH_ON": ["brightness"]}),
    "NUISANCE": (["loudness"], {}),
    "PREDICTION_AT": (0.25, {}),
}
# Say nothing about the method: names (LABELS have a test of their own);
# which tests were made, and by how many flips or relabellings, are facts; the precision that "auto"
# chose is the machine's.
SILENT = {"LABELS", "RUN_NAME", "MAP_TEST", "N_RELABELLINGS", "N_FLIPS", "PRECISION"}


def stamped_by(numbers) -> set[str]:
    """Names that these scripts stamp, from their source."""
    names = {"DATASET", "RUN_NAME"}
    for number in numbers:
        names |= settings_in(ast.get_docstring(ast.parse((ROOT / STAGES[number][1]).read_text())))
    return names


@pytest.fixture(scope="module")
def settings():
    """Every setting that a script stamps, at config.py's value; splits as scripts stamp those of several films."""
    cfg = load_settings(ROOT / "config.py", None)
    cfg.CV_SPLITS, cfg.HELD_OUT_SPLIT = ("window", "movie"), "movie"
    return {name: stamped(cfg, name, FaceSettings) for name in stamped_by(STAGES)}


@pytest.mark.parametrize("n_runs", [12, 3])
def test_one_persons_intervals_are_over_runs_if_there_are_enough(settings, n_runs):
    one = settings | {"CV_SPLITS": ["window", "run"]}
    text, _ = paragraph(one, facts=FACTS | {"people": 1, "films": 1, "runs": n_runs})
    assert ("t intervals over the runs of the person where runs were held out" in text) == (
        n_runs == 12
    )
    assert ("wider where whole runs were held out" in text) == (n_runs == 12)


@pytest.mark.parametrize("n_films", [15, 16])
def test_the_divided_variance_of_many_films_is_said(settings, n_films):
    text, _ = paragraph(settings, facts=FACTS | {"films": n_films})
    assert "over films where films were held out" in text
    assert "the variance of what the labels add to a score" in text
    assert ("within films where films were held out" in text) == (n_films == 16)


def paragraph(settings, done=ALL, facts=FACTS, backends=("tensorflow",)):
    return methods_paragraph(settings, facts, done, VERSIONS, "abc1234", set(backends))


@pytest.mark.parametrize(
    ("backends", "said"),
    [
        ((), "(commit abc1234) with"),
        (("jax",), "with JAX 0.10.2, Keras 3.15.0 and"),
        (("tensorflow", "jax"), "with JAX 0.10.2, TensorFlow 2.21.0, Keras 3.15.0 and"),
    ],
)
def test_it_names_the_backend_that_was_used(settings, backends, said):
    assert f"{said} nilearn 0.14.1 (Abraham" in paragraph(settings, backends=backends)[0]


def test_every_stamped_setting_is_tried_here(settings):
    assert set(OTHER) | SILENT == set(settings)


@pytest.mark.parametrize("name", OTHER)
def test_its_sentence_follows_its_setting(settings, name):
    value, beside = OTHER[name]
    before, _ = paragraph(settings | beside)
    after, _ = paragraph(settings | beside | {name: value})
    assert before != after
    shown = value if isinstance(value, list) else [value]
    as_they_are = (
        "EXCLUDE",
        "INCLUDE",
        "LAG_S",
        "N_FOLDS",
        "CNN_FILTERS",
        "EPOCHS",
        "IG_STEPS",
        "IG_RULE",
        "SEED",
    )
    if name in (*as_they_are, "LEARNING_RATE"):
        for part in shown:
            text = f"{part:g}" if isinstance(part, float) else str(part)
            assert text in after and (text not in before or len(text) < 2)


def test_a_script_that_has_not_run_is_not_spoken_of(settings):
    text, references = paragraph(settings, {1, 2})
    assert "41,489 voxels" in text and "1,803 face and 1,802 no-face" in text and "Adam" not in text
    assert len(references) == 1  # nilearn
    for number, word in {
        3: "Adam",
        4: "Integrated Gradients",
        6: "sign flips",
        7: "fsaverage5",
        8: "rotating",
    }.items():
        assert word in paragraph(settings, {1, 2, number})[0] and word not in text
    text = paragraph(settings, {1, 2, 6})[0]
    assert (
        "1,000 relabellings" in text
        and "512 sign flips of 10 films" in text
        and "no valid test" in text
    )
    untested = {name: fact for name, fact in FACTS.items() if name != "tests"}
    assert "sign flips" not in paragraph(settings, {1, 2, 6}, untested)[0]


@pytest.mark.parametrize("last", range(2, 9))
def test_it_needs_only_what_the_finished_scripts_stamp(settings, last):
    done = set(range(1, last + 1))
    text, _ = paragraph({name: settings[name] for name in stamped_by(done)}, done)
    assert text == paragraph(settings, done)[0]


def test_what_is_cited_is_listed_and_nothing_else(settings):
    nndb = settings | {
        "DATASET": "nndb-v1",
        "MODELS": [
            "voxel_time_cnn",
            "polynomial_network",
            "screened_ridge",
            "clustered_ridge",
            "hybrid",
        ],
    }
    nndb |= {
        "ATTRIBUTION_METHODS": [
            "ig",
            "gradient-x-input",
            "occlusion",
            "grad-cam",
            "attention-rollout",
        ]
    }
    nndb |= {"MATCH_ON": ["brightness"]}
    nndb |= {
        "IG_ENGINE": "deepexplain",
        "ATTRIBUTION_BASELINE": "other class",
        "SMOOTHGRAD_DRAWS": 4,
    }
    text, references = paragraph(nndb)
    table = pd.read_csv(REFERENCES, sep="\t")
    assert references == list(table["reference"])
    assert all(key in text for key in table["cited_as"])
    for name, (value, beside) in OTHER.items():
        text, references = paragraph(settings | beside | {name: value})
        assert {row.reference for row in table.itertuples() if row.cited_as in text} == set(
            references
        )


def test_the_papers_protocol_differs_from_the_paper_in_nothing(settings):
    """PAPER against the other place that knows the paper's settings: experiments/nndb.py."""
    cfg = load_settings(ROOT / "config.py", ROOT / "experiments" / "nndb.py")
    values = {name: stamped(cfg, name, FaceSettings) for name in settings}
    assert _differences(PAPER, values) == []
    assert _differences(PAPER, values | {"EPOCHS": 10, "N_RANDOM_REGIONS": 3}) == [
        ("EPOCHS", 10, 150)
    ]
    assert set(PAPER) <= set(settings)


def test_one_person_is_no_people_and_a_native_brain_has_no_face_regions(settings):
    text, _ = paragraph(settings | {"SPACE": "native"}, facts=FACTS | {"people": 1, "films": 1})
    assert "of 1 person who saw 1 film or task." in text
    assert (
        "face regions alone" in paragraph(settings)[0]
        and "face regions alone" not in text
        and "spheres" not in text
    )


@pytest.mark.parametrize(
    ("space", "places"), [("surface", "vertices and voxels"), ("native", "parcels")]
)
def test_places_without_a_grid_are_neither_smoothed_nor_projected(settings, space, places):
    own = settings | {"SPACE": space, "VARIANCE_FWHM_MM": 6.0}
    text, _ = paragraph(own, {1, 2, 6}, FACTS | {"places": places})
    assert f"41,489 {places} that lie in" in text and "(t across people)" in text
    assert "smoothed by 6 mm" not in text
    assert "smoothed by 6 mm" in paragraph(own | {"SPACE": "native"}, {1, 2, 6})[0]
    shown = paragraph(settings | {"SPACE": "surface"}, {1, 2, 7})[0]
    assert "on the cortical surface that the data have" in shown and "fsaverage5" not in shown


def test_other_labels_have_their_own_words_and_no_others(settings):
    other = {
        "LABELS": ["music", "speech"], "LABEL_EVENTS": {"music": ["music"], "speech": ["talk", "dialogue"]},
        "ROI_FILE": "masks/auditory_regions.tsv (abc)", "BASELINES": ["linear", "auditory-regions"], "MASK_FILE": None,
    }  # fmt: skip
    facts = FACTS | {"windows": {"music": 7, "speech": 6}}
    text, _ = paragraph(settings | other, facts=facts)
    assert "with music present, and of every such stretch of talk and dialogue." in text
    assert "7 music and 6 speech windows" in text and "its negative for speech windows" in text
    assert (
        "the effect of music in a general linear model" in text
        and "spheres (masks/auditory_regions.tsv)" in text
    )
    assert "face" not in text.replace("NeuroFaceCNN", "").replace("surface", "")
    gaps, _ = paragraph(
        settings | other | {"LABEL_EVENTS": {"music": ["music"], "speech": []}}, facts=facts
    )
    assert "of every such stretch without music." in gaps
    assert title(settings) == "Is there a face on the screen?"
    assert title(settings | other) == "Decoding music against speech"


def test_a_network_with_another_step_size_is_named(settings):
    """0.003 is the robust recipe's step size; the polynomial network has 0.01."""
    both = settings | {"MODELS": ["voxel_time_cnn", "polynomial_network"], "TRAINING": "robust"}
    text, _ = paragraph(both | {"LEARNING_RATE": "auto"})
    assert "step size 0.003 for the voxel-time network and 0.01 for a polynomial network" in text
    text, _ = paragraph(both | {"LEARNING_RATE": 0.001})
    assert "step size 0.001, " in text
