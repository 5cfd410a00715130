from .clock import (
    known as known,
    on_every_tr as on_every_tr,
    smoothed as smoothed,
    timeline as timeline,
)
from .files import (
    read_timeline as read_timeline,
    timeline_files as timeline_files,
    write_timeline as write_timeline,
)
from .follow import (
    LivePrediction as LivePrediction,
    LiveSettings as LiveSettings,
    film_begins_s as film_begins_s,
    follow_volumes as follow_volumes,
    live_line as live_line,
)
from .model_for_run import (
    RunModels as RunModels,
    choose_models as choose_models,
    live_text as live_text,
    run_of_folder as run_of_folder,
)
from .report import describe_timelines as describe_timelines, draw as draw
from .scores import curves_of as curves_of, score_run as score_run, summarize as summarize
from .sliding import (
    predictor_of_models as predictor_of_models,
    slide as slide,
    sliding_predictor as sliding_predictor,
)
from .viewer import (
    FilmTracks as FilmTracks,
    tracks_of_film as tracks_of_film,
    write_viewer as write_viewer,
)
