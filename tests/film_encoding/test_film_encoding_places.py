"""Film and brain on parcels of tables and on the cortical surface: scripts 1 to 8, beside a volume with the same values.

Two grey films have another brightness in every TR. The first places follow the brightness after DELAY_TRS,
the others nothing.
"""

import json
import re
from types import SimpleNamespace

from neuroface import NeuroFaceError
from neuroface.bold import SurfaceSpace, on_grid, read_surface_labels, write_nifti
from neuroface.pipeline import read_table, write_table

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, bids_errors, script_here, write_config
from film_files import grey, write_film
from nibabel.cifti2 import BrainModelAxis, LabelAxis, SeriesAxis
from nilearn.surface import load_surf_data
from PIL import Image
from scipy.spatial import ConvexHull

pytest.importorskip("av", reason="films need PyAV: make film-encoding")
pytest.importorskip("himalaya", reason="ridge regression needs himalaya: make film-encoding")
pytest.importorskip("moten", reason="motion energy needs pymoten: make film-encoding")

from film_encoding.brain_places import Places  # noqa: E402
from film_encoding.regions import named_regions  # noqa: E402
from film_encoding.study import STUDY  # noqa: E402

FOLDER = ROOT / "studies" / "film_encoding"
SCRIPTS = {step.number: FOLDER / step.script for step in STUDY.steps}
TR_S, N_TRS, DELAY, LEAD, TAIL = 2.0, 40, 4, 2, 6  # TRs but for the first
FILMS, PEOPLE = ("alpha", "beta"), ("sub-01", "sub-02")
N_VERTICES, WALL = 40, np.arange(36, 40)  # of a hemisphere, and those of its medial wall
THALAMUS = np.zeros((4, 4, 4), dtype=bool)
THALAMUS[1:3, 1:3, 1:3] = True  # 8 voxels
N_CORTEX = 2 * (N_VERTICES - len(WALL))  # vertices that were measured
N_PLACES = N_CORTEX + int(THALAMUS.sum())
FOLLOWS = np.arange(N_PLACES) < 24  # of the left hemisphere
GRID = (4, 5, 4)  # of the volume, in the order of the places
REGIONS = np.where(FOLLOWS, 1, 2)
SETTINGS = dict(
    DATASET="bids", TR_S=TR_S, VOXEL_SHARE=0.7, DENOISE="none", SPLITS=("film",), EXPLAINED_SPLIT="film", N_FOLDS=2,
    EMBARGO_TRS=2, INNER_SHARE=0.2, FRAMES_PER_TR=2, FRAME_PX=16, FRAME_CONTRAST="none", ENCODER_FILTERS=(2, 2, 2, 2),
    DECODER_FILTERS=2, EPOCHS=1, BATCH_SIZE=8, ABLATIONS=(), RIDGE_FEATURES=("frames",), RIDGE_DELAYS_TRS=(0,),
    FEATURES=("brightness",), FEATURE_RESPONSE="delays", N_RIDGE_TRIES=1, N_COMPONENTS=4, N_SHIFTS=20, N_IMAGE_SHIFTS=2,
    MIN_SHIFT_S=10.0, BLOCK_S=16.0, IG_STEPS=2, N_RANDOM_REGIONS=20, N_RANDOM_SETS=20, N_RANDOM_CONCEPTS=20,
    CONCEPTS=("faces",), USE_PIXEL_LABELS=False, PERTURBATIONS=("zero",), N_STRIP=2, CLIP_S=(0.0, 4.0), N_JOBS=1,
    LOCALIZER=("faces", "places"),
)  # fmt: skip
KINDS = {
    "volume": dict(BIDS_FILTER="space-MNI", PARCELS=((1, 2),), PERTURBED_REGIONS=("bright",)),
    "parcels": dict(
        BIDS_FILTER="seg-own_stat-mean_timeseries", PARCELS=((1, N_PLACES),), PERTURBED_REGIONS=("bright-1",)
    ),
    "cifti": dict(BIDS_FILTER="space-fsLR_den-91k", PARCELS=((1, 2),), PERTURBED_REGIONS=("bright",)),
    "gifti": dict(BIDS_FILTER="space-fsaverage5", PARCELS=((1, 2),), PERTURBED_REGIONS=("bright",)),
}  # fmt: skip
# Scripts that run on each form.
USED = {"volume": (1, 2, 3, 4, 8), "parcels": range(1, 9), "cifti": range(1, 9), "gifti": (1, 2, 8)}
ATLASES = {"cifti": "own.dlabel.nii", "gifti": "own_hemi-L.label.gii"}
PARCELS = [f"{'bright' if follows else 'other'}-{place}" for place, follows in enumerate(FOLLOWS)]


def sphere() -> tuple[np.ndarray, np.ndarray]:
    """Vertices (40, 3) on a sphere of 50 mm, spread along a spiral, and their triangles."""
    height = 1 - 2 * (np.arange(N_VERTICES) + 0.5) / N_VERTICES
    angle = np.pi * (1 + 5**0.5) * np.arange(N_VERTICES)
    radius = np.sqrt(1 - height**2)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle), height], axis=1)
    return 50 * points, ConvexHull(points).simplices


def brain_models(vertices: np.ndarray) -> BrainModelAxis:
    """Some vertices of both hemispheres, and a thalamus."""
    left, right = (
        BrainModelAxis.from_surface(vertices, N_VERTICES, f"Cortex{side}")
        for side in ("Left", "Right")
    )
    return left + right + BrainModelAxis.from_mask(THALAMUS, "ThalamusLeft", np.diag([2, 2, 2, 1]))


def of_hemisphere(values: np.ndarray, side: str, wall: float) -> np.ndarray:
    """Values (n_maps, N_PLACES) of all places → those of a hemisphere (n_maps, N_VERTICES)."""
    n_half = N_CORTEX // 2
    vertices = np.full((len(values), N_VERTICES), wall, dtype=np.float32)
    vertices[:, : WALL[0]] = values[:, :n_half] if side == "L" else values[:, n_half:N_CORTEX]
    return vertices


def write_cifti(path, values: np.ndarray, first_axis, axis: BrainModelAxis) -> None:
    nib.save(nib.Cifti2Image(values.astype(np.float32), (first_axis, axis)), path)


def write_gifti(path, arrays: list, labels: dict[int, str] | None = None) -> None:
    table = nib.gifti.GiftiLabelTable()
    for number, name in (labels or {}).items():
        label = nib.gifti.GiftiLabel(number)
        label.label = name
        table.labels.append(label)
    nib.save(nib.GiftiImage(darrays=arrays, labeltable=table), path)


def write_series(func, stem: str, series: np.ndarray) -> None:
    """The same values (n_volumes, N_PLACES) in four forms; the second parcel has no value in sub-02."""
    func.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(series.T.reshape(*GRID, -1).astype(np.float32), np.eye(4))
    image.header.set_zooms((1, 1, 1, TR_S))
    nib.save(image, func / f"{stem}_space-MNI_bold.nii.gz")
    table = pd.DataFrame(series, columns=PARCELS)
    if stem.startswith("sub-02"):
        table[PARCELS[1]] = np.nan
    table.to_csv(
        func / f"{stem}_seg-own_stat-mean_timeseries.tsv", sep="\t", index=False, na_rep="n/a"
    )
    axis = SeriesAxis(0, TR_S, len(series))
    cortex = np.setdiff1d(np.arange(N_VERTICES), WALL)
    file = func / f"{stem}_space-fsLR_den-91k_bold.dtseries.nii"
    write_cifti(file, series, axis, brain_models(cortex))
    for side in "LR":
        arrays = [
            nib.gifti.GiftiDataArray(volume) for volume in of_hemisphere(series, side, np.nan)
        ]
        write_gifti(func / f"{stem}_hemi-{side}_space-fsaverage5_bold.func.gii", arrays)
    (func / f"{stem}_bold.json").write_text(json.dumps({"RepetitionTime": TR_S}))


def write_atlases(dataset) -> None:
    """Labels 1 and 2 of the places of a volume and of all vertices, also of the medial wall; names in the files."""
    labels = REGIONS.reshape(GRID).astype(np.int16)
    write_nifti(dataset / "atlas.nii.gz", labels, np.eye(4))
    write_table(dataset / "names.tsv", pd.DataFrame({"index": [1, 2], "name": ["bright", "other"]}))
    names = {0: "???", 1: "bright", 2: "other"}
    sides = [of_hemisphere(REGIONS[None], side, 2)[0] for side in "LR"]
    everywhere = np.concatenate([*sides, REGIONS[N_CORTEX:]])
    axis = LabelAxis(["own"], [{number: (name, (0, 0, 0, 1)) for number, name in names.items()}])
    file = dataset / ATLASES["cifti"]
    write_cifti(file, everywhere[None], axis, brain_models(np.arange(N_VERTICES)))
    for side, values in zip("LR", sides):
        array = nib.gifti.GiftiDataArray(
            values.astype(np.int32), "NIFTI_INTENT_LABEL", "NIFTI_TYPE_INT32"
        )
        write_gifti(dataset / f"own_hemi-{side}.label.gii", [array], names)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Two people who saw two films; the BOLD of each in four forms with the same values."""
    folder = tmp_path_factory.mktemp("places") / "dataset"
    times_s = np.arange(int(N_TRS * TR_S * 4)) / 4
    rng = np.random.default_rng(0)
    for film in FILMS:
        levels = np.random.default_rng(sum(map(ord, film))).integers(40, 216, N_TRS)
        path = folder / "stimuli" / f"{film}.mp4"
        write_film(
            path, times_s, lambda s, levels=levels: grey(int(levels[int(s / TR_S)]), 24, 32), rate=4
        )
        faces = [f"{onset:g} 8\n" for onset in np.arange(0, N_TRS * TR_S, 16)]
        (folder / "stimuli" / f"task-{film}_face-annotation.1D").write_text("".join(faces))
        response = np.zeros((LEAD + N_TRS + TAIL, 1))
        response[LEAD + DELAY : LEAD + DELAY + N_TRS, 0] = (levels - levels.mean()) / levels.std()
        for person in PEOPLE:
            noise = 0.8 * rng.standard_normal((len(response), N_PLACES))
            stem = f"{person}_task-{film}"
            write_series(folder / person / "func", stem, 100 + response * FOLLOWS + noise)
            event = {"onset": LEAD * TR_S, "duration": N_TRS * TR_S, "trial_type": "film"}
            write_table(folder / person / "func" / f"{stem}_events.tsv", pd.DataFrame([event]))
    write_atlases(folder)
    for kind in SETTINGS["LOCALIZER"]:
        (folder / "localizer" / kind).mkdir(parents=True)
        for number in range(4):
            picture = Image.fromarray(rng.integers(0, 256, (16, 16, 3)).astype(np.uint8))
            picture.save(folder / "localizer" / kind / f"{number}.png")
    points, triangles = sphere()
    for side in "LR":
        arrays = [
            nib.gifti.GiftiDataArray(points.astype(np.float32), "NIFTI_INTENT_POINTSET"),
            nib.gifti.GiftiDataArray(triangles.astype(np.int32), "NIFTI_INTENT_TRIANGLE"),
        ]
        write_gifti(folder / f"tpl-own_hemi-{side}_den-32k_midthickness.surf.gii", arrays)
    return folder


def config_of(dataset, kind: str, **changed):
    paths = {"DATASET_DIR": str(dataset), "DATA_DIR": str(dataset.parent), "RUN_NAME": kind}
    if kind in ATLASES:
        paths["ATLAS_FILE"] = str(dataset / ATLASES[kind])
    if kind == "volume":
        paths["REGIONS_TABLE"] = str(dataset / "names.tsv")
    settings = SETTINGS | KINDS[kind] | paths | changed
    return write_config(dataset.parent / f"{settings['RUN_NAME']}.py", **settings)


@pytest.fixture(scope="module")
def studies(dataset):
    """The scripts on the four forms: kind → its results, what was printed, and what ``--check`` printed."""
    results = {}
    for kind in KINDS:
        config, printed = config_of(dataset, kind), {}
        checked = script_here(SCRIPTS[1], config, "--check").stdout
        for number in USED[kind]:
            done = script_here(SCRIPTS[number], config)
            assert done.returncode == 0, done.stderr
            printed[number] = done.stdout
        root = dataset.parent / kind
        page = (root / "report.html").read_text()
        results[kind] = SimpleNamespace(root=root, printed=printed, checked=checked, page=page)
    return results


# ---------------------------------------------------------------- planted truth, equal numbers


@pytest.mark.parametrize("kind", list(KINDS))
def test_places_that_follow_brightness_are_found(studies, kind):
    table = read_table(studies[kind].root / "8-encoding" / "regions.tsv")
    bright = table["region"].str.startswith("bright")
    assert (table["wins"][bright] == "brightness").mean() > 0.95
    assert (table["wins"][~bright] == "none").mean() > 0.9
    assert table["r"][bright].min() > 0.5 > table["r"][~bright].max()
    n_regions = {"parcels": N_PLACES - 1}.get(kind, 2)
    assert len(table) == n_regions  # each parcel is its own region
    assert "nothing is wrong" in studies[kind].checked


@pytest.mark.parametrize(
    "kind, places",
    [
        ("parcels", np.delete(np.arange(N_PLACES), 1)),  # the second has no value in one person
        ("cifti", np.arange(N_PLACES)),
        ("gifti", np.arange(N_CORTEX)),  # no thalamus
    ],
)
def test_a_volume_with_the_same_values_gives_the_same_numbers(studies, kind, places):
    own, volume = studies[kind].root, studies["volume"].root
    for score in ("r", "unique", "p"):
        values = [
            np.load(root / "8-encoding" / "scores" / f"mean_{score}.npy") for root in (own, volume)
        ]
        np.testing.assert_allclose(values[0], values[1][..., places], atol=1e-5)
    if kind == "cifti":  # the same places, so the same networks
        for file in (
            "3-networks/network/film_fold-1_seed-1/predicted.npy",
            "4-scores/units/ridge_film_unseen-film.r.npy",
        ):
            np.testing.assert_allclose(np.load(own / file), np.load(volume / file), atol=1e-6)


# ---------------------------------------------------------------- maps in the space of the data


OF_SCRIPTS = {
    2: ("2-voxels/snr_film_fold-1",),
    4: ("4-scores/maps/ridge_film_unseen-film_r",),
    5: ("5-saliency/gradient",),
    6: ("6-perturbations/concept_faces", "6-perturbations/localizer"),
    8: ("8-encoding/maps/r", "8-encoding/maps/unique_brightness"),
}


def maps_of(studies, kind: str) -> dict[str, np.ndarray]:
    """Maps of the scripts that ran: path without ending → values (n_places,) of the NIfTI file."""
    root = studies[kind].root
    mask = np.asarray(nib.load(root / "2-voxels" / "mask.nii.gz").dataobj) > 0
    stems = [stem for number in OF_SCRIPTS if number in USED[kind] for stem in OF_SCRIPTS[number]]
    return {
        stem: np.asarray(nib.load(root / f"{stem}.nii.gz").dataobj)[mask][:, 0] for stem in stems
    }


def test_maps_of_parcels_are_tables_with_their_names(studies):
    root = studies["parcels"].root
    names = [name for place, name in enumerate(PARCELS) if place != 1]
    for stem, values in maps_of(studies, "parcels").items():
        if stem.endswith("localizer"):  # has a row per region, and each parcel is one
            rows = read_table(root / f"{stem}.tsv").set_index("region")
            stored = dict(zip(names, values))
            chosen = [stored[name] for name in rows.index]
            np.testing.assert_allclose(rows["d"].to_numpy(), chosen, rtol=1e-4)
            continue
        table = read_table(root / f"{stem}.tsv")
        assert list(table) == ["volume", *names]
        np.testing.assert_allclose(table.iloc[0, 1:].to_numpy(float), values, rtol=1e-5)
    of_parcels = read_table(root / "7-figures" / "table_parcels.tsv")
    assert sorted(of_parcels["parcel"]) == sorted(names) and "ceiling" in of_parcels
    assert not list((root / "7-figures").glob("surface*"))
    assert "parcels of a table have no coordinates" in studies["parcels"].printed[7]
    assert (root / "7-figures" / "clip.mp4").stat().st_size > 0


def test_maps_of_cifti_are_scalars_of_the_places_of_the_data(studies, dataset):
    root, source = studies["cifti"].root, nib.load(next(dataset.rglob("*.dtseries.nii")))
    for stem, values in maps_of(studies, "cifti").items():
        image = nib.load(root / f"{stem}.dscalar.nii")
        assert image.header.get_axis(1) == source.header.get_axis(1)
        np.testing.assert_array_equal(image.get_fdata()[0], values)
    assert (root / "7-figures" / "surface_r.png").exists()
    assert bids_errors(root) == []


def test_maps_of_gifti_have_an_empty_medial_wall(studies):
    root = studies["gifti"].root
    for stem, values in maps_of(studies, "gifti").items():
        both = [load_surf_data(root / f"{stem}_hemi-{side}.shape.gii") for side in "LR"]
        assert not any(side[WALL].any() for side in both)
        measured = np.concatenate([side[: WALL[0]] for side in both])
        np.testing.assert_array_equal(measured, values)


def test_saliency_of_regions_has_a_p_only_where_places_have_positions(studies):
    tables = {
        kind: read_table(study.root / "5-saliency" / "regions_gradient.tsv")
        for kind, study in studies.items()
        if 5 in USED[kind]
    }
    assert tables["parcels"]["p"].isna().all() and tables["cifti"]["p"].notna().all()
    values = np.load(studies["parcels"].root / "5-saliency" / "gradient.npy")
    np.testing.assert_allclose(np.sort(tables["parcels"]["mean"]), np.sort(values), rtol=1e-5)
    assert "left out: random regions and p of regions" in studies["parcels"].printed[5]


def test_the_parcel_of_a_concept_is_that_with_the_largest_pattern(studies):
    folder = studies["parcels"].root / "6-perturbations"
    pattern = read_table(folder / "concept_faces.tsv").iloc[0, 1:].astype(float)
    concept = read_table(folder / "concepts.tsv").iloc[0]
    assert concept["top_region"] == pattern.abs().idxmax()
    assert "Parcel: the one with the largest |pattern|" in studies["parcels"].page
    assert "Region: the one with most of the top voxels" in studies["cifti"].page


def test_parcels_that_were_not_chosen_are_one_line(studies):
    n_chosen = len(read_table(studies["parcels"].root / "5-saliency" / "regions_gradient.tsv"))
    assert 0 < n_chosen < N_PLACES - 1
    line = f"left out: {N_PLACES - 1 - n_chosen} of {N_PLACES - 1} parcels: script 2 did not choose"
    assert line in studies["parcels"].printed[5]
    assert "none of its voxels was chosen" not in studies["parcels"].printed[5]


def test_the_caption_of_the_clip_names_bold_only_where_a_brain_is_drawn(studies):
    drawn = "The same as a film (clip.mp4), with the measured BOLD"
    assert drawn in studies["cifti"].page
    assert "The same as a film (clip.mp4)." in studies["parcels"].page
    assert drawn not in studies["parcels"].page


def test_reports_say_what_the_places_are(studies):
    pages = {kind: study.page for kind, study in studies.items()}
    assert (
        f"Of the parcels in columns 1 to {N_PLACES} with a value in all people, we kept the 70%"
        in pages["parcels"]
    )
    assert "Of the vertices and voxels in 2 parcels of the atlas own.dlabel.nii" in pages["cifti"]
    assert "Of the vertices in 2 parcels of the atlas own_hemi-L.label.gii" in pages["gifti"]
    assert "Of the voxels in 2 parcels of the atlas atlas.nii.gz" in pages["volume"]
    assert "its mask costs the group 1 voxels" in studies["parcels"].printed[2]


def test_places_without_values_are_named_again_when_script_2_is_resumed(studies, dataset):
    first = studies["parcels"].printed[2]
    resumed = script_here(SCRIPTS[2], config_of(dataset, "parcels")).stdout
    for line in (
        "left out: 1 of 80 places: they lack values in somebody",
        "left out: sub-02: its mask costs the group 1 voxels",
    ):
        assert line in first and line in resumed


# ---------------------------------------------------------------- what is not possible is one sentence


@pytest.mark.parametrize(
    "kind, changed, says",
    [
        ("cifti", {"ATLAS_FILE": "atlas.nii.gz"}, "is a volume, and the BOLD is on the cortical surface. Name an atlas"),
        ("gifti", {"ATLAS_FILE": "gone.label.gii"}, "is not there, and the BOLD is on the cortical surface"),
        ("cifti", {"PARCELS": ((7, 9),)}, "No vertex or voxel of .* its labels go from 0 to 2. Correct PARCELS"),
        ("parcels", {"PARCELS": ((500, 600),)}, r"80 parcels, .* in PARCELS = .* Set PARCELS = \(\(1, 80\),\)"),
        ("parcels", {"SMOOTHING_MM": 4.0}, "parcels of a table cannot be smoothed. Set SMOOTHING_MM = None"),
    ],
)  # fmt: skip
def test_what_is_not_possible_is_one_sentence(studies, dataset, kind, changed, says):
    if "ATLAS_FILE" in changed:
        changed = changed | {"ATLAS_FILE": str(dataset / changed["ATLAS_FILE"])}
    config = config_of(dataset, kind, RUN_NAME="refused", **changed)
    refused = dataset.parent / "refused"
    refused.mkdir(exist_ok=True)
    if not (refused / "1-chunks").exists():
        (refused / "1-chunks").symlink_to(studies[kind].root / "1-chunks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("neuroface.pipeline.stage.compare_upstream", lambda *given: None)
        done = script_here(SCRIPTS[2], config)
    assert done.returncode == 1
    assert re.search(says, done.stderr), done.stderr


def test_an_atlas_on_another_mesh_is_refused(dataset):
    other = BrainModelAxis.from_surface(np.arange(50), 50, "CortexLeft")
    with pytest.raises(NeuroFaceError, match="has 40 vertices of cortex_left, the BOLD 50"):
        read_surface_labels(dataset / ATLASES["cifti"], other, "ATLAS_FILE")


def test_names_of_regions_on_a_surface(dataset, tmp_path):
    """Those in the file, or those of the table that the user named; a table that is not there is refused."""
    axis = brain_models(np.arange(N_VERTICES))
    surface = SurfaceSpace(axis, True, {})
    places = Places(on_grid(np.ones(len(axis), dtype=bool)), np.eye(4), surface=surface)
    labels, _ = read_surface_labels(dataset / ATLASES["cifti"], axis, "REGIONS_FILE")

    def regions_with(table):
        cfg = SimpleNamespace(
            REGIONS_FILE=str(dataset / ATLASES["cifti"]),
            REGIONS_TABLE=table and str(table),
        )
        return named_regions(cfg, places)

    own = regions_with(None)
    assert list(own) == ["bright", "other"]
    np.testing.assert_array_equal(own["bright"], labels == 1)
    table = tmp_path / "names.tsv"
    write_table(table, pd.DataFrame({"index": [2, 1], "name": ["V2", "V1"]}))
    np.testing.assert_array_equal(regions_with(table)["V2"], labels == 2)
    with pytest.raises(NeuroFaceError, match="REGIONS_TABLE = .*gone.tsv is not there"):
        regions_with(tmp_path / "gone.tsv")


def test_a_number_that_is_another_region_in_each_hemisphere_is_refused(tmp_path):
    """Where labels are taken by number; by name they are apart."""
    labels = np.repeat([0, 1, 2, 3], N_VERTICES // 4).astype(np.int32)
    named = {
        "L": {0: "???", 1: "both", 2: "V1", 3: "V2"},
        "R": {0: "wall", 1: "both", 2: "V3", 3: "V4"},
    }
    for side, table in named.items():
        array = nib.gifti.GiftiDataArray(labels, "NIFTI_INTENT_LABEL", "NIFTI_TYPE_INT32")
        write_gifti(tmp_path / f"twice_hemi-{side}.label.gii", [array], table)
    atlas = tmp_path / "twice_hemi-L.label.gii"
    places = brain_models(np.arange(N_VERTICES))
    says = (
        "label 2 is 'V1' in the left hemisphere and 'V3' in the right one .2 of 3 .* PARCELS takes"
    )
    with pytest.raises(NeuroFaceError, match=says):
        read_surface_labels(atlas, places, "ATLAS_FILE", "PARCELS")
    _, names = read_surface_labels(atlas, places, "REGIONS_FILE")
    n_names = pd.Series(names[labels.size : 2 * labels.size]).value_counts()
    assert n_names.to_dict() == {name: N_VERTICES // 4 for name in named["R"].values()}


def test_places_that_the_atlas_lacks_have_label_0(dataset):
    """The GIFTI atlas has no thalamus."""
    places = brain_models(np.arange(3))
    labels, names = read_surface_labels(dataset / ATLASES["gifti"], places, "ATLAS_FILE")
    assert labels.tolist() == [1, 1, 1, 2, 2, 2, *[0] * 8]
    assert names.tolist() == ["bright"] * 3 + ["other"] * 3 + [""] * 8
