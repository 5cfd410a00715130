"""From BOLD to windows: data sets, masks, regions, annotations, standardisation, windows.

Code belongs here if it reads or cuts BOLD or annotations, and does not use models. This room
imports ``pipeline``. ``decoding``, ``attribution``, ``maps``, ``timeline``, ``face_study`` and the
scripts may import it. To add an annotation format, write a reader in ``annotations.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "annotations": [
            "ROUNDING_S", "check_names", "event_names", "is_on_film_clock", "joined_trials", "on_screen", "read_1d",
            "read_events", "read_stretches", "stretches_of_labels", "touches", "trial_types_of",
        ],
        "clock": ["check_tr", "first_volume_s"],
        "denoising": ["cleaning_lines", "cleaning_of", "complete_denoise", "denoise_limits", "denoise_sentences"],
        "datasets": ["check_distinct", "find_runs", "runs_of"],
        "film_event": ["FilmEvent", "check_film_event", "check_film_length"],
        "extraction": ["extract_windows", "standardized_volumes", "statistics_of"],
        "group_mask": ["make_group_mask"],
        "images": [
            "check_grid", "mean_of_maps", "nearly_whole", "open_header", "open_image", "read_mask",
            "read_masked", "stream_masked",
        ],
        "inspection": ["check_group_mask", "check_runs", "costs_of_masks", "inspect_run"],
        "labels": ["Labels", "Words"],
        "nndb": ["nndb_naming"],
        "nifti": ["DAMAGED_GZIP", "unmask", "write_map", "write_nifti"],
        "pauses": ["check_pauses", "describe_pauses", "film_ahead_s", "in_series_s"],
        "projection": ["Cleaning", "Projection", "drift_regressors"],
        "regions": ["read_rois", "regions_in_mask", "sphere_labels", "voxel_positions_mm"],
        "run": ["Run"],
        "running": ["RunningStatistics"],
        "smoothing": ["smoothed_volumes"],
        "space": ["check_shared_space"],
        "steady_state": ["count_bright"],
        "windows": [
            "SAMPLE_COLUMNS", "ambiguous_windows", "balance", "events_of", "first_tr", "read_censor", "stimuli_of",
            "stimulus_time_s",
            "whole_windows", "window_table", "windows_file",
        ],
    },
)  # fmt: skip
