"""Films: frames and sound on the film's clock, faces, what else the eye and the ear get, and regressors made of it.

Code belongs here if it reads a film file, or what was found in one, and knows nothing of models.
This room imports ``pipeline`` and ``bold``; the rooms after it and the scripts may import it. What
decodes films comes with ``requirements-film.txt`` and is imported when it is used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "agreement": ["compare_annotations", "plot_agreement"],
        "annotation_files": ["write_annotation"],
        "correction_page": ["write_correction_page"],
        "faces": ["HEIGHT", "FaceFinder", "detector_versions"],
        "frames": ["Film", "open_film"],
        "matching": ["imbalance", "match_windows"],
        "parts": ["Part", "parts_of", "read_parts", "run_clock", "task_of"],
        "regressors": [
            "CONTENTS", "chosen_regressors", "regressors_of_run", "regressors_of_samples",
            "regressors_of_windows", "write_regressors",
        ],
        "samples": ["scan"],
        "stretches": ["Rules", "complement", "doubt", "faces_of_samples", "stretches_of_samples"],
    },
)  # fmt: skip
