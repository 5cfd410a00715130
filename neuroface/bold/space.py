"""Whose space the BOLD is in: voxels of different people correspond only in a space that they share."""

from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold.parcels import check_parcels, parcel_names
from neuroface.bold.run import Run, entities_of
from neuroface.bold.surface_space import GROUP_MASK, check_surfaces, surface_space

# Spaces that are each person's own (BIDS 1.10, appendix "Coordinate systems"; orig and subject:
# Emo-FilM).
OWN_SPACES = (
    "T1w",
    "T2w",
    "anat",
    "bold",
    "fsnative",
    "func",
    "individual",
    "native",
    "orig",
    "scanner",
    "subject",
)


def check_shared_space(runs: list[Run], space: str | None = None) -> None:
    """Raise if BOLD is in each person's own space, and several people's voxels would be treated as the same places.

    Parameters
    ----------
    space : "MNI", "native" or "surface", as the settings state; None: they do not. Names of files that state a
        person's own space count more.
    """
    if check_parcels(runs, space):
        return
    check_surfaces(runs, space)
    own = [run for run in runs if entities_of(run.bold.name).get("space") in OWN_SPACES]
    people = list(dict.fromkeys(run.subject for run in runs))
    if len(people) > 1 and (own or space == "native"):
        source = f"{own[0].bold.name} is" if own else 'SPACE = "native": BOLD is'
        raise NeuroFaceError(
            f"{source} in each person's own space, where voxels of {len(people)} people do not correspond. Decode one "
            f'person at a time: INCLUDE = ("{people[0]}",), with a RUN_NAME of its own for each; or take BOLD in a space '
            f"that all share, such as MNI152NLin2009cAsym (BIDS_FILTER)."
        )
    if own and space == "MNI":
        raise NeuroFaceError(
            f"{own[0].bold.name} is in the person's own space, and SPACE is {space!r}: coordinates and surfaces would be "
            f'wrong. Set SPACE = "native", or BIDS_FILTER to files in MNI space.'
        )


def words_of_places(folder: Path, mask_name: str = GROUP_MASK) -> str:
    """What a place of a study's data is, plural, from the folder of the stage that made the mask.

    Parameters
    ----------
    mask_name : of :func:`neuroface.bold.surface_space`.
    """
    if parcel_names(folder):
        return "parcels"
    space = surface_space(folder, mask_name)
    if space is None:
        return "voxels"
    return "vertices and voxels" if space.brain_models.volume_mask.any() else "vertices"
