"""The parts that are specific to the face study: its stages, settings, methods text, check of the data set and demo.

Code belongs here if the eight scripts at the top need it, a test should cover it, and no other
study could use it. This room imports all others; only the eight scripts import it. Another study
declares the same in ``studies/<name>/study.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "annotation_clock": ["check_clock", "describe_annotations", "early_windows"],
        "check": ["check_study"],
        "confounds": [
            "add_confounds", "choose_windows", "describe_balance", "window_regressors", "with_kept",
            "write_window_regressors",
        ],
        "demo": ["write_demo"],
        "film_report": ["describe_films"],
        "films": [
            "FILMS", "annotate_run", "chunk_file", "chunks_of", "digest_file", "film_settings",
            "scan_chunk", "write_digest",
        ],
        "settings": ["FaceSettings", "rois_name"],
        "study": ["STUDY"],
        "windows": ["windows_of"],
        "words": ["labels_of", "roi_word"],
    },
)  # fmt: skip
