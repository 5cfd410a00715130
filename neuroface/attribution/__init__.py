"""Which voxels, at which volume, a decision is based on; and checks of the attribution methods.

Code belongs here if it explains a trained model. This room imports ``pipeline``, ``bold`` and
``decoding``; ``maps``, ``timeline`` and the scripts may import it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "baselines": ["Baselines", "KINDS"],
        "checks": ["Checker", "completeness", "truth_score"],
        "deepexplain": ["DeepExplainGradients", "frozen_network", "import_deepexplain"],
        "explainers": ["Recipe", "explainer_of_network"],
        "explaining": ["KEYS", "Explaining"],
        "files": ["attribution_file", "completeness_file", "seed_means_file"],
        "methods": ["METHODS", "SECANT_STEPS", "chosen_by_hand"],
        "occlusion": ["regions_to_occlude"],
        "report": ["describe"],
    },
)
