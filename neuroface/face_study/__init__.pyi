from .annotation_clock import (
    check_clock as check_clock,
    describe_annotations as describe_annotations,
    early_windows as early_windows,
    why_no_window as why_no_window,
)
from .arguments import (
    design_of as design_of,
    explained as explained,
    group_test_settings as group_test_settings,
    label_events as label_events,
    live_settings as live_settings,
    model_options as model_options,
    runs_of as runs_of,
    runs_of_people as runs_of_people,
    training_settings as training_settings,
)
from .attribution_text import how_explained as how_explained
from .bids_app import app_command as app_command
from .check import check_study as check_study
from .confounds import (
    add_confounds as add_confounds,
    choose_windows as choose_windows,
    describe_balance as describe_balance,
    window_regressors as window_regressors,
    with_kept as with_kept,
    write_window_regressors as write_window_regressors,
)
from .demo import write_demo as write_demo
from .film_report import describe_films as describe_films
from .films import (
    FILMS as FILMS,
    annotate_run as annotate_run,
    chunk_file as chunk_file,
    chunks_of as chunks_of,
    digest_file as digest_file,
    film_settings as film_settings,
    name_of_chunk as name_of_chunk,
    pictures_file as pictures_file,
    scan_chunk as scan_chunk,
    write_digest as write_digest,
)
from .model_inputs import windows_of as windows_of
from .settings import (
    FaceSettings as FaceSettings,
    fold_settings as fold_settings,
    rois_name as rois_name,
    with_splits as with_splits,
)
from .study import STUDY as STUDY
from .viewing import show_films as show_films
from .words import labels_of as labels_of, roi_word as roi_word
