"""Check a finished run: has any file changed since its script wrote it?

    python -m neuroface.manifest data/<RUN_NAME>                   all results, against the SHA-256
                                                                   in manifest.json
    python -m neuroface.manifest data/<RUN_NAME> --inputs          and the data set: the first call
                                                                   stores the SHA-256 of its files,
                                                                   later ones compare
    python -m neuroface.manifest data/<RUN_NAME> --inputs FOLDER   the same for a data set that has
                                                                   moved

Exit code 0: nothing has changed; 1: some files have changed, and are named; 2: wrong arguments.
"""

import argparse
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.pipeline import provenance
from neuroface.pipeline.files import write_json
from neuroface.pipeline.script import errors_in_one_line


def check_run(root: Path, *, inputs: bool = False, dataset: Path | None = None) -> list[str]:
    """Compare all stages of ``data/<RUN_NAME>`` with their manifests, and print what was checked.

    Parameters
    ----------
    inputs : whether to check the files of the data set too.
    dataset : present folder of the data set; None: the folder that the manifest names.

    Returns
    -------
    What has changed, one line each.

    Raises
    ------
    NeuroFaceError
        If ``root`` holds no stage, or a manifest is missing.
    """
    there = [stamp.parent for stamp in sorted(root.glob(f"*/{provenance.STAMP}"), key=_number)]
    if not there:
        raise NeuroFaceError(
            f"{root} holds no results. Name a folder data/<RUN_NAME> that the scripts have filled."
        )
    sha256 = cache(provenance.sha256)
    stamps = {folder: provenance.read_stamp(folder) for folder in there}
    digests, problems = {folder.name: stamp.get("digest") for folder, stamp in stamps.items()}, []
    for folder, stamp in stamps.items():
        script = stamp["script"]
        if not stamp.get("finished"):
            problems.append(f"{folder} is not complete. Run again: python {script} (it resumes)")
            continue
        manifest = provenance.read_manifest(folder, script)
        wrong = provenance.differences(folder, manifest["outputs"], script, content=True)
        digest = provenance.digest(manifest["outputs"], manifest["side_results"])
        if not wrong and digest != stamp["digest"]:
            wrong = [
                f"{folder / provenance.MANIFEST} and {provenance.STAMP} do not belong together. Run: python {script}"
            ]
        for upstream, digest in stamp["inputs"].items():
            if digests.get(upstream, digest) != digest:
                wrong.append(
                    f"{folder} was made from an earlier {upstream}. Delete {folder}, then: python {script}"
                )
        size = sum(output["bytes"] for output in manifest["outputs"].values())
        print(
            f"  {folder.name}: {len(manifest['outputs'])} files, {size / 1e6:,.1f} MB; {len(wrong)} differences"
        )
        if other := provenance.lock_differences(stamp["versions"]):
            print(f"    made with {other}")
        if inputs and manifest["inputs"]:
            wrong += check_inputs(folder, manifest, dataset or Path(manifest["dataset"]), sha256)
        problems += wrong
    return problems


def _number(stamp: Path) -> tuple:
    """Folders in the order of their scripts: 2-… before 10-…."""
    number = stamp.parent.name.partition("-")[0]
    return (int(number) if number.isdecimal() else 0, stamp.parent.name)


def check_inputs(
    folder: Path, manifest: dict, dataset: Path, sha256: Callable[[Path], str]
) -> list[str]:
    """Files of the data set that are gone or have changed, one line each; stores a SHA-256 that is not yet known.

    Parameters
    ----------
    sha256 : path → SHA-256 of the file; one file may be an input of several stages.
    """
    wrong, stored = [], 0
    for name, known in manifest["inputs"].items():
        path = dataset / name
        if not path.is_file():
            wrong.append(
                f"{path} is gone; {folder} was made from it. Put it back, or name the folder after --inputs"
            )
        elif (
            path.stat().st_size != known["bytes"]
            or provenance.fingerprint(path) != known["fingerprint"]
        ):
            wrong.append(
                f"{path} has changed since {folder} was made from it. Restore the old file, or make {folder} again"
            )
        elif known["sha256"] is None:
            known["sha256"], stored = sha256(path), stored + 1
        elif sha256(path) != known["sha256"]:
            wrong.append(
                f"{path} has changed since {folder} was made from it. Restore the old file, or make {folder} again"
            )
    if stored:
        write_json(folder / provenance.MANIFEST, manifest)
    print(
        f"    its inputs: {len(manifest['inputs'])} files, SHA-256 of {stored} stored now; {len(wrong)} differences"
    )
    return wrong


def check_command(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m neuroface.manifest", description=__doc__.splitlines()[0]
    )
    parser.add_argument("run", type=Path, help="data/<RUN_NAME>")
    parser.add_argument(
        "--inputs", nargs="?", const="", metavar="FOLDER", help="check the data set too"
    )
    chosen = parser.parse_args(arguments)
    with errors_in_one_line():
        dataset = Path(chosen.inputs) if chosen.inputs else None
        problems = check_run(chosen.run, inputs=chosen.inputs is not None, dataset=dataset)
        for problem in problems:
            print(f"  wrong: {problem}", file=sys.stderr)
        if problems:
            raise NeuroFaceError(f"{len(problems)} differences in {chosen.run} are named above.")
        print("  nothing has changed")
