from .baselines import KINDS as KINDS, Baselines as Baselines
from .checks import Checker as Checker, completeness as completeness, truth_score as truth_score
from .deepexplain import (
    DeepExplainGradients as DeepExplainGradients,
    frozen_network as frozen_network,
    import_deepexplain as import_deepexplain,
)
from .explain_windows import KEYS as KEYS, Explaining as Explaining
from .explainer import Recipe as Recipe, explainer_of_network as explainer_of_network
from .files import (
    attribution_file as attribution_file,
    completeness_file as completeness_file,
    seed_means_file as seed_means_file,
)
from .method_names import (
    METHODS as METHODS,
    SECANT_STEPS as SECANT_STEPS,
    chosen_by_hand as chosen_by_hand,
)
from .occlusion import regions_to_occlude as regions_to_occlude
from .report import describe_attributions as describe_attributions
