"""``report.html``: one self-contained page to which every script adds its section."""

import base64
import fcntl
import io
import json
from pathlib import Path

from neuroface.pipeline.files import atomic, write_json, write_table

import jinja2
import matplotlib
import pandas as pd
from matplotlib import pyplot as plt
from PIL import Image

matplotlib.use("Agg")  # writes figures to files, also without a screen
matplotlib.rcParams |= {
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
}  # text stays text in vector copies
LARGE_BYTES = 300_000  # a larger PNG is compressed, so that the page is small enough to send
TEMPLATE = Path(__file__).with_name("report.html.j2")


class Blocks:
    """Parts of a page in reading order."""

    def __init__(self):
        self.blocks: list[dict] = []

    def numbers(self, values: dict[str, str]) -> None:
        """Main numbers: label → value as it is shown."""
        self.blocks.append({"kind": "numbers", "values": values})

    def text(self, sentence: str) -> None:
        """A paragraph."""
        self.blocks.append({"kind": "text", "text": sentence})

    def table(self, columns: list[str], rows, caption: str) -> None:
        rows = [[str(cell) for cell in row] for row in rows]
        self.blocks.append({"kind": "table", "columns": columns, "rows": rows, "caption": caption})

    def figure(self, path: Path, caption: str) -> None:
        """A PNG or GIF inside the run's folder, embedded when the page is written; ``caption`` says how to read it."""
        self.blocks.append({"kind": "figure", "path": str(path), "caption": caption})

    def page(self, path: Path, caption: str) -> None:
        """A self-contained HTML page inside the run's folder, embedded as a frame."""
        self.blocks.append({"kind": "page", "path": str(path), "caption": caption})


class Section(Blocks):
    """One script's part of the report: blocks in reading order.

    Parameters
    ----------
    title : heading.
    lead : one or two sentences under it: what was done, and the result.

    Attributes
    ----------
    first : what the first screen of the page says of this script, if anything.
    """

    def __init__(self, title: str, lead: str):
        super().__init__()
        self.title, self.lead = title, lead
        self.first = Blocks()


def save_figure(
    figure,
    path: Path,
    dpi: int = 150,
    also: tuple[str, ...] = (),
    data: pd.DataFrame | None = None,
) -> None:
    """Write a matplotlib figure as PNG, completely or not at all, and close it.

    Parameters
    ----------
    data : what is drawn, for ``<name>_data.tsv`` beside the figure; the report names this file.
    also : endings of vector copies for publication, e.g. (".pdf",); pictures in them have 300 dots
    per inch.
    """
    if (layout := figure.get_layout_engine()) is not None:
        layout.execute(figure)
    figure.set_layout_engine("none")  # one layout for all copies
    for ending in also:
        with atomic(path.with_suffix(ending)) as partial:
            figure.savefig(
                partial, dpi=300, metadata={"CreationDate": None}
            )  # same figure, same bytes
    if data is not None:
        write_table(data_file(path), data)
    with atomic(path) as partial:  # written last: if it exists, its copies exist
        figure.savefig(partial, dpi=dpi)
    plt.close(figure)


def data_file(figure: Path) -> Path:
    """The table of what a figure shows."""
    return figure.with_name(f"{figure.stem}_data.tsv")


def add_section(study, root: Path, folder: Path, section: Section) -> Path:
    """Store a section with its results, and write the page again from all sections.

    Parameters
    ----------
    study : a :class:`neuroface.pipeline.study.Study`. root : ``data/<RUN_NAME>``. folder : the
    script's folder in it.

    Returns
    -------
    The path of ``report.html``.
    """
    for block in section.blocks + section.first.blocks:
        if "path" in block:
            block["path"] = str(Path(block["path"]).relative_to(root))
    write_json(
        folder / "report.json",
        {
            "title": section.title,
            "lead": section.lead,
            "blocks": section.blocks,
            "first": section.first.blocks,
        },
    )
    with open(root / ".report.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two scripts may end at the same time
        return _render(study, root)


def _render(study, root: Path) -> Path:
    sections, stamps = [], {}
    for step in study.steps:
        stored, stamp = root / step.folder / "report.json", root / step.folder / "settings.json"
        if stored.exists():
            sections.append(
                {"id": step.folder, "script": step.script, "first": []}
                | json.loads(stored.read_text())
            )
        if stamp.exists():
            stamps[step.folder] = json.loads(stamp.read_text())
    # A setting's value is that of the first script that uses it; folders made from older results of
    # it are stale.
    settings = {
        name: value
        for stamp in reversed(stamps.values())
        for name, value in stamp["settings"].items()
    }
    stale = _stale(stamps)
    for section in sections:
        section["stale"] = section["id"] in stale
    done = {
        s.number
        for s in study.steps
        if s.folder not in stale and stamps.get(s.folder, {}).get("finished")
    }
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.globals["embed"] = lambda name: _embed(root, name)
    environment.globals["shown"] = _shown
    environment.globals["data_of"] = lambda name: _data_of(root, name)
    environment.globals["content"] = lambda name: (
        path.read_text() if (path := _stored(root, name, ".html")) else ""
    )
    page = environment.from_string(TEMPLATE.read_text()).render(
        run=root.name, sections=sections, settings=sorted(settings.items()), stamps=list(stamps.values()), study=study,
        title=study.title(settings), differences=_differences(study.published, settings),
        methods=_methods(study, root, settings, done, list(stamps.values())), left_out=_left_out(stamps, stale),
        missing=[step.script for step in study.steps if step.number not in done],
    )  # fmt: skip
    target = root / "report.html"
    with atomic(target) as partial:
        partial.write_text(page)
    return target


def _left_out(stamps: dict[str, dict], stale: set[str]) -> list[tuple[str, str, str]]:
    """(Folder, what, why) of all that finished scripts left out; what several of them name stands once."""
    rows: dict[tuple[str, str], str] = {}
    for folder, stamp in stamps.items():
        for item, why in [] if folder in stale else stamp.get("left_out", []):
            rows.setdefault((item, why), folder)
    return [(folder, *row) for row, folder in rows.items()]


def _methods(
    study, root: Path, settings: dict, done: set[int], stamps: list[dict]
) -> tuple[str, list[str]] | None:
    """The paragraph for a methods section and its references."""
    versions = {name: version for stamp in stamps for name, version in stamp["versions"].items()}
    backends = {backend for stamp in stamps for backend in stamp["backends"]}
    commit = (stamps[-1]["commit"] if stamps else None) or "unknown"
    return study.methods(root, settings, done, versions, commit, backends)


def _differences(published: dict, settings: dict) -> list[tuple[str, object, object]]:
    """Stamped settings that differ from the published study: (name, here, published)."""
    return [
        (name, settings[name], value)
        for name, value in published.items()
        if settings.get(name, value) != value
    ]


def _stale(stamps: dict[str, dict]) -> set[str]:
    """Folders made from results of an earlier script that has since replaced these results."""
    stale = set()
    for name, stamp in stamps.items():  # in the order of the scripts
        for upstream, digest in stamp["inputs"].items():
            if upstream in stale or stamps.get(upstream, {}).get("digest", digest) != digest:
                stale.add(name)
    return stale


def _shown(value) -> str:
    """A setting as in config.py, but without quotes and brackets."""
    if isinstance(value, list):
        return ", ".join(map(_shown, value)) or "none"
    return (
        "none"
        if value is None or value == ""
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def _stored(root: Path, name: str, *kinds: str) -> Path | None:
    """A file that a section names; None if it does not exist or lies outside the run's folder."""
    path = (root / name).resolve()
    return (
        path
        if path.is_relative_to(root.resolve()) and path.suffix in kinds and path.is_file()
        else None
    )


def _data_of(root: Path, name: str) -> str:
    """The path of the table of what a figure shows, from the run's folder; empty if there is none."""
    file = data_file(Path(name))
    return str(file) if (root / file).is_file() else ""


def _embed(root: Path, name: str) -> str:
    """A picture as a data URL; a large PNG becomes WebP, with a fifth of the size and sharp enough for a screen."""
    path = _stored(root, name, ".png", ".gif")
    if path is None:
        return ""
    kind, content = path.suffix.removeprefix("."), path.read_bytes()
    if kind == "png" and len(content) > LARGE_BYTES:
        kind, smaller = "webp", io.BytesIO()
        Image.open(path).convert("RGB").save(smaller, "webp", quality=90)
        content = smaller.getvalue()
    return f"data:image/{kind};base64," + base64.b64encode(content).decode()
