"""From windows to decisions: folds, networks, training, linear models, scores, intervals and nulls.

Code belongs here if it trains a model, or says how good its predictions are. This room imports ``pipeline`` and ``bold``;
``attribution``, ``maps``, ``timeline`` and the scripts may import it. To add an architecture, write a function
and name it in ``architectures.py``; to add a score of predictions, add a line to ``metrics.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "alignment": ["aligned_kernel"],
        "architectures": ["ARCHITECTURES", "CLOSED_FORM", "DEFAULT", "learning_rates"],
        "best": ["candidates", "is_chosen", "read_choices", "write_best"],
        "closed_form": ["is_closed_form_network"],
        "confounds": ["TOGETHER", "confound_scores"],
        "fold_files": [
            "BEST", "LINEAR", "SHUFFLED",
            "Member", "files_of", "is_trained", "lacks_inner_logits", "member_models", "model_folder", "permuted",
        ],
        "folds": ["Fold", "folds_of", "folds_of_all_splits"],
        "layers": ["ToVolumes"],
        "linear": ["linear_pattern", "scores_by_split"],
        "metrics": ["scores"],
        "network": ["build_network", "load_network", "logit_network", "predict_logits", "save_network"],
        "models": ["Windows", "fit_fold", "seed_of_member", "write_kernel"],
        "results": [
            "members_of", "summary", "write_comparison", "write_inner", "write_member",
            "write_results",
        ],
        "training_report": ["describe", "title_of"],
        "uncertainty": ["mean_over_people", "p_value", "permuted_labels"],
    },
)  # fmt: skip
