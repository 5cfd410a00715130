from .architectures import (
    ARCHITECTURES as ARCHITECTURES,
    CLOSED_FORM as CLOSED_FORM,
    CONVOLVE_IN_SPACE as CONVOLVE_IN_SPACE,
    DEFAULT as DEFAULT,
    POLYNOMIAL as POLYNOMIAL,
    SCREENED as SCREENED,
    build as build,
    build_with as build_with,
    builder as builder,
    learning_rates as learning_rates,
)
from .batch_sizes import batch_bounds as batch_bounds
from .choose_model import (
    best_files as best_files,
    candidates as candidates,
    is_chosen_among as is_chosen_among,
    read_choices as read_choices,
    write_best as write_best,
)
from .closed_form import is_closed_form_network as is_closed_form_network
from .comparison import mark_of as mark_of, title_of as title_of
from .confounds import TOGETHER as TOGETHER, confound_scores as confound_scores
from .crossed import crossed_error as crossed_error, sum_of_variances as sum_of_variances
from .dataset import read_samples as read_samples
from .division import (
    Embargo as Embargo,
    Fold as Fold,
    Rows as Rows,
    divide_into_folds as divide_into_folds,
    possible_folds as possible_folds,
    rows_apart as rows_apart,
)
from .fast.compiled import (
    Compiled as Compiled,
    compile_once as compile_once,
    initial_variables as initial_variables,
)
from .fit import (
    Training as Training,
    Windows as Windows,
    fit_fold as fit_fold,
    seed_of_member as seed_of_member,
    write_kernel as write_kernel,
)
from .fold_files import (
    BEST as BEST,
    LINEAR as LINEAR,
    PERMUTED as PERMUTED,
    SHUFFLED as SHUFFLED,
    Member as Member,
    held_out_rows as held_out_rows,
    is_closed_form as is_closed_form,
    is_linear as is_linear,
    member_models as member_models,
    model_file as model_file,
    model_folder as model_folder,
    total_cost as total_cost,
    written_files as written_files,
)
from .folds import (
    FoldSettings as FoldSettings,
    folds_of_all_splits as folds_of_all_splits,
    impossible_splits as impossible_splits,
    make_folds as make_folds,
)
from .keras_files import (
    keras_file_errors as keras_file_errors,
    load_keras_file as load_keras_file,
)
from .layers import (
    DropConnectDense as DropConnectDense,
    ToVolumes as ToVolumes,
    VolumeConv3D as VolumeConv3D,
    bounding_box as bounding_box,
)
from .linear import (
    linear_pattern as linear_pattern,
    scores_by_split as scores_by_split,
    solve_each as solve_each,
    window_features as window_features,
    window_kernel as window_kernel,
)
from .metrics import (
    CALIBRATION_BINS as CALIBRATION_BINS,
    balanced_accuracies as balanced_accuracies,
    expected_calibration_error as expected_calibration_error,
    scores as scores,
)
from .model_cost import multiply_adds as multiply_adds, step_bytes as step_bytes
from .network import (
    build_network as build_network,
    classifier as classifier,
    load_network as load_network,
    logit_network as logit_network,
    predict_logits as predict_logits,
    save_network as save_network,
    window_input as window_input,
)
from .other_networks import (
    OVER_SPACE as OVER_SPACE,
    convolved_volumes as convolved_volumes,
    encoded as encoded,
)
from .results import (
    members_of as members_of,
    permuted as permuted,
    summary as summary,
    write_comparison as write_comparison,
    write_member as write_member,
    write_results as write_results,
)
from .screened import (
    SCREENS as SCREENS,
    gains_of as gains_of,
    screened_kernels as screened_kernels,
    shares_between_labels as shares_between_labels,
    solve_screened_each as solve_screened_each,
)
from .second_order import solve_second_order_each as solve_second_order_each
from .split_choice import AUTO as AUTO, choose_splits as choose_splits
from .training import windows_per_pass as windows_per_pass
from .training_report import describe_training as describe_training
from .uncertainty import (
    LEAST_CLUSTERS as LEAST_CLUSTERS,
    LEAST_FILMS_TO_DIVIDE as LEAST_FILMS_TO_DIVIDE,
    exchanged_labels as exchanged_labels,
    p_value as p_value,
    permuted_labels as permuted_labels,
    weighted_scores as weighted_scores,
    widening as widening,
)
