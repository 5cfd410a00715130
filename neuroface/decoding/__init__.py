"""From windows to decisions: folds, networks, training, linear models, scores, intervals and nulls.

Code belongs here if it trains a model, or says how good its predictions are. This room imports ``pipeline`` and ``bold``;
``attribution``, ``maps``, ``timeline`` and the scripts may import it. To add an architecture, write a function
and name it in ``architectures.py``; to add a score of predictions, add a line to ``metrics.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "architectures": ["ARCHITECTURES", "DEFAULT", "builder_of"],
        "confounds": ["TOGETHER", "confound_scores"],
        "fold_files": ["cost_file", "history_file", "is_trained", "model_file", "model_folder", "predictions_file"],
        "folds": ["Fold", "folds_of", "folds_of_all_splits"],
        "layers": ["ToVolumes"],
        "linear": ["linear_pattern", "scores_by_split", "window_features", "window_kernel"],
        "metrics": ["scores"],
        "network": ["build_network", "load_network", "logit_network", "predict_logits", "save_network"],
        "results": ["SHUFFLED", "permuted", "write_comparison", "write_results"],
        "training": ["train_network"],
        "training_report": ["describe"],
        "uncertainty": ["mean_over_people", "p_value", "permuted_labels"],
    },
)
