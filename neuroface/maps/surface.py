"""From volume to cortical surface to pixels."""

from neuroface.bold import SurfaceSpace, sphere_labels

import numpy as np
from nilearn.datasets import load_fsaverage, load_fsaverage_data
from scipy import sparse

N_DEPTHS = 10  # samples between pial and white surface, as in nilearn


def load_hemispheres(rois, mask: np.ndarray, affine: np.ndarray) -> dict[str, dict]:
    """Per hemisphere: inflated vertices (n, 3), triangles (m, 3), sulcal depth (n,), region of each vertex (n,), 0 outside.

    And ``projection`` (n, n_voxels): the mean of a map between pial and white surface.

    Parameters
    ----------
    rois : table of :func:`neuroface.bold.read_rois`; None: no regions.
    """
    meshes, sulcal = (
        load_fsaverage("fsaverage5"),
        load_fsaverage_data(mesh="fsaverage5", data_type="sulcal"),
    )
    hemispheres = {}
    for side in ("left", "right"):
        inflated, pial = meshes["inflated"].parts[side], meshes["pial"].parts[side]
        hemispheres[side] = {
            "vertices": inflated.coordinates,
            "triangles": inflated.faces,
            "sulcal": np.asarray(sulcal.data.parts[side]).ravel(),
            # By the position of a vertex in MNI, not on the inflated mesh.
            "region": np.zeros(len(pial.coordinates))
            if rois is None
            else sphere_labels(pial.coordinates, rois),
            "projection": projection_matrix(
                pial.coordinates, meshes["white_matter"].parts[side].coordinates, mask, affine
            ),
        }
    return hemispheres


def place_hemispheres(space: SurfaceSpace, mask: np.ndarray) -> dict:
    """:func:`load_hemispheres` of data that are on the surface already: ``projection`` only puts places at their vertices.

    A mesh of fsaverage5 is drawn inflated, with nilearn's sulcal depth; any other as it is, without depth.

    Parameters
    ----------
    space : of the data, with the meshes of both hemispheres. mask : (x, y, z) bool.
    """
    inflated = load_fsaverage("fsaverage5")["inflated"]
    sulcal = load_fsaverage_data(mesh="fsaverage5", data_type="sulcal")
    hemispheres = {}
    for side, (points, triangles) in space.meshes.items():
        places = space.places_of(side, mask)
        here = np.flatnonzero(places >= 0)
        entries = np.ones(len(here)), (here, places[here])
        packaged = inflated.parts[side]
        is_packaged = np.array_equal(packaged.faces, triangles)
        hemispheres[side] = {
            "vertices": packaged.coordinates if is_packaged else points,
            "triangles": triangles,
            "sulcal": np.asarray(sulcal.data.parts[side]).ravel()
            if is_packaged
            else np.zeros(len(points)),
            "region": np.zeros(len(points)),
            "projection": sparse.csr_matrix(entries, shape=(len(points), int(mask.sum()))),
        }
    return hemispheres


def project(matrix: np.ndarray, hemispheres: dict) -> dict[str, np.ndarray]:
    """A map (n_voxels, n_columns) on each hemisphere: (n_vertices, n_columns), NaN outside the mask."""
    values = {side: hemisphere["projection"] @ matrix for side, hemisphere in hemispheres.items()}
    for side, hemisphere in hemispheres.items():
        values[side][hemisphere["projection"].getnnz(axis=1) == 0] = np.nan
    return values


def projection_matrix(
    pial: np.ndarray, white: np.ndarray, mask: np.ndarray, affine: np.ndarray
) -> sparse.csr_matrix:
    """Mean of a map between pial and white surface as one sparse matrix, to be applied to any number of maps.

    Equals nilearn's ``vol_to_surf`` with an inner mesh (trilinear, ten depths, points outside the
    mask left out) for maps that are 0 outside the mask.

    Parameters
    ----------
    pial, white : (n_vertices, 3), mm; vertex i of one lies beneath vertex i of the other.
    mask, affine : (x, y, z) bool and its (4, 4).

    Returns
    -------
    matrix : (n_vertices, n_voxels), voxels in C order of the mask; a row of zeros where no point
    lies in the mask.
    """
    depth = np.linspace(0, 1, N_DEPTHS)[:, None]
    to_voxels = np.linalg.inv(affine)
    points = (pial[:, None] + depth * (white - pial)[:, None]) @ to_voxels[:3, :3].T + to_voxels[
        :3, 3
    ]
    vertex = np.repeat(np.arange(len(pial)), N_DEPTHS)
    points = points.reshape(-1, 3)
    inside = ((points >= 0) & (points < mask.shape)).all(axis=1)
    inside[inside] = mask[tuple(np.floor(points[inside]).astype(int).T)]
    points, vertex = points[inside], vertex[inside]
    per_vertex = np.bincount(vertex, minlength=len(pial))

    number = np.full(mask.shape, -1)
    number[mask] = np.arange(mask.sum())
    low = np.minimum(np.floor(points).astype(int), np.array(mask.shape) - 2)
    fraction = points - low
    rows, columns, weights = [], [], []
    for corner in np.ndindex(2, 2, 2):
        voxel = number[tuple((low + corner).T)]
        weight = np.prod(np.where(corner, fraction, 1 - fraction), axis=1) / per_vertex[vertex]
        known = voxel >= 0
        rows.append(vertex[known])
        columns.append(voxel[known])
        weights.append(weight[known])
    entries = np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))
    return sparse.csr_matrix(entries, shape=(len(pial), int(mask.sum())))


def paint(triangles: np.ndarray, pixel: float) -> np.ndarray:
    """The triangle that is visible at each pixel; later triangles cover earlier ones.

    Parameters
    ----------
    triangles : (n, 3, 2), corners in the plane. The picture begins at their smallest coordinates.
    pixel : a pixel's side, in the same unit.

    Returns
    -------
    number : (height, width), the last triangle that holds the pixel's centre; -1 where there is
    none.
    """
    corners = (triangles - triangles.reshape(-1, 2).min(axis=0)) / pixel
    width, height = np.ceil(corners.reshape(-1, 2).max(axis=0)).astype(int)
    low = np.floor(corners.min(axis=1)).astype(int)
    box = np.moveaxis(
        np.indices((np.ceil(corners.max(axis=1)).astype(int) - low).max(axis=0)), 0, -1
    ).reshape(-1, 2)
    place = (
        low[:, None] + box
    )  # pixels that a triangle may hold: (n, pixels in the largest triangle's box, 2)
    a, b, c = np.moveaxis(corners[:, :, None], 1, 0)
    sides = [_side(place + 0.5, *edge) for edge in ((a, b), (b, c), (c, a))]
    inside = np.all([side >= -1e-9 for side in sides], axis=0) | np.all(
        [side <= 1e-9 for side in sides], axis=0
    )
    inside &= (place < (width, height)).all(axis=2)
    number, (triangle, _), (x, y) = (
        np.full((height, width), -1),
        np.nonzero(inside),
        place[inside].T,
    )
    np.maximum.at(number, (y, x), triangle)
    return number


def _side(point: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Above 0 where a point lies left of the line from start to end, below 0 right of it."""
    (x, y), (u, v) = np.moveaxis(point - start, -1, 0), np.moveaxis(end - start, -1, 0)
    return u * y - v * x
