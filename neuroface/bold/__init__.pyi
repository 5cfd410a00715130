from .annotations import (
    ROUNDING_S as ROUNDING_S,
    LabelEvents as LabelEvents,
    check_names as check_names,
    event_names as event_names,
    is_on_film_clock as is_on_film_clock,
    joined_trials as joined_trials,
    on_screen as on_screen,
    read_1d as read_1d,
    read_events as read_events,
    read_stretches as read_stretches,
    stretches_of_labels as stretches_of_labels,
    touches as touches,
    trial_types_of as trial_types_of,
)
from .bids import folder_of_series as folder_of_series, not_fetched as not_fetched
from .clock import check_tr as check_tr, first_volume_s as first_volume_s
from .datasets import check_distinct as check_distinct, find_runs as find_runs
from .denoising import (
    Denoising as Denoising,
    Design as Design,
    cleaning_lines as cleaning_lines,
    cleaning_of as cleaning_of,
    denoise_sentences as denoise_sentences,
)
from .extraction import (
    extract_windows as extract_windows,
    standardized_volumes as standardized_volumes,
    statistics_of as statistics_of,
)
from .film_event import (
    FilmEvent as FilmEvent,
    check_film_length as check_film_length,
    clock_of_onsets as clock_of_onsets,
    with_showings as with_showings,
)
from .group_mask import (
    describe_costs as describe_costs,
    describe_overlap as describe_overlap,
    make_group_mask as make_group_mask,
    shared_mask as shared_mask,
)
from .images import (
    check_grid as check_grid,
    mean_of_maps as mean_of_maps,
    nearly_whole as nearly_whole,
    open_header as open_header,
    open_image as open_image,
    read_mask as read_mask,
    read_masked as read_masked,
    stream_masked as stream_masked,
)
from .inspection import (
    check_first_volume as check_first_volume,
    check_group_mask as check_group_mask,
    check_runs as check_runs,
    costs_of_masks as costs_of_masks,
    inspect_run as inspect_run,
)
from .labels import Labels as Labels, Words as Words
from .nifti import (
    UNREADABLE as UNREADABLE,
    unmask as unmask,
    write_map as write_map,
    write_nifti as write_nifti,
)
from .nndb import nndb_naming as nndb_naming
from .own_masks import with_computed_masks as with_computed_masks
from .parcels import (
    is_parcels as is_parcels,
    parcel_names as parcel_names,
    read_parcels as read_parcels,
    write_parcel_names as write_parcel_names,
)
from .pauses import (
    check_pauses as check_pauses,
    describe_pauses as describe_pauses,
    film_ahead_s as film_ahead_s,
    in_series_s as in_series_s,
    spans_break as spans_break,
)
from .places import off_grid as off_grid, on_grid as on_grid
from .projection import (
    Cleaning as Cleaning,
    Projection as Projection,
    drift_regressors as drift_regressors,
)
from .regions import (
    read_rois as read_rois,
    regions_in_mask as regions_in_mask,
    sphere_labels as sphere_labels,
    voxel_positions_mm as voxel_positions_mm,
)
from .run import Run as Run
from .running import RunningStatistics as RunningStatistics
from .settings import BoldSettings as BoldSettings, denoising_of as denoising_of
from .smoothing import smoothed_volumes as smoothed_volumes
from .space import check_shared_space as check_shared_space, words_of_places as words_of_places
from .steady_state import count_bright as count_bright
from .surface_labels import read_surface_labels as read_surface_labels
from .surface_space import (
    SurfaceSpace as SurfaceSpace,
    surface_space as surface_space,
    write_surface_space as write_surface_space,
)
from .surfaces import describe_surface as describe_surface, is_surface as is_surface
from .windows import (
    SAMPLE_COLUMNS as SAMPLE_COLUMNS,
    ambiguous_windows as ambiguous_windows,
    balance as balance,
    events_of as events_of,
    first_tr as first_tr,
    read_censor as read_censor,
    stimuli_of as stimuli_of,
    stimulus_time_s as stimulus_time_s,
    whole_windows as whole_windows,
    window_table as window_table,
    windows_file as windows_file,
)
