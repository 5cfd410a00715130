"""``--check`` of film and brain: a whole demo passes, each damage is named, and scripts 1 and 2 agree."""

import shutil
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
from conftest import ROOT, script_here, write_config, wrong_lines

pytest.importorskip("av", reason="films need PyAV: make film-encoding")

from film_encoding import demo  # noqa: E402
from film_encoding.check import gb_of_delays, joining_weights  # noqa: E402
from film_encoding.training import build  # noqa: E402
from film_encoding.variants import variants_of  # noqa: E402

FOLDER = ROOT / "studies" / "film_encoding"
SCRIPTS = sorted(FOLDER.glob("[1-2]-*.py"))
FILMS = {"alpha": 56, "beta": 50}  # TRs


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("film-check") / "dataset"
    demo.write_demo(folder, 42, FILMS, n_people=2)
    return folder


@pytest.fixture
def study(whole, tmp_path):
    """A copy of the demo that a test may break, and a function that writes its config."""
    shutil.copytree(whole, tmp_path / "dataset")
    settings = dict(
        DATASET_DIR=str(tmp_path / "dataset"), DATA_DIR=str(tmp_path / "data"), RUN_NAME="r", N_FOLDS=2, EMBARGO_TRS=3,
        INNER_SHARE=0.2, FRAMES_PER_TR=2, FRAME_PX=16, N_JOBS=1, ABLATIONS=(),
    )  # fmt: skip
    return tmp_path / "dataset", lambda **more: write_config(tmp_path / "c.py", **settings | more)


def test_a_whole_demo_passes_and_every_run_is_on_the_films_clock(study):
    dataset, config = study
    assert wrong_lines(SCRIPTS[0], config()) == []
    printed = script_here(SCRIPTS[0], config(), "--check").stdout
    rows = [line.split() for line in printed.splitlines() if line.startswith("  sub-")]
    assert [row[:2] for row in rows] == [
        [f"sub-0{p}", f"task-{film}"] for film in FILMS for p in (1, 2)
    ]
    for row in rows:
        events = dataset / row[0] / "func" / f"{row[0]}_{row[1]}_events.tsv"
        onset_s = float(events.read_text().splitlines()[1].split("\t")[0])
        assert float(row[3]) == pytest.approx(onset_s)
        assert float(row[-1]) == pytest.approx(1.3 * (round(onset_s / 1.3) + 4))  # DELAY_TRS
    assert "3-train_encoder_decoder.py" in printed


def test_memory_is_that_of_the_network_that_needs_most(study):
    """ "lags 2" has five times the weights from features to voxels, and 16 chunks per step instead of 8."""
    _, config = study
    needs = {
        (): "script 3, network with N_JOBS = 1",
        ("lags 2",): "script 3, lags-2 with N_JOBS = 1",
    }
    for ablations, needed_by in needs.items():
        done = script_here(SCRIPTS[0], config(ABLATIONS=ablations, BATCH_SIZE=8), "--check")
        assert needed_by in done.stdout


def test_the_cost_of_a_delay_per_voxel_is_stated(study):
    """Kernels of five delays and three spaces, twice, and of 20 weightings: 50 of 1,000 × 1,000 float32."""
    _, config = study
    done = script_here(SCRIPTS[0], config(FEATURE_RESPONSE="one delay"), "--check")
    assert (
        "FEATURE_RESPONSE = 'one delay': 5 models, one for each of RIDGE_DELAYS_TRS" in done.stdout
    )
    assert "models, one for each" not in script_here(SCRIPTS[0], config(), "--check").stdout
    cfg = SimpleNamespace(
        RIDGE_DELAYS_TRS=(-2, -1, 0, 1, 2), FEATURES=("a", "b", "c"), N_RIDGE_TRIES=20
    )
    assert gb_of_delays(1000, cfg) == pytest.approx(4 * (30 + 20) * 1e6 / 1e9)


@pytest.mark.parametrize("name", ["network", "encoder", "lags-2"])
def test_counted_weights_are_those_of_the_layers_that_join_voxels(name):
    cfg = SimpleNamespace(
        FRAMES_PER_TR=4, FRAME_PX=24, DELAY_TRS=4, SUBJECTS=("mean",), ABLATIONS=("encoder", "lags 2"), DROPOUT=0.5,
        ENCODER_FILTERS=(2, 3, 2, 5), DECODER_FILTERS=3, DECODER_INPUT="predicted",
    )  # fmt: skip
    variant = variants_of(cfg)[name]
    encoder, decoder, _ = build(SimpleNamespace(n_voxels=7, pixels=24), variant, cfg)
    layers = [encoder.get_layer("voxels")] + ([decoder.layers[1]] if decoder else [])
    assert joining_weights(variant, 7, cfg) == sum(layer.kernel.numpy().size for layer in layers)


def break_film(dataset):
    file = dataset / "stimuli" / "beta.mp4"
    file.write_bytes(file.read_bytes()[:2000])


def break_bold(dataset):
    file = dataset / "sub-01" / "func" / "sub-01_task-alpha_bold.nii.gz"
    file.write_bytes(file.read_bytes()[:-1000])


def lose_films(dataset):
    shutil.rmtree(dataset / "stimuli")


def move_a_person(dataset):
    file = dataset / "sub-02" / "func" / "sub-02_task-alpha_bold.nii.gz"
    image = nib.load(file)
    image.affine[0, 3] += 7
    moved = nib.Nifti1Image(np.asarray(image.dataobj), image.affine, image.header)
    nib.save(moved, file)


def nothing(dataset):
    pass


@pytest.mark.parametrize(
    "damage, settings, says",
    [
        (break_film, {}, "beta.mp4"),
        (break_bold, {}, "sub-01_task-alpha_bold.nii.gz is cut off"),
        (lose_films, {}, "is not there. Set it to the folder that holds the films"),
        (move_a_person, {}, "different positions in space"),
        (nothing, dict(TR_S=2.0), "TR = 1.3 s, the setting TR_S is 2 s"),
        (
            nothing,
            dict(SPLITS=("film",), EXPLAINED_SPLIT="film", N_FOLDS=3),
            "N_FOLDS = 3, and there are 2 films",
        ),
        (nothing, dict(EMBARGO_TRS=60), "chunks are left for training"),
        (nothing, dict(PARCELS=((900, 910),)), "has a label in PARCELS"),
        (nothing, dict(SUBJECTS=("sub-09",)), "No film is left that all of SUBJECTS"),
        (nothing, dict(EXCLUDE=("sub-02",)), "Set VOXEL_SHARE = 1.0"),
        (nothing, dict(FILM_EVENT="movie"), "'movie'"),
    ],
)
def test_what_stops_scripts_1_and_2_is_wrong_and_in_their_words(study, damage, settings, says):
    dataset, config = study
    damage(dataset)
    problems = wrong_lines(SCRIPTS[0], config(**settings))
    assert any(says in problem for problem in problems), problems
    if damage is break_bold:
        return  # scripts find it where they read the volume
    errors = ""
    for script in SCRIPTS:
        if not errors:
            errors = script_here(script, config(**settings)).stderr
    assert any(problem in errors for problem in problems), errors
