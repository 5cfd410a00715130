"""What a study declares: its stages, its settings, the texts of its report."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, NamedTuple

from neuroface.pipeline.derivative import BidsName
from neuroface.pipeline.settings import Settings, load_settings


class Step(NamedTuple):
    """One stage of a study: its number, its folder in ``data/<RUN_NAME>/``, and the script that fills the folder."""

    number: int
    folder: str
    script: str


@dataclass(frozen=True)
class Study(Generic[Settings]):
    """A set of numbered scripts that share one ``config.py`` and one ``data/<RUN_NAME>/``.

    Parameters
    ----------
    name : the pipeline's name, shown in the report and ``dataset_description.json``.
    steps : the stages, in the order in which they run. Their numbers need not start at 1.
    settings : the model that checks ``config.py``.
    title : stamped settings → the heading of ``report.html``.
    lead : the sentence under that heading. caution : the sentence at the end of the report.
    read_next : what a reader should look at after the report's first screen, a line each.
    methods : (run folder, stamped settings, numbers of the finished stages, versions, commit,
        backends) → the paragraph for a methods section, and its references; None if that paragraph
        cannot be written yet.
    published : the published study's value of every setting that it states; the report lists what
    differs.
    packages : packages of this study alone whose versions its results depend on.
    bids_names : results that also get a name in the form of BIDS.
    """

    name: str
    steps: tuple[Step, ...]
    settings: type[Settings]
    title: Callable[[dict], str]
    lead: str = ""
    caution: str = ""
    read_next: tuple[str, ...] = ()
    methods: Callable[..., tuple[str, list[str]] | None] = lambda *_: None
    published: Mapping[str, object] = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    bids_names: tuple[BidsName, ...] = ()

    def step(self, number: int) -> Step:
        return next(step for step in self.steps if step.number == number)

    def after(self, number: int) -> Step | None:
        """The stage that follows; None after the last one."""
        return next((step for step in self.steps if step.number > number), None)

    def load_settings(self, script: str | Path) -> Settings:
        """Settings from ``config.py`` in a script's folder; see :func:`neuroface.pipeline.settings.load_settings`.

        Values that follow from results of earlier scripts are those of
        :meth:`SettingsModel.follow_data`.
        """
        script = Path(script)
        settings = load_settings(self.settings, script.with_name("config.py"))
        number = next((step.number for step in self.steps if step.script == script.name), 0)
        root = Path(getattr(settings, "DATA_DIR", "")) / getattr(settings, "RUN_NAME", "")
        return self.settings.follow_data(settings, root, number)
