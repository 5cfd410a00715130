"""``report.html``: one self-contained page that every script adds its section to."""

import base64
import json
from pathlib import Path

import jinja2
import matplotlib
from matplotlib import pyplot as plt

from neuroface.files import STAGES, atomic, write_json

matplotlib.use("Agg")  # figures go to files, on machines without a screen too
TEMPLATE = Path(__file__).with_name("report.html.j2")


class Section:
    """One script's part of the report: blocks in reading order.

    Parameters
    ----------
    title : heading.
    lead : one or two sentences under it: what was done and what came out.
    """

    def __init__(self, title: str, lead: str):
        self.title, self.lead, self.blocks = title, lead, []

    def numbers(self, values: dict[str, str]) -> None:
        """Headline numbers: label → value as it should be read."""
        self.blocks.append({"kind": "numbers", "values": values})

    def table(self, columns: list[str], rows, caption: str) -> None:
        rows = [[str(cell) for cell in row] for row in rows]
        self.blocks.append({"kind": "table", "columns": columns, "rows": rows, "caption": caption})

    def figure(self, path: Path, caption: str) -> None:
        """A PNG inside the run's folder, embedded when the page is written; ``caption`` says how to read it."""
        self.blocks.append({"kind": "figure", "path": str(path), "caption": caption})


def save_figure(figure, path: Path, dpi: int = 150) -> None:
    """Write a matplotlib figure as PNG, whole or not at all, and close it."""
    with atomic(path) as partial:
        figure.savefig(partial, dpi=dpi)
    plt.close(figure)


def add_section(root: Path, folder: Path, section: Section) -> Path:
    """Store a section beside its results and write the page anew from all sections there are.

    Parameters
    ----------
    root : ``data/<RUN_NAME>``. folder : the script's folder in it.

    Returns
    -------
    The path of ``report.html``.
    """
    for block in section.blocks:
        if block["kind"] == "figure":
            block["path"] = str(Path(block["path"]).relative_to(root))
    write_json(folder / "report.json", {"title": section.title, "lead": section.lead, "blocks": section.blocks})
    return _render(root)


def _render(root: Path) -> Path:
    sections, stamps = [], []
    for name, script in STAGES.values():
        stored, stamp = root / name / "report.json", root / name / "settings.json"
        if stored.exists():
            sections.append({"id": name, "script": script} | json.loads(stored.read_text()))
        if stamp.exists():
            stamps.append(json.loads(stamp.read_text()))
    settings = {name: value for stamp in stamps for name, value in stamp["settings"].items()}
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.globals["embed"] = lambda path: _embed(root, path)
    page = environment.from_string(TEMPLATE.read_text()).render(
        run=root.name, sections=sections, settings=sorted(settings.items()), stamps=stamps
    )
    target = root / "report.html"
    with atomic(target) as partial:
        partial.write_text(page)
    return target


def _embed(root: Path, name: str) -> str:
    """A figure as text; empty where there is none, or where a stored name leads out of the run's folder."""
    path = (root / name).resolve()
    if not (path.is_relative_to(root.resolve()) and path.suffix == ".png" and path.is_file()):
        return ""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
