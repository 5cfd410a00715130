"""From windows to decisions: folds, networks, training, linear models, scores, intervals and nulls.

Code belongs here if it trains a model, or says how good its predictions are. This room imports
``pipeline`` and ``bold``; ``attribution``, ``maps``, ``timeline`` and the scripts may import it. To
add an architecture, write a function and name it in ``architectures.py``; to add a score of
predictions, add a line to ``metrics.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "alignment": ["aligned_kernel"],
        "architectures": ["ARCHITECTURES", "CLOSED_FORM", "DEFAULT", "build", "builder_of", "learning_rates"],
        "best": ["candidates", "is_chosen", "read_choices", "write_best"],
        "closed_form": ["is_closed_form_network"],
        "comparison": ["mark_of", "title_of"],
        "confounds": ["TOGETHER", "confound_scores"],
        "fold_files": [
            "BEST", "LINEAR", "SHUFFLED", "Member", "files_of", "is_closed_form", "is_linear", "is_trained",
            "lacks_inner_logits", "member_models", "model_file", "model_folder",
        ],
        "crossed": ["crossed_error"],
        "folds": ["Fold", "INNER_FOLDS", "folds_of", "folds_of_all_splits", "impossible_splits", "possible_folds"],
        "layers": ["DropConnectDense", "ToVolumes", "VolumeConv3D", "bounding_box"],
        "linear": ["linear_pattern", "scores_by_split", "solve_each", "window_features", "window_kernel"],
        "metrics": ["CALIBRATION_BINS", "scores"],
        "model_cost": ["multiply_adds", "step_bytes"],
        "network": [
            "build_network", "load_network", "logit_network", "predict_logits", "save_network", "window_input",
        ],
        "models": ["Windows", "fit_fold", "seed_of_member", "write_kernel"],
        "results": [
            "members_of", "permuted", "summary", "write_comparison", "write_inner", "write_member",
            "write_results",
        ],
        "rivals": ["attended", "convolved_volumes"],
        "split_choice": ["AUTO", "with_splits"],
        "second_order": ["solve_second_order_each"],
        "training_report": ["describe"],
        "training": ["windows_per_pass"],
        "uncertainty": [
            "LEAST_CLUSTERS", "mean_over_people", "p_value", "permuted_labels", "weighted_scores", "widening",
        ],
    },
)  # fmt: skip
