"""Arguments of the rooms' functions, from the settings of an experiment.

No function outside this room takes all settings, so that its signature says what it depends on.
"""

from pathlib import Path

from neuroface.bold import Design, LabelEvents, Run, denoising_of, find_runs, stretches_of_labels
from neuroface.decoding import DEFAULT, Training
from neuroface.face_study.settings import FaceSettings
from neuroface.maps import Explained, GroupTestSettings
from neuroface.timeline import LiveSettings


def runs_of(cfg: FaceSettings) -> tuple[list[Run], list[tuple[str, str]]]:
    """:func:`neuroface.bold.find_runs` with the settings of an experiment."""
    return runs_of_people(cfg, cfg.INCLUDE)


def runs_of_people(
    cfg: FaceSettings, include: tuple[str, ...]
) -> tuple[list[Run], list[tuple[str, str]]]:
    """:func:`runs_of` with other people than INCLUDE names; (): all."""
    return find_runs(
        cfg.DATASET,
        Path(cfg.DATASET_DIR),
        cfg.EXCLUDE,
        cfg.BIDS_FILTER,
        cfg.NNDB_VARIANT,
        tuple(dict.fromkeys(label_events(cfg).names)),
        films=cfg.FILM_DIR,
        event_column=cfg.EVENT_COLUMN,
        include=include,
        raw=cfg.RAW_DIR,
        film_event=cfg.FILM_EVENT,
    )


def label_events(cfg: FaceSettings) -> LabelEvents:
    """Events of the two conditions. An event longer than MIN_STRETCH_S gives a window alone."""
    return LabelEvents(
        cfg.LABELS, cfg.LABEL_EVENTS, cfg.EVENT_COLUMN, cfg.JOIN_GAP_S, cfg.MIN_STRETCH_S
    )


def design_of(runs: list[Run], cfg: FaceSettings) -> Design:
    """When the first condition is present in each run."""
    stretches = [stretches_of_labels(run, label_events(cfg))[0] for run in runs]
    return Design(cfg.LABELS[0], stretches, cfg.LAG_S)


def model_options(cfg: FaceSettings) -> dict[str, dict[str, object]]:
    """Architecture → its own sizes; those of the paper's network are settings of their own."""
    paper: dict[str, object] = {"filters": cfg.CNN_FILTERS, "dense_units": cfg.CNN_DENSE_UNITS}
    return cfg.MODEL_OPTIONS | {DEFAULT: paper}


def training_settings(cfg: FaceSettings) -> Training:
    """How networks are built and trained."""
    return Training(
        options=model_options(cfg),
        recipe=cfg.TRAINING,
        epochs=cfg.EPOCHS,
        steps=cfg.TRAINING_STEPS,
        batch_size=cfg.BATCH_SIZE,
        learning_rate=cfg.LEARNING_RATE,
        precision=cfg.PRECISION,
        n_jobs=cfg.N_JOBS,
        inference_batch=cfg.INFERENCE_BATCH,
    )


def explained(cfg: FaceSettings) -> Explained:
    """How windows were explained, as far as tests of maps depend on it."""
    return Explained(cfg.EXPLAIN, cfg.ATTRIBUTION_BASELINE, cfg.SMOOTHGRAD_DRAWS)


def group_test_settings(cfg: FaceSettings) -> GroupTestSettings:
    """How tests of group maps are computed."""
    return GroupTestSettings(
        n_flips=cfg.N_FLIPS,
        n_labellings=cfg.N_RELABELLINGS,
        seed=cfg.SEED,
        variance_fwhm_mm=cfg.VARIANCE_FWHM_MM,
        cluster_forming_p=cfg.CLUSTER_FORMING_P,
    )


def live_settings(cfg: FaceSettings) -> LiveSettings:
    """What predictions during a scan need to know."""
    return LiveSettings(
        window_trs=cfg.WINDOW_TRS,
        lag_s=cfg.LAG_S,
        prediction_at=cfg.PREDICTION_AT,
        standardize=cfg.STANDARDIZE,
        film_event=cfg.FILM_EVENT,
        baseline_trs=cfg.FOLLOW_BASELINE_TRS,
        denoising=denoising_of(cfg),
    )
