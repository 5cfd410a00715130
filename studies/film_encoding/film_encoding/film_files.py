"""The files of the films in FILM_DIR."""

from pathlib import Path

from neuroface import NeuroFaceError


def find_films(folder: Path, films: list[str], stage, named: bool) -> dict[str, Path]:
    """Film → its file. Names are compared without regard to case, "_", "-" and a leading "task-".

    Parameters
    ----------
    stage : a :class:`neuroface.pipeline.Stage` or ``Checklist``, which lists films without a file.
    named : whether FILMS names them, so that each must have a file.

    Raises
    ------
    NeuroFaceError
        If the folder is missing, a film of FILMS has no file, a film has two, or none has one.
    """
    if not folder.is_dir():
        raise NeuroFaceError(
            f"FILM_DIR = {folder} is not there. Set it to the folder that holds the films."
        )
    paths_of: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix.lower() not in (
            ".1d",
            ".npz",
            ".tsv",
            ".json",
            ".txt",
            ".csv",
            ".srt",
        ):
            paths_of.setdefault(plain(path.stem), []).append(path)
    files = {}
    for film in films:
        paths = paths_of.get(plain(film), [])
        if len(paths) > 1:
            raise NeuroFaceError(
                f"{folder} holds {paths[0].name} and {paths[1].name} for the film {film}. Remove one of the two."
            )
        if paths:
            files[film] = paths[0]
        elif named:
            raise NeuroFaceError(
                f"FILMS names {film!r}, and {folder} holds no file of that name. Put {film}.mp4 there."
            )
        else:
            stage.leave_out(film, f"there is BOLD, but no film file {film}.mp4 in {folder}")
    if not files:
        raise NeuroFaceError(
            f"{folder} holds no film that people saw: {', '.join(films)}. Name files after the tasks, e.g. "
            f"{films[0]}.mp4."
        )
    return files


def plain(name: str) -> str:
    return "".join(c for c in name.lower().removeprefix("task-") if c.isalnum())
