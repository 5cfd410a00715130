"""BOLD on the cortical surface, CIFTI and GIFTI: read, decoded, mapped and drawn; files of other libraries as witnesses."""

import json
import re
import shutil
from types import SimpleNamespace

from neuroface import NeuroFaceError
from neuroface.bold import (
    SurfaceSpace,
    find_runs,
    off_grid,
    read_mask,
    words_of_places,
    write_surface_space,
)
from neuroface.bold.images import header_tr_s, open_header, stream_masked
from neuroface.bold.places import AFFINE, grid_of, on_grid
from neuroface.bold.surfaces import (
    describe_surface,
    find_mesh,
    measured_vertices,
    read_mesh,
    stream_surface,
)
from neuroface.maps.group import Neighbours
from neuroface.maps.surface import place_hemispheres

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from conftest import bids_errors, run_here, write_config
from nibabel.cifti2 import BrainModelAxis, ScalarAxis, SeriesAxis
from nilearn.datasets import load_fsaverage
from nilearn.surface import load_surf_data, load_surf_mesh
from scipy.ndimage import label
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import ConvexHull

N_VERTICES, N_TRS, TR_S = 320, 120, 2.0
WALL = np.arange(300, N_VERTICES)  # vertices of the medial wall
PATCH = np.arange(30)  # of the left hemisphere, where faces raise BOLD
PEOPLE = ("sub-01", "sub-02", "sub-03", "sub-04")
ONSETS_S = range(10, 220, 30)
EVENTS = "onset\tduration\ttrial_type\n" + "".join(
    f"{onset}\t20\t{kind}\n" for onset, kind in zip(ONSETS_S, "face noface ".split() * 4)
)
SUBCORTICAL = np.zeros((5, 5, 5), dtype=bool)
SUBCORTICAL[1:3, 1:4, 2:4] = True  # 12 voxels


def sphere() -> tuple[np.ndarray, np.ndarray]:
    """Vertices (320, 3) on a sphere of 50 mm, spread along a spiral, and their triangles."""
    height = 1 - 2 * (np.arange(N_VERTICES) + 0.5) / N_VERTICES
    angle = np.pi * (1 + 5**0.5) * np.arange(N_VERTICES)
    radius = np.sqrt(1 - height**2)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle), height], axis=1)
    hull = ConvexHull(points)
    corners = points[hull.simplices]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    inwards = (normals * corners.mean(axis=1)).sum(axis=1) < 0
    triangles = np.where(inwards[:, None], hull.simplices[:, ::-1], hull.simplices)
    return 50 * points, triangles


def brain_models() -> BrainModelAxis:
    """The cortex without its medial wall, and a thalamus."""
    cortex = np.setdiff1d(np.arange(N_VERTICES), WALL)
    left, right = (
        BrainModelAxis.from_surface(cortex, N_VERTICES, f"Cortex{side}")
        for side in ("Left", "Right")
    )
    affine = np.diag([2.0, 2, 2, 1])
    return left + right + BrainModelAxis.from_mask(SUBCORTICAL, "ThalamusLeft", affine)


def write_cifti(path, series, axis=None, tr_s=TR_S, exponent=0):
    """``series`` (n_trs, n_places) as fMRIPrep and HCP write it; the step is tr_s · 10**-exponent with that exponent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Cifti2Image(
        series.astype(np.float32), (SeriesAxis(0, tr_s, len(series)), axis or brain_models())
    )
    if exponent:
        index = image.header.matrix.get_index_map(0)
        index.series_exponent, index.series_step = exponent, tr_s * 10.0**-exponent
    nib.save(image, path)


def write_gifti(path, series):
    """``series`` (n_trs, n_vertices) of one hemisphere, an array per volume."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = [nib.gifti.GiftiDataArray(volume.astype(np.float32)) for volume in series]
    nib.save(nib.GiftiImage(darrays=arrays), path)


def write_mesh(path):
    points, triangles = sphere()
    arrays = [
        nib.gifti.GiftiDataArray(points.astype(np.float32), "NIFTI_INTENT_POINTSET"),
        nib.gifti.GiftiDataArray(triangles.astype(np.int32), "NIFTI_INTENT_TRIANGLE"),
    ]
    nib.save(nib.GiftiImage(darrays=arrays), path)


def cortex_of(series: np.ndarray) -> dict[str, np.ndarray]:
    """Series (n_trs, 612) of all places → both hemispheres (n_trs, 320); the medial wall is NaN, and 7 on the right."""
    both = {}
    for number, (side, wall) in enumerate({"L": np.nan, "R": 7.0}.items()):
        both[side] = np.full((len(series), N_VERTICES), wall)
        both[side][:, : WALL[0]] = series[:, 300 * number : 300 * (number + 1)]
    return both


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """fMRIPrep's output of four people, as CIFTI, as GIFTI, and with the same values in images of one voxel per place."""
    root = tmp_path_factory.mktemp("surface") / "fmriprep"
    rng = np.random.default_rng(3)
    sees_face = np.zeros(N_TRS)
    for onset in list(ONSETS_S)[::2]:
        sees_face[int(onset / TR_S) : int((onset + 20) / TR_S)] = 1
    for person in PEOPLE:
        series = rng.normal(size=(N_TRS, 612))
        series[:, PATCH] += 0.8 * sees_face[:, None]
        func = root / person / "func"
        stem = f"{person}_task-film"
        write_cifti(func / f"{stem}_space-fsLR_den-91k_bold.dtseries.nii", series)
        for side, values in cortex_of(series).items():
            write_gifti(func / f"{stem}_hemi-{side}_space-fsaverage5_bold.func.gii", values)
        (func / f"{stem}_events.tsv").write_text(EVENTS)
        (func / f"{stem}_bold.json").write_text(json.dumps({"RepetitionTime": TR_S}))
        image = nib.Nifti1Image(series.T[:, None, None].astype(np.float32), np.eye(4))
        image.header.set_zooms((1, 1, 1, TR_S))
        nib.save(image, func / f"{stem}_space-MNI_bold.nii.gz")
        ones = nib.Nifti1Image(np.ones((612, 1, 1), np.uint8), np.eye(4))
        nib.save(ones, func / f"{stem}_space-MNI_desc-brain_mask.nii.gz")
    for side in "LR":
        write_mesh(root / f"tpl-fsLR_hemi-{side}_den-32k_midthickness.surf.gii")
    return root


def study(dataset, name: str, **settings):
    """Config of a study of one kind of files, and its run folder."""
    kinds = {
        "cifti": {"SPACE": "surface", "BIDS_FILTER": "space-fsLR_den-91k"},
        "gifti": {"SPACE": "surface", "BIDS_FILTER": "space-fsaverage5_bold"},
        "volume": {"SPACE": "native", "BIDS_FILTER": "space-MNI"},
    }
    settings = {
        "DATASET": "bids", "DATASET_DIR": str(dataset), "DATA_DIR": str(dataset.parent), "RUN_NAME": name,
        "TR_S": TR_S, "LAG_S": 0.0, "WINDOW_TRS": 5, "N_JOBS": 1, "ROI_FILE": None, "BALANCE": "none",
        "LABEL_EVENTS": {"face": ("face",), "noface": ("noface",)}, "DENOISE": "none",
        "CV_SPLITS": ("subject",), "HELD_OUT_SPLIT": "subject", "N_FOLDS": 2, "MODELS": ("screened_ridge",),
        "BASELINES": (), "N_PERMUTATIONS": 19, "EXPLAINED_MODEL": "screened_ridge", "ATTRIBUTION_CHECKS": (),
        "REFERENCE_MAPS": ("glm",), "MAP_TEST": "auto", "N_RELABELLINGS": 19, "ATTRIBUTION_METHODS": ("ig",),
    } | kinds[name] | settings  # fmt: skip
    return write_config(dataset.parent / f"{name}.py", **settings), dataset.parent / name


@pytest.fixture(scope="module")
def mapped(dataset):
    """The study of CIFTI files after scripts 1 to 6: its run folder and what the scripts said."""
    config, folder = study(dataset, "cifti")
    said = ""
    for number in range(1, 7):
        done = run_here(number, config)
        assert done.returncode == 0, done.stderr
        said += done.stdout
    return folder, said


def test_windows_of_vertices_are_those_of_the_same_values_in_a_volume(dataset, mapped):
    config, volumes = study(dataset, "volume", INCLUDE=PEOPLE[:1])
    assert run_here(1, config).returncode == 0
    config, hemispheres = study(dataset, "gifti", INCLUDE=PEOPLE[:1])
    done = run_here(1, config)
    assert done.returncode == 0, done.stderr
    assert "mesh: tpl-fsLR_hemi-L_den-32k_midthickness.surf.gii" in done.stdout
    (file,) = (volumes / "1-windows").glob("*/*_windows.npy")
    expected = np.load(file)
    assert expected.shape == (7, 612, 5)
    for folder, n_places in ((mapped[0], 612), (hemispheres, 600)):  # GIFTI has no thalamus
        windows = np.load(folder / file.relative_to(volumes))
        np.testing.assert_array_equal(windows, expected[:, :n_places])
    walls = [
        load_surf_data(hemispheres / "1-windows" / f"group_mask_hemi-{side}.shape.gii")
        for side in "LR"
    ]
    assert all(np.array_equal(np.flatnonzero(wall == 0), WALL) for wall in walls)


def test_maps_are_written_in_the_space_of_the_data(dataset, mapped):
    folder, source = mapped[0], nib.load(next(dataset.rglob("*.dtseries.nii")))
    file = folder / "6-averages" / "group_contrast-face_ig_mean.dtseries.nii"
    image = nib.load(file)
    assert image.header.get_axis(1) == source.header.get_axis(1)
    series = image.header.get_axis(0)
    assert (series.step, series.size, series.unit) == (TR_S, 5, "SECOND")
    grid = nib.load(file.with_name("group_contrast-face_ig_mean.nii.gz")).get_fdata()[::2, 0, 0]
    np.testing.assert_array_equal(image.get_fdata(), grid.T)
    largest = np.abs(image.get_fdata()).mean(axis=0).argsort()[-10:]
    assert set(largest) <= set(
        PATCH
    )  # planted: the first places are those vertices of the left hemisphere
    effect = nib.load(folder / "6-averages" / "group_reference-glm.dscalar.nii")
    assert isinstance(effect.header.get_axis(0), ScalarAxis)
    windows = list((folder / "5-brain-maps").rglob("*.dtseries.nii"))
    assert len(windows) == 28 == len(list((folder / "5-brain-maps").rglob("*.nii.gz")))


@pytest.fixture(scope="module")
def whole(dataset, mapped):
    """Both kinds of files after scripts 1 to 8: kind → its run folder."""
    folders = {"cifti": mapped[0]}
    own = {"RUN_NAME": "gifti-whole", "REFERENCE_MAPS": ()}
    configs = {"cifti": study(dataset, "cifti")[0], "gifti": study(dataset, "gifti", **own)[0]}
    folders["gifti"] = dataset.parent / "gifti-whole"
    for kind, numbers in (("cifti", (7, 8)), ("gifti", range(1, 9))):
        for number in numbers:
            done = run_here(number, configs[kind])
            assert done.returncode == 0, done.stderr
    return folders


@pytest.mark.parametrize("kind", ["cifti", "gifti"])
def test_scripts_7_and_8_draw_and_predict_on_the_surface(whole, kind):
    folder = whole[kind]
    figures = {file.name for file in (folder / "7-figures").glob("group_*")}
    assert "group_contrast-face_ig_surface.png" in figures
    assert "group_contrast-face_ig_interactive.html" in figures
    assert not any("glass" in name for name in figures)
    for person in PEOPLE:
        table = pd.read_csv(
            folder / "8-predictions" / f"{person}_task-film_predictions.tsv", sep="\t"
        )
        assert len(table) == N_TRS and table["probability"].notna().sum() == N_TRS - 4
        faces = table["probability"][table["face"] == 1].mean()
        assert faces > table["probability"][table["face"] == 0].mean() + 0.5  # by models of others
    assert "sub-01" in (folder / "viewer.html").read_text()
    assert bids_errors(folder) == []


def test_gifti_maps_are_read_by_nilearn_with_an_empty_medial_wall(whole):
    stem = whole["gifti"] / "6-averages" / "group_contrast-face_ig_mean"
    both = [load_surf_data(f"{stem}_hemi-{side}.func.gii") for side in "LR"]
    for values in both:
        assert values.shape == (N_VERTICES, 5) and not values[WALL].any()
    largest = np.abs(np.concatenate(both)).mean(axis=1).argsort()[-10:]
    assert set(largest) <= set(PATCH)  # of the left hemisphere
    grid = nib.load(f"{stem}.nii.gz").get_fdata()[::2, 0, 0]
    np.testing.assert_array_equal(np.concatenate(both), grid)


def test_names_of_bids_are_those_of_the_surface_files(mapped):
    folder = mapped[0]
    names = {file.name for place in ("sub-*/func", "tpl-*/*") for file in folder.glob(f"{place}/*")}
    assert not any(name.endswith(".nii.gz") for name in names)  # grids that mean nothing
    file = folder / "sub-01" / "func" / "sub-01_space-fsLR_desc-faceIg_statmap.dtseries.nii"
    assert file.samefile(folder / "6-averages" / "sub-01_label-face_ig.dtseries.nii")
    assert json.loads((file.parent / "sub-01_space-fsLR_desc-faceIg_statmap.json").read_text())[
        "Sources"
    ]
    assert bids_errors(folder) == []


def test_peaks_are_vertices(mapped):
    peaks = pd.read_csv(mapped[0] / "6-averages" / "peaks.tsv", sep="\t")
    first = peaks[peaks["contrast"] == "face"].iloc[0]
    assert first["structure"] == "cortex_left" and first["vertex"] in PATCH
    place = first[["x_mm", "y_mm", "z_mm"]].to_numpy(float)
    np.testing.assert_allclose(place, sphere()[0][int(first["vertex"])], atol=0.051)


@pytest.mark.parametrize("exponent", [0, -3])
def test_the_tr_is_the_series_step_with_its_exponent(tmp_path, exponent):
    file = tmp_path / "sub-1_task-a_space-fsLR_den-91k_bold.dtseries.nii"
    write_cifti(file, np.ones((3, 612)), tr_s=1.5, exponent=exponent)
    stored = nib.load(file).header.matrix.get_index_map(0)
    assert stored.series_step == 1.5 * 10.0**-exponent  # 1500 where the exponent is -3
    image, shape = open_header(file)
    assert header_tr_s(image) == 1.5 and shape == (1223, 1, 1, 3)


def test_a_series_without_seconds_states_no_tr(tmp_path):
    file = tmp_path / "a.dtseries.nii"
    axis = SeriesAxis(0, 4.0, 3, unit="HERTZ")
    nib.save(nib.Cifti2Image(np.ones((3, 612), np.float32), (axis, brain_models())), file)
    assert header_tr_s(open_header(file)[0]) is None


def test_a_stream_gives_the_places_of_the_mask_of_a_scaled_file(tmp_path):
    file, values = tmp_path / "a.dtseries.nii", np.arange(7 * 612).reshape(7, 612) % 251
    image = nib.Cifti2Image(values.astype(np.int16), (SeriesAxis(0, 2, 7), brain_models()))
    image.nifti_header.set_slope_inter(0.5, 3)
    nib.save(image, file)
    expected = nib.load(file).get_fdata()
    used = np.arange(612) % 3 == 0
    parts = list(stream_masked(file, on_grid(used), AFFINE, n=4))
    assert [len(part) for part in parts] == [4, 3] and parts[0].dtype == np.float32
    np.testing.assert_array_equal(np.concatenate(parts), expected[:, used])


def test_a_file_that_is_not_there_and_the_right_hemisphere_alone_are_named(tmp_path):
    with pytest.raises(NeuroFaceError, match=r"nowhere\.dscalar\.nii is not there"):
        read_mask(tmp_path / "nowhere.dscalar.nii")
    for side in "LR":
        write_gifti(tmp_path / f"own_hemi-{side}.shape.gii", np.ones((1, 9)))
    with pytest.raises(NeuroFaceError, match="has no hemi-L in its name"):
        read_mask(tmp_path / "own_hemi-R.shape.gii")
    assert read_mask(tmp_path / "own_hemi-L.shape.gii")[0].sum() == 18


def test_files_with_the_same_places_share_their_brain_models(tmp_path):
    for number in (1, 2):
        write_cifti(tmp_path / f"{number}_bold.dtseries.nii", np.ones((2, 612)))
        for side in "LR":
            write_gifti(tmp_path / f"{number}_hemi-{side}_bold.func.gii", np.ones((2, 40 + 9)))
    write_cifti(tmp_path / "3_bold.dtseries.nii", np.ones((2, 600)), brain_models()[:600])
    cifti = [
        describe_surface(tmp_path / f"{number}_bold.dtseries.nii").brain_models
        for number in (1, 2, 3)
    ]
    gifti = [
        describe_surface(tmp_path / f"{number}_hemi-L_bold.func.gii").brain_models
        for number in (1, 2)
    ]
    assert cifti[0] is cifti[1] and gifti[0] is gifti[1]
    assert len(cifti[0]) == 612 and len(cifti[2]) == 600 and len(gifti[0]) == 98


def test_a_density_of_91k_fits_the_axes_of_a_nifti_file():
    values = np.arange(1, 91_283)
    grid = on_grid(values)
    assert grid.shape == grid_of(91_282) == (357, 1023, 1) and max(grid.shape) <= 32_767
    np.testing.assert_array_equal(grid[grid > 0], values)  # in C order, as a mask has it
    np.testing.assert_array_equal(off_grid(grid, 91_282), values)
    assert label(grid > 0, np.ones((3, 3, 3)))[1] == 91_282  # no two touch, not even at corners


def test_places_that_do_not_change_or_are_no_numbers_are_not_measured(tmp_path):
    series = np.random.default_rng(0).normal(size=(9, 612))
    for side, values in cortex_of(series).items():
        write_gifti(tmp_path / f"a_hemi-{side}_bold.func.gii", values)
    measured = measured_vertices(tmp_path / "a_hemi-L_bold.func.gii").reshape(2, N_VERTICES)
    assert all(np.array_equal(np.flatnonzero(~side), WALL) for side in measured)


def test_hemispheres_are_joined_the_left_one_first(tmp_path):
    series = np.random.default_rng(1).normal(size=(4, 612)).astype(np.float32)
    for side, values in cortex_of(series).items():
        write_gifti(tmp_path / f"a_hemi-{side}_bold.func.gii", values)
    file = tmp_path / "a_hemi-L_bold.func.gii"
    expected = np.concatenate(
        [load_surf_data(tmp_path / f"a_hemi-{side}_bold.func.gii") for side in "LR"]
    )
    np.testing.assert_array_equal(np.concatenate(list(stream_surface(file))), expected.T)
    axis = describe_surface(file).brain_models
    assert axis.nvertices == {f"CIFTI_STRUCTURE_CORTEX_{side}": 320 for side in ("LEFT", "RIGHT")}
    whole = nib.GiftiImage(darrays=[nib.gifti.GiftiDataArray(values.T.astype(np.float32))])
    nib.save(
        whole, tmp_path / "a_hemi-R_bold.func.gii"
    )  # all volumes in one array, as nilearn writes it
    np.testing.assert_array_equal(np.concatenate(list(stream_surface(file))), expected.T)
    write_gifti(tmp_path / "a_hemi-R_bold.func.gii", values[:3])
    with pytest.raises(NeuroFaceError, match="have 4 and 3 volumes"):
        describe_surface(file)


def space_of_cifti() -> SurfaceSpace:
    return SurfaceSpace(brain_models(), True, {side: sphere() for side in ("left", "right")})


def test_clusters_follow_the_mesh():
    """Clusters of a threshold map equal the connected parts of a graph that is made from the triangles, and of a grid."""
    space, rng = space_of_cifti(), np.random.default_rng(4)
    used = rng.random(612) < 0.8
    mask, pairs = on_grid(used), space.neighbours(on_grid(used))
    statistic = rng.normal(size=int(used.sum()))
    cluster = Neighbours(mask, 1, pairs).masses(statistic, 0.3, False)[1]
    whole = np.zeros(612)
    whole[used] = statistic
    _, triangles = sphere()
    cortex = np.setdiff1d(np.arange(N_VERTICES), WALL)
    n_found = 0
    for number in range(2):
        above = np.zeros(N_VERTICES, dtype=bool)
        above[cortex] = whole[300 * number : 300 * (number + 1)] > 0.3
        edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
        edges = edges[above[edges].all(axis=1)]
        graph = coo_matrix((np.ones(len(edges)), edges.T), (N_VERTICES, N_VERTICES))
        n_parts = connected_components(graph, directed=False)[0] - (~above).sum()
        n_found += n_parts
    below_cortex = np.zeros(SUBCORTICAL.shape, dtype=bool)
    below_cortex[SUBCORTICAL] = whole[600:] > 0.3
    assert cluster.max() + 1 == n_found + label(below_cortex)[1]
    assert len(space.neighbours(np.ones_like(mask))) == 2 * len(edges_of_cortex()) + 20


def edges_of_cortex() -> set[tuple[int, int]]:
    """Edges of the sphere without the medial wall; the whole sphere has 3 n - 6."""
    edges = {
        tuple(sorted(pair)) for corners in sphere()[1] for pair in zip(corners, np.roll(corners, 1))
    }
    assert len(edges) == 3 * N_VERTICES - 6
    return {edge for edge in edges if max(edge) < WALL[0]}


def test_a_mesh_is_found_by_its_number_of_vertices(tmp_path):
    names = (
        "sub-1_hemi-L_midthickness.surf.gii",
        "sub-1_hemi-L_space-fsLR_den-32k_inflated.surf.gii",
        "100307.L.midthickness_MSMAll.32k_fs_LR.surf.gii",
        "100307.R.midthickness_MSMAll.32k_fs_LR.surf.gii",
    )
    for name in names:
        write_mesh(tmp_path / name)
    native = nib.load(tmp_path / names[0])
    native.darrays[0].data = np.zeros((N_VERTICES + 9, 3), np.float32)
    native.darrays[0].dims = [N_VERTICES + 9, 3]
    nib.save(native, tmp_path / names[0])
    files = [tmp_path / name for name in names]
    assert find_mesh(files, "hemi-L", N_VERTICES) == tmp_path / names[2]
    assert find_mesh(files, "hemi-R", N_VERTICES) == tmp_path / names[3]
    assert find_mesh(files, "hemi-L", 11) is None
    points, triangles = read_mesh(tmp_path / names[2])
    expected = load_surf_mesh(tmp_path / names[2])
    assert np.array_equal(points, expected.coordinates) and np.array_equal(
        triangles, expected.faces
    )


def test_meshes_that_are_not_fetched_are_named(tmp_path):
    """As in a clone of an OpenNeuro derivative: links of git-annex without their content."""
    func, anat = tmp_path / "sub-1" / "func", tmp_path / "sub-1" / "anat"
    anat.mkdir(parents=True)
    for side in "LR":
        write_gifti(
            func / f"sub-1_task-a_hemi-{side}_space-fsaverage6_bold.func.gii", np.ones((1, 9))
        )
        (anat / f"sub-1_hemi-{side}_midthickness.surf.gii").symlink_to(
            "../../.git/annex/objects/XX/YY/MD5E-s9--0.gii/MD5E-s9--0.gii"
        )
    run = SimpleNamespace(bold=func / "sub-1_task-a_hemi-L_space-fsaverage6_bold.func.gii")
    left_out = write_mesh_of(tmp_path, run, on_grid(np.ones(18, dtype=bool)))
    ((what, why),) = left_out
    assert what == "what needs a mesh: clusters of vertices, distances, figures of surfaces"
    assert why.startswith("no mesh with 9 vertices of hemi-L and 9 vertices of hemi-R was found")
    assert why.endswith(f"or run: datalad get {anat}/*.surf.gii")


def write_mesh_of(folder, run, mask) -> list[tuple[str, str]]:
    """What :func:`write_surface_space` leaves out in a stage with this folder, which also holds the data set."""
    left_out: list[tuple[str, str]] = []
    stage = SimpleNamespace(folder=folder, leave_out=lambda *row: left_out.append(row))
    write_surface_space(stage, [run], mask, folder)
    return left_out


def test_fsaverage5_is_drawn_on_the_mesh_of_nilearn(tmp_path, capsys):
    n_vertices = 10_242
    for side in "LR":
        write_gifti(
            tmp_path / f"sub-1_task-a_hemi-{side}_space-fsaverage5_bold.func.gii",
            np.ones((1, n_vertices)),
        )
    file = tmp_path / "sub-1_task-a_hemi-L_space-fsaverage5_bold.func.gii"
    mask = on_grid(np.arange(2 * n_vertices) >= 100)
    assert write_mesh_of(tmp_path, SimpleNamespace(bold=file), mask) == []
    said = capsys.readouterr().out
    assert said.count("of nilearn") == 2 and words_of_places(tmp_path) == "vertices"
    mesh = load_fsaverage("fsaverage5")["inflated"].parts["left"]
    points, triangles = read_mesh(tmp_path / "mesh_hemi-L.surf.gii")
    assert np.array_equal(triangles, mesh.faces)
    space = SurfaceSpace(
        describe_surface(file).brain_models,
        False,
        {"left": (points, triangles), "right": (points, triangles)},
    )
    left, right = place_hemispheres(space, mask).values()
    assert np.array_equal(left["vertices"], mesh.coordinates) and left["sulcal"].std() > 0
    values = np.arange(int(mask.sum())) + 1.0
    np.testing.assert_array_equal(
        left["projection"] @ values, np.r_[np.zeros(100), values[: n_vertices - 100]]
    )
    np.testing.assert_array_equal(right["projection"] @ values, values[n_vertices - 100 :])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"SPACE": "MNI"}, "is on the cortical surface, and SPACE is 'MNI'"),
        ({"BIDS_FILTER": "space-MNI"}, 'SPACE = "surface", and .* is a volume'),
        ({"MODELS": ("cnn3d", "screened_ridge")}, "'cnn3d' needs a grid of voxels"),
        (
            {"MODELS": ("screened_ridge", "clustered_ridge")},
            "'clustered_ridge' needs a grid of voxels",
        ),
        ({"SMOOTHING_MM": 6.0}, "SMOOTHING_MM = 6 smooths volumes"),
        ({"ATTRIBUTION_METHODS": ("ig", "occlusion")}, 'regions of "occlusion" are volumes'),
        ({"BIDS_FILTER": "film_"}, "are the same run|is a volume"),
        (
            {"BIDS_FILTER": "hemi-R_space-fsa"},
            "names the right hemisphere.* Write 'hemi-L_space-fsa'",
        ),
    ],
)
def test_what_surfaces_cannot_do_is_said(dataset, settings, message):
    config, _ = study(dataset, "cifti", **{"RUN_NAME": "refused"} | settings)
    done = run_here(1, config)
    assert done.returncode == 1 and re.search(message, done.stderr), done.stderr


def test_people_with_other_vertices_and_a_lost_hemisphere_are_named(dataset, tmp_path):
    for person, n in (("sub-01", 612), ("sub-02", 600)):
        func = tmp_path / "data" / person / "func"
        write_cifti(
            func / f"{person}_task-film_space-fsLR_den-91k_bold.dtseries.nii",
            np.ones((9, n)), brain_models()[:n],
        )  # fmt: skip
        (func / f"{person}_task-film_events.tsv").write_text(EVENTS)
        write_gifti(
            func / f"{person}_task-film_hemi-R_space-fsaverage5_bold.func.gii", np.ones((9, 5))
        )
    settings = {"DATASET_DIR": str(tmp_path / "data"), "DATA_DIR": str(tmp_path)}
    done = run_here(1, study(dataset, "cifti", **settings)[0])
    assert "612 of 3 structures, or others" in done.stderr and "600 vertices" in done.stderr
    done = run_here(1, study(dataset, "gifti", **settings)[0])
    assert "_hemi-L_space-fsaverage5_bold.func.gii is not there" in done.stderr


@pytest.mark.parametrize("unfetched", ["L", "R", "LR"])
def test_hemispheres_that_are_not_fetched_are_one_run(tmp_path, unfetched):
    func = tmp_path / "sub-01" / "func"
    files = {
        side: func / f"sub-01_task-film_hemi-{side}_space-fsaverage5_bold.func.gii" for side in "LR"
    }
    for side, file in files.items():
        write_gifti(file, np.ones((2, 9)))
        if side in unfetched:
            file.unlink()
            file.symlink_to("../../.git/annex/objects/XX/YY/MD5E-s9--0.gii/MD5E-s9--0.gii")
    (func / "sub-01_task-film_events.tsv").write_text(EVENTS)
    command = "datalad get " + " ".join(str(files[side]) for side in unfetched)
    with pytest.raises(NeuroFaceError, match=f"not fetched: {re.escape(command)}"):
        find_runs("bids", tmp_path, bids_filter="space-fsaverage5")


def test_surfaces_that_are_not_asked_for_are_named(tmp_path):
    """XCP-D's two versions of a run differ behind the density, which has to be named too."""
    func = tmp_path / "sub-01" / "func"
    for desc in ("denoised", "denoisedSmoothed"):
        write_cifti(
            func / f"sub-01_task-film_space-fsLR_den-91k_desc-{desc}_bold.dtseries.nii",
            np.ones((2, 612)),
        )
    (func / "sub-01_task-film_events.tsv").write_text(EVENTS)
    with pytest.raises(NeuroFaceError, match="are the same run"):
        find_runs("bids", tmp_path, bids_filter="space-fsLR_den-91k")
    with pytest.raises(
        NeuroFaceError, match=r"desc-denoised_bold\.dtseries\.nii is on the cortical"
    ):
        find_runs("bids", tmp_path, bids_filter="desc-denoised_bold")
    (run,), _ = find_runs("bids", tmp_path, bids_filter="den-91k_desc-denoised_bold")
    assert run.bold.name.endswith("desc-denoised_bold.dtseries.nii")


def test_check_reads_surfaces(dataset):
    for kind in ("cifti", "gifti"):
        done = run_here(1, study(dataset, kind)[0], "--check")
        assert done.returncode == 0 and "nothing is wrong" in done.stdout, done.stdout + done.stderr
        assert "  mesh: tpl-fsLR_hemi-L_den-32k_midthickness.surf.gii" in done.stdout


def test_without_a_mesh_clusters_and_figures_are_left_out(dataset, tmp_path):
    """By the check and by script 1, which lists it again at its end and in the report."""
    without = tmp_path / "data"
    shutil.copytree(dataset, without, ignore=shutil.ignore_patterns("*.surf.gii"))
    config, _ = study(dataset, "cifti", DATASET_DIR=str(without), DATA_DIR=str(tmp_path))
    said = "left out: what needs a mesh: clusters of vertices, distances, figures of surfaces: no mesh with 320 vertices"
    for arguments in (("--check",), ()):
        done = run_here(1, config, *arguments)
        assert done.returncode == 0 and said in done.stdout, done.stdout + done.stderr
    assert done.stdout.count(said) == 2
    assert (
        "what needs a mesh: clusters of vertices, distances, figures of surfaces"
        in (tmp_path / "cifti" / "report.html").read_text()
    )


def test_a_mask_of_another_right_hemisphere_is_refused(dataset, tmp_path):
    """MASK_FILE names the left hemisphere's file; the one beside it decides as much."""
    for side in "LR":
        write_gifti(tmp_path / f"own_hemi-{side}.shape.gii", np.arange(N_VERTICES)[None] < WALL[0])
    config, _ = study(
        dataset, "gifti", DATA_DIR=str(tmp_path), MASK_FILE=str(tmp_path / "own_hemi-L.shape.gii"),
        INCLUDE=PEOPLE[:1], CV_SPLITS=("window",), HELD_OUT_SPLIT="window",
    )  # fmt: skip
    assert run_here(1, config).returncode == 0
    assert run_here(1, config).returncode == 0
    write_gifti(tmp_path / "own_hemi-R.shape.gii", np.arange(N_VERTICES)[None] < 200)
    done = run_here(1, config)
    assert done.returncode == 1 and "MASK_FILE" in done.stderr, done.stdout + done.stderr


def test_a_mask_of_vertices_may_be_named(dataset, tmp_path):
    used = np.arange(612) % 2 == 0
    image = nib.Cifti2Image(used[None].astype(np.float32), (ScalarAxis(["mask"]), brain_models()))
    nib.save(image, tmp_path / "half.dscalar.nii")
    own = {
        "DATA_DIR": str(tmp_path),
        "INCLUDE": PEOPLE[:1],
        "CV_SPLITS": ("window",),
        "HELD_OUT_SPLIT": "window",
    }
    config, _ = study(dataset, "cifti", MASK_FILE=str(tmp_path / "half.dscalar.nii"), **own)
    done = run_here(1, config)
    assert done.returncode == 0, done.stderr
    (file,) = (tmp_path / "cifti" / "1-windows").glob("*/*_windows.npy")
    assert np.load(file).shape == (7, 306, 5)
    nib.save(nib.Cifti2Image(np.ones((1, 600), np.float32), (ScalarAxis(["mask"]), brain_models()[:600])),
             tmp_path / "half.dscalar.nii")  # fmt: skip
    done = run_here(
        1,
        study(dataset, "cifti", RUN_NAME="b", MASK_FILE=str(tmp_path / "half.dscalar.nii"), **own)[
            0
        ],
    )
    assert "does not have the parcels or vertices" in done.stderr, done.stderr
