"""Words for the conditions and regions of an experiment in results and sentences."""

from collections.abc import Sequence
from pathlib import Path

from neuroface.bold import Labels, Words
from neuroface.face_study.settings import FaceSettings

WORDS = {
    "face": Words("a face", "faces", "a face is on the screen", "face"),
    "noface": Words("no face", "moments without a face", "no face is on the screen", "no face"),
}


def labels_of(cfg: FaceSettings) -> Labels:
    """The two conditions of LABELS, with their words."""
    return named_labels(cfg.LABELS)


def named_labels(names: Sequence[str]) -> Labels:
    """Two conditions by name, with their words."""
    first, second = names
    return Labels(first, second, WORDS)


def roi_word(cfg: FaceSettings) -> str:
    """Name of the regions of ROI_FILE in results: "face_roi" for ``masks/face_rois.tsv``."""
    return Path(cfg.ROI_FILE).stem.removesuffix("s") if cfg.ROI_FILE else "region"
