"""config.py, experiments, and that every setting is checked, documented, used and stamped."""

import ast
import inspect
import re
import runpy
import textwrap
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import get_args

from film_encoding.settings import FilmSettings
from neuroface import NeuroFaceError
from neuroface.attribution import METHODS
from neuroface.bold import BoldSettings
from neuroface.bold.confounds import STRATEGIES
from neuroface.bold.denoising import Strategy
from neuroface.decoding import learning_rates
from neuroface.face_study.settings import FaceSettings, Method
from neuroface.pipeline import StudySettings, settings as pipeline_settings
from neuroface.pipeline.stage import settings_in
from neuroface.pipeline.stamp import Rules
from seen_images.settings import SeenSettings
from volume_study.settings import VolumeSettings

import pytest

load_settings = partial(pipeline_settings.load_settings, FaceSettings)
demo_differences = partial(pipeline_settings.demo_differences, FaceSettings)
ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config.py"
SCRIPTS = {int(path.name[0]): path for path in sorted(ROOT.glob("[1-8]-*.py"))}
PAPER = {
    "SEED": 42,
    "LAG_S": 4.0,
    "TR_S": 1.0,
    "WINDOW_TRS": 10,
    "MIN_STRETCH_S": 10.0,
    "MASK_THRESHOLD": 0.99,
    "N_FOLDS": 4,
    "CNN_FILTERS": (64, 32, 32),
    "CNN_DENSE_UNITS": 128,
    "EPOCHS": 150,
    "BATCH_SIZE": 20,
    "N_SEEDS": 1,
}
# What experiments/nndb.py sets on top: where this project's defaults are not the paper's values.
PAPERS_OWN = {
    "TRAINING": "paper",
    "LEARNING_RATE": "auto",
    "MODELS": ("voxel_time_cnn",),
    "EXPLAINED_MODEL": "voxel_time_cnn",
    "IG_RULE": "right",
    "IG_STEPS": 200,
}


@pytest.fixture(autouse=True)
def no_experiment(monkeypatch):
    monkeypatch.delenv("NEUROFACE_CONFIG", raising=False)


@pytest.fixture
def load(tmp_path):
    def load(text):
        experiment = tmp_path / "mine.py"
        experiment.write_text(text)
        return load_settings(CONFIG, experiment)

    return load


def annotated_settings():
    """Name → line number, for every setting of config.py."""
    nodes = ast.parse(CONFIG.read_text()).body
    return {node.target.id: node.lineno for node in nodes if isinstance(node, ast.AnnAssign)}


# ---------------------------------------------------------------- what is refused


def test_a_config_of_an_earlier_version_says_which_setting_it_lacks(tmp_path):
    older = tmp_path / "config.py"
    older.write_text(re.sub(r"(?m)^N_FOLDS: .*\n", "", CONFIG.read_text()))
    with pytest.raises(NeuroFaceError, match=r"^config\.py lacks N_FOLDS\. Copy its line"):
        load_settings(older, None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(
            "EPOCS = 3",
            r"mine\.py: EPOCS is not a setting \(did you mean EPOCHS\?\)",
            id="misspelt",
        ),
        pytest.param("QWERTY = 3", r"mine\.py: QWERTY is not a setting\.", id="unknown"),
        pytest.param("EPOCHS = '3'", r"mine\.py: EPOCHS = '3': .*integer", id="text for a number"),
        pytest.param("EPOCHS = 2.5", r"EPOCHS = 2\.5: .*integer", id="fraction"),
        pytest.param("EPOCHS = True", r"EPOCHS = True: .*integer", id="bool for a number"),
        pytest.param("RUN_NAME = 7", r"RUN_NAME = 7: .*string", id="number for text"),
        pytest.param("RUN_NAME = '../x'", r"RUN_NAME = '\.\./x'", id="run name that is a path"),
        pytest.param("EXCLUDE = 'sub-1'", r"EXCLUDE = 'sub-1': .*tuple", id="text for a tuple"),
        pytest.param("CNN_FILTERS = (8, 8)", r"CNN_FILTERS", id="too few filters"),
        pytest.param("CNN_FILTERS = (8, 0, 8)", r"CNN_FILTERS = 0: .*1", id="no filter"),
        pytest.param("TR_S = 0.0", r"TR_S = 0\.0: .*greater than 0", id="no time"),
        pytest.param("TR_S = float('nan')", r"TR_S = nan", id="nan"),
        pytest.param("MASK_THRESHOLD = 1.5", r"MASK_THRESHOLD = 1\.5: .*1", id="out of range"),
        pytest.param(
            "WINDOW_TRS = 3",
            r"WINDOW_TRS = 3: 'voxel_time_cnn' .* 4 volumes",
            id="window that pooling empties",
        ),
        pytest.param(
            "WINDOW_TRS = 3\nMODELS = ('linear_plus',)\nBASELINES = ('linear', 'shuffled-cnn')",
            r"WINDOW_TRS = 3: 'shuffled-cnn' .* 4 volumes",
            id="window that pooling empties in a baseline",
        ),
        pytest.param(
            "IG_RULE = 'left'", r"IG_RULE = 'left': .*'right'.*'midpoint'", id="no such rule"
        ),
        pytest.param("CV_SPLITS = ()", r"CV_SPLITS", id="no split"),
        pytest.param("CV_SPLITS = ('window', 'film')", r"CV_SPLITS = 'film'", id="no such split"),
        pytest.param(
            "CV_SPLITS = ('window',)\nHELD_OUT_SPLIT = 'movie'",
            r"HELD_OUT_SPLIT = 'movie'.*CV_SPLITS = \('window',\)",
            id="split not trained",
        ),
        pytest.param(
            "MODELS = ('hybird',)",
            r"MODELS: 'hybird' .*did you mean hybrid",
            id="no such architecture",
        ),
        pytest.param(
            "MODELS = ('cnn3d', 'cnn3d')", r"MODELS = .* twice", id="architecture named twice"
        ),
        pytest.param(
            "MODELS = ('cnn3d',)\nEXPLAINED_MODEL = 'hybrid'",
            r"EXPLAINED_MODEL = 'hybrid'.*MODELS",
            id="explained, not trained",
        ),
        pytest.param(
            "SELECTION = 'paper'",
            r"EXPLAINED_MODEL = .best. .*SELECTION",
            id="best without windows to choose by",
        ),
        pytest.param(
            "MODEL_OPTIONS = {'cnn2d': {}}",
            r"MODEL_OPTIONS: 'cnn2d' .*cnn3d",
            id="options of no architecture",
        ),
        pytest.param(
            "MODEL_OPTIONS = {'voxel_time_cnn': {}}",
            r"CNN_FILTERS and CNN_DENSE_UNITS",
            id="set elsewhere",
        ),
        pytest.param(
            "MODELS = ('cnn3d',)\nEXPLAINED_MODEL = 'cnn3d'\nIG_RULE = 'secant'",
            r"IG_RULE = .secant. is made for 'voxel_time_cnn'; EXPLAINED_MODEL = 'cnn3d'",
            id="secant",
        ),
        pytest.param("MAP_TEST = 'flips'", r"MAP_TEST = 'flips'.*'flip films'", id="no such test"),
        pytest.param("SMOOTH_TRS = 4", r"SMOOTH_TRS = 4 is even", id="mean without a centre"),
        pytest.param(
            "CV_SPLITS = ('movie', 'movie')", r"CV_SPLITS = .* twice", id="split named twice"
        ),
        pytest.param(
            "ATTRIBUTION_METHODS = ('ig', 'ig')",
            r"ATTRIBUTION_METHODS = .* twice",
            id="method named twice",
        ),
        pytest.param(
            "IG_ENGINE = 'deepexplain'\nIG_RULE = 'midpoint'\nEXPLAINED_MODEL = 'voxel_time_cnn'",
            r"right rule.*fixed number of steps.*IG_RULE = .midpoint",
            id="DeepExplain's rule",
        ),
        pytest.param(
            "ATTRIBUTION_BASELINE = 'other class'\nSMOOTHGRAD_DRAWS = 9",
            r"SMOOTHGRAD_DRAWS = 9 must be a multiple of ATTRIBUTION_DRAWS = 8",
            id="copies that baselines cannot share",
        ),
        pytest.param(
            "ATTRIBUTION_METHODS = ('occlusion',)\nOCCLUSION_REGIONS = 'parcels'",
            r"needs PARCEL_FILE",
            id="no parcels",
        ),
        pytest.param(
            "CHECK_WINDOWS = 5", r"CHECK_WINDOWS = 5: .*multiple of 2", id="an odd number"
        ),
        pytest.param(
            "PLOT_INTERVAL_S = (9.0, 3.0)",
            r"PLOT_INTERVAL_S = \(9\.0, 3\.0\)",
            id="interval backwards",
        ),
        pytest.param(
            "LABELS = ('music', 'speech')",
            r"LABEL_EVENTS = .*LABELS = \('music', 'speech'\)",
            id="no events",
        ),
        pytest.param(
            "LABELS = ('a b', 'c')", r"LABELS = 'a b'", id="a label that is no plain word"
        ),
        pytest.param(
            "LABELS = ('face', 'Face')", r"LABELS = .*two different", id="labels that are the same"
        ),
        pytest.param(
            "LABELS = ('logit', 'b')\nLABEL_EVENTS = {'logit': ('x',), 'b': ()}",
            r"'logit' is a column",
            id="label taken",
        ),
        pytest.param(
            "LABEL_EVENTS = {'face': (), 'noface': ('x',)}",
            r"'face' names no event",
            id="label without events",
        ),
        pytest.param(
            "LABEL_EVENTS = {'face': ('x', 'y'), 'noface': ('y',)}",
            r"'y' is named for 'face' and for 'noface'",
            id="event of both labels",
        ),
        pytest.param("EVENT_COLUMN = ''", r"EVENT_COLUMN = ''", id="no column"),
        pytest.param("ROI_FILE = None", r"ROI_FILE = None.*demo", id="demo without regions"),
        pytest.param(
            "BASELINES = ('liner',)",
            r"'liner' is not a baseline \(did you mean linear\?\)",
            id="no baseline",
        ),
        pytest.param(
            "BASELINES = ('rois', 'face-rois')",
            r"BASELINES = .*twice",
            id="one baseline under both names",
        ),
        pytest.param(
            "DATASET_DIR = '/x/lab/study'\nDATA_DIR = '/x/lab/y/..'\nRUN_NAME = 'study'",
            r"DATASET_DIR = '/x/lab/study' is also DATA_DIR/RUN_NAME",
            id="results among the data",
        ),
        pytest.param(
            "EPOCHS = 1 / 0", r"mine\.py cannot be read: ZeroDivisionError", id="file that fails"
        ),
        pytest.param(
            "EPOCHS = = 1", r"mine\.py cannot be read: SyntaxError", id="file that is no Python"
        ),
        pytest.param(
            "DEMO = {'EPOCS': 3}", r"DEMO: EPOCS .*did you mean EPOCHS", id="misspelt in DEMO"
        ),
        pytest.param("DEMO = None", r"DEMO = None: .*dict", id="DEMO that is no dictionary"),
    ],
)
def test_a_setting_that_makes_no_sense_is_one_line_that_names_it(load, text, says):
    with pytest.raises(NeuroFaceError, match=says) as error:
        load(text)
    assert "\n" not in str(error.value)


def test_the_first_pages_example_is_accepted(load):
    page = (ROOT / "docs" / "start.md").read_text()
    cfg = load(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1])
    assert cfg.RUN_NAME == "our-film" and cfg.WINDOW_TRS * cfg.TR_S == pytest.approx(9)


def test_a_missing_experiment_file_is_named(tmp_path):
    with pytest.raises(NeuroFaceError, match=r"NEUROFACE_CONFIG names .*nothing\.py"):
        load_settings(CONFIG, tmp_path / "nothing.py")


def test_a_misspelt_name_in_config_itself_is_refused(tmp_path):
    config = tmp_path / "config.py"
    config.write_text(CONFIG.read_text() + "\nEPOCS = 3\n")
    with pytest.raises(NeuroFaceError, match=r"config\.py: EPOCS .*did you mean EPOCHS"):
        load_settings(config)


# ---------------------------------------------------------------- what wins


def test_the_demo_preset_is_applied_to_the_demo_and_an_experiment_wins_over_it(load):
    cfg = load("TRAINING_STEPS = 77\nSEED = 1")
    preset = cfg.DEMO
    assert cfg.DATASET == "demo" and preset["TRAINING_STEPS"] != 77
    assert (cfg.TRAINING_STEPS, cfg.SEED, cfg.BATCH_SIZE) == (77, 1, preset["BATCH_SIZE"])
    assert cfg.BATCH_SIZE != PAPER["BATCH_SIZE"]


def test_demo_differences_name_the_papers_values():
    cfg = load_settings(CONFIG)
    moved = demo_differences(cfg)
    assert moved["CNN_FILTERS"] == (cfg.DEMO["CNN_FILTERS"], PAPER["CNN_FILTERS"])
    assert moved["BATCH_SIZE"] == (cfg.DEMO["BATCH_SIZE"], PAPER["BATCH_SIZE"])
    assert set(moved) <= set(cfg.DEMO)


@pytest.mark.parametrize("dataset", ["nndb-v1", "bids"])
def test_other_data_sets_get_the_papers_values(load, dataset):
    cfg = load(f"DATASET = {dataset!r}")
    assert {name: getattr(cfg, name) for name in PAPER} == PAPER
    assert demo_differences(cfg) == {}
    preset = set(cfg.DEMO)
    demo = load_settings(CONFIG)
    assert demo.BASELINES == ("linear", "linear-mean", "face-rois")  # "rois" by the file's name
    assert all(getattr(demo, name) == demo.DEMO[name] for name in preset - {"BASELINES"})
    assert all(getattr(cfg, name) != cfg.DEMO[name] for name in preset)


def test_the_environment_names_the_experiment(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("SEED = 7")
    monkeypatch.setenv("NEUROFACE_CONFIG", str(tmp_path / "mine.py"))
    assert load_settings(CONFIG).SEED == 7
    monkeypatch.setenv("NEUROFACE_CONFIG", "")
    assert load_settings(CONFIG).SEED == PAPER["SEED"]


def test_relative_folders_start_at_configs_folder_and_absolute_ones_stay(load, tmp_path):
    cfg = load(f"DATASET_DIR = 'x/y'\nDATA_DIR = {str(tmp_path)!r}\nMASK_FILE = 'masks/m.nii.gz'")
    assert Path(cfg.DATASET_DIR) == ROOT / "x/y"
    assert Path(cfg.DATA_DIR) == tmp_path
    assert Path(cfg.MASK_FILE) == ROOT / "masks/m.nii.gz"
    assert load_settings(CONFIG).MASK_FILE is None


@pytest.mark.parametrize(
    "experiment", sorted((ROOT / "experiments").glob("*.py")), ids=lambda path: path.name
)
def test_every_experiment_loads_by_its_relative_name(experiment, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # as from any folder
    cfg = load_settings(CONFIG, f"experiments/{experiment.name}")
    assert cfg.RUN_NAME != load_settings(CONFIG).RUN_NAME


def test_the_nndb_experiment_is_the_papers_protocol():
    cfg = load_settings(CONFIG, ROOT / "experiments" / "nndb.py")
    assert {name: getattr(cfg, name) for name in PAPER | PAPERS_OWN} == PAPER | PAPERS_OWN
    assert learning_rates(cfg.TRAINING, cfg.LEARNING_RATE) == (2e-4,)
    assert (cfg.STANDARDIZE, cfg.BALANCE, cfg.CV_SPLITS) == ("none", "run", ("window",))
    assert (cfg.SELECTION, cfg.EXPLAIN) == ("paper", "best fold")
    assert cfg.PLOT_INTERVAL_S == (2032, 3032)


# ---------------------------------------------------------------- config.py beside the code


FINE = FaceSettings.fine_settings()
STUDIES = {
    "face_study": FaceSettings,
    "film_encoding": FilmSettings,
    "seen_images": SeenSettings,
    "volumes": VolumeSettings,
}


@pytest.mark.parametrize(
    ("model", "config"),
    [("neuroface/face_study", ".")]
    + [
        (f"studies/{folder}/{package}", f"studies/{folder}")
        for folder, package in [
            ("film_encoding", "film_encoding"),
            ("seen_images", "seen_images"),
            ("volumes", "volume_study"),
        ]
    ],
)
def test_a_settings_model_declares_every_setting_of_its_config_and_no_other(model, config):
    tree = ast.parse((ROOT / model / "settings.py").read_text())
    models = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    assert len(models) == 1
    declared = [
        node.target.id
        for node in models[0].body
        if isinstance(node, ast.AnnAssign)
        and not ast.unparse(node.annotation).startswith("ClassVar")
    ]
    assert ast.unparse(models[0].bases[0]) == "FineSettings"
    inherited = (StudySettings if "seen_images" in model else BoldSettings).model_fields.keys()
    constants = ast.parse((ROOT / config / "config.py").read_text()).body
    names = [node.target.id for node in constants if isinstance(node, ast.AnnAssign)]
    assert sorted(declared) == sorted(set(names) - inherited)
    assert inherited < set(names)


SECOND_PART = "# Further settings, by the scripts that use them."


@pytest.mark.parametrize("study", STUDIES)
def test_config_shows_sixty_settings_at_most_and_first_those_of_every_new_data_set(study):
    config = CONFIG if study == "face_study" else ROOT / "studies" / study / "config.py"
    first, second = config.read_text().split(SECOND_PART)
    setting = re.compile(r"^[A-Z_0-9]+(?=: )", re.MULTILINE)
    names = setting.findall(first + second)
    assert len(names) <= 60 and len(setting.findall(first)) <= 24
    assert not set(names) & STUDIES[study].fine_settings().keys()


def test_the_first_part_has_what_the_first_page_sets():
    lines, first = annotated_settings(), CONFIG.read_text().splitlines().index(SECOND_PART)
    page = (ROOT / "docs" / "start.md").read_text()
    example = re.search(r"```python\n(.*?)```", page, re.DOTALL)[1]
    for name in re.findall(r"^([A-Z_]+) = ", example, re.MULTILINE):
        assert lines[name] < first, name


def test_a_fine_setting_has_a_default_that_an_experiment_or_config_changes(load, tmp_path):
    assert load("").IG_TOLERANCE == 0.01 and load("IG_TOLERANCE = 0.5").IG_TOLERANCE == 0.5
    with pytest.raises(NeuroFaceError, match=r"mine\.py: IG_TOLERANCE = 0: .*greater than 0"):
        load("IG_TOLERANCE = 0")
    with pytest.raises(NeuroFaceError, match="did you mean IG_TOLERANCE"):
        load("IG_TOLERANCES = 0.5")
    config = tmp_path / "config.py"
    config.write_text(CONFIG.read_text() + "\nIG_TOLERANCE: float = 0.25\n")
    assert load_settings(config).IG_TOLERANCE == 0.25


def test_the_page_of_fine_settings_has_their_defaults_and_descriptions():
    page = (ROOT / "docs" / "settings.md").read_text()
    rows = re.findall(r"^\| `([A-Z_0-9]+)` \| `(.*)` \| (.*) \|$", page, re.MULTILINE)
    fine = [pair for model in STUDIES.values() for pair in model.fine_settings().items()]
    assert rows == [
        (name, repr(field.default).replace("'", '"'), field.description) for name, field in fine
    ]
    assert all(field.description.endswith(".") for _, field in fine)


def test_choices_that_a_type_checker_reads_are_those_of_the_code():
    assert get_args(Method) == tuple(METHODS)
    assert get_args(Strategy) == ("auto", "none", "detrend", *STRATEGIES)


@pytest.mark.parametrize(("name", "line"), annotated_settings().items())
def test_every_setting_has_a_comment_directly_above_it(name, line):
    above = CONFIG.read_text().splitlines()[line - 2]
    assert re.match(r"# \w|# [\"“]", above), f"config.py, line {line}: {name}"


@cache
def settings_in_the_code() -> set[str]:
    scripts = [ROOT / "0-annotate_film.py", *SCRIPTS.values()]
    code = "\n".join(path.read_text() for path in [*scripts, *(ROOT / "neuroface").rglob("*.py")])
    read = re.findall(r"\b(?:cfg|settings)\.([A-Z_0-9]+)\b|values\[\"([A-Z_0-9]+)\"\]", code)
    return {name for pair in read for name in pair}


@pytest.mark.parametrize("name", [*annotated_settings(), *FINE])
def test_every_setting_is_used(name):
    assert name in settings_in_the_code()


def test_the_baseline_on_regions_goes_by_the_name_of_its_file(load):
    assert "face-rois" in load("").BASELINES
    assert load("BASELINES = ('rois',)\nROI_FILE = 'masks/speech_rois.tsv'").BASELINES == (
        "speech-rois",
    )
    assert load("DATASET = 'bids'\nBASELINES = ('linear', 'rois')\nROI_FILE = None").BASELINES == (
        "linear",
    )


# ---------------------------------------------------------------- what is stamped

# Settings that change no result, or that Stage stamps for every script.
NOT_STAMPED = {
    "DATASET",
    "RUN_NAME",
    "DATASET_DIR",
    "DATA_DIR",
    "N_JOBS",
    "INFERENCE_BATCH",
    "PLOT_INTERVAL_S",
}
NOT_STAMPED |= {"FOLLOW_BASELINE_TRS", "FOLLOW_IDLE_S"}  # a live session is no result of the study
NOT_STAMPED |= {"DASK_SCHEDULER", "RAW_DIR"}
# Where annotations lie that the data set lacks; the files that are used are stamped by their content.
NOT_STAMPED |= {"FILM_DIR"}
NOT_STAMPED |= {"splits_why"}  # a sentence on CV_SPLITS
# Script 1 only hands the ROI table on to the demo data set, which keeps a copy; windows do not
# depend on it. Of SPACE script 1 reads whether people may share a mask; it says which splits will
# not be possible.
NOT_STAMPED_BY = {1: {"ROI_FILE", "SPACE", "CV_SPLITS", "N_FOLDS", "EMBARGO_TRS", "SELECTION"}}
NOT_STAMPED_BY[1] |= {"HELD_OUT_SPLIT"}  # scripts 1 and 2 only say which split script 3 will use
# Its --check computes the memory and the work of the networks.
NOT_STAMPED_BY[1] |= {"MODELS", "MODEL_OPTIONS", "CNN_FILTERS", "CNN_DENSE_UNITS", "BATCH_SIZE"}
NOT_STAMPED_BY[1] |= {"TRAINING", "TRAINING_STEPS", "EPOCHS", "BASELINES"}
# viewer.html of script 8 lies beside the results, and shows maps that are there.
NOT_STAMPED_BY[8] = {"ATTRIBUTION_METHODS"}
OF_THIS_PACKAGE = "neuroface."


@cache
def reads_of(function) -> set[str]:
    """Settings that a function or class of the package reads from ``cfg``, itself or through others that it names."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    names = vars(inspect.getmodule(function))
    return reads_in(
        tree, {name: names.get(name) for name in names_in(tree)} | {function.__name__: None}
    )


def reads_in(tree: ast.AST, names: dict[str, object]) -> set[str]:
    read = set()
    for node in ast.walk(tree):
        of = node.value if isinstance(node, ast.Attribute) else None
        if (
            isinstance(of, ast.Name)
            and of.id == "cfg"
            or isinstance(of, ast.Attribute)
            and of.attr in ("cfg", "_cfg")
        ):
            read.add(node.attr)
    for value in names.values():
        if takes_cfg(value):
            read |= reads_of(value)
    return read


def names_in(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def takes_cfg(value) -> bool:
    ours = (getattr(value, "__module__", None) or "").startswith(OF_THIS_PACKAGE)
    return (
        ours
        and (inspect.isfunction(value) or inspect.isclass(value))
        and "cfg" in inspect.signature(value).parameters
    )


def imported_by(tree: ast.Module) -> dict[str, object]:
    """Name → object, for what a script imports from the rooms."""
    names = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module.startswith(OF_THIS_PACKAGE):
            names |= {
                alias.asname or alias.name: getattr(import_module(node.module), alias.name)
                for alias in node.names
            }
    return names


@cache
def stamps_of(number):
    """What a script's source says: settings that it reads, that it stamps, and numbers of the scripts it builds on."""
    tree = ast.parse(SCRIPTS[number].read_text())
    read = reads_in(tree, imported_by(tree))
    (stage,) = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Stage"
    )
    builds_on = [scripts_in(keyword.value) for keyword in stage.keywords if keyword.arg == "reads"]
    return read, settings_in(ast.get_docstring(tree)), builds_on[0] if builds_on else ()


def scripts_in(node: ast.expr) -> tuple[int, ...]:
    """Scripts that ``reads`` names; of a choice between two, those that are read with one network per fold."""
    return ast.literal_eval(node.body if isinstance(node, ast.IfExp) else node)


@cache
def aside(number) -> frozenset[str]:
    return frozenset(runpy.run_path(str(SCRIPTS[number])).get("RULES", Rules()).aside)


def inherited(number):
    """Settings stamped by the scripts that this one builds on, directly or not."""
    names = set()
    for upstream in stamps_of(number)[2]:
        names |= stamps_of(upstream)[1] - aside(upstream) | inherited(upstream)
    return names


def test_there_are_eight_scripts():
    assert list(SCRIPTS) == [1, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("number", SCRIPTS)
def test_a_script_stamps_just_the_settings_it_reads(number):
    read, stamped, _ = stamps_of(number)
    result_changing = read - NOT_STAMPED - NOT_STAMPED_BY.get(number, set())
    assert stamped <= result_changing, "listed in the docstring, but never read"
    assert result_changing <= stamped | inherited(number), (
        "read, but neither stamped here nor upstream"
    )


def test_a_script_without_its_docstring_is_refused():
    with pytest.raises(RuntimeError, match="python -OO"):
        settings_in(None)
