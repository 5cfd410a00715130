"""1. Which volume has which label?

Gives volumes of BOLD a label: from tables in which observers of a film named what they saw, or from
the events of every run. Observers' labels are used if enough observers agree. A volume gets the
label of the moment that was shown LAG_S earlier.

Reads     the data set in DATASET_DIR (headers of the BOLD, events.tsv), the tables in OBSERVER_DIR.
          DATASET = "demo" writes its data set first.
Writes    1-labels/samples.tsv, a row per labelled volume: subject, movie, run, label, onset_s, tr,
            moment, event, stimulus, clock. With observers also 1-labels/observers.tsv, a row per TR
            of the film: what each said, the label, how many gave it; agreement.json; moved.tsv, a
            row per run: labels that the published procedure puts elsewhere
Settings  SEED, EXCLUDE, INCLUDE, TR_S, LAG_S, LABEL_SOURCE, OBSERVER_COLUMN, MIN_AGREEMENT,
          SEGMENTS, FILM_CLOCK, FILM_EVENT, EVENT_LABELS, EVENT_COLUMN, JOIN_GAP_S, BIDS_FILTER,
          DENOISE, HIGH_PASS_HZ, SMOOTHING_MM
Takes     seconds; memory: next to none
``--check``: says what the data set holds and what would stop scripts 1 to 3; writes nothing
"""

from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold import (
    Run,
    check_distinct,
    check_shared_space,
    check_tr,
    cleaning_of,
    denoising_of,
    find_runs,
    joined_trials,
    open_header,
)  # fmt: skip
from neuroface.pipeline import Checklist, Section, Stage, run_script, write_json, write_table
from volume_study.check import check_study
from volume_study.demo import write_demo
from volume_study.extras import require
from volume_study.film_clock import segment_of, shown_volumes
from volume_study.labelling import (
    event_labels,
    event_volumes,
    film_volumes,
    moved_labels,
    name_events,
    name_own_stimuli,
    shown_once,
)
from volume_study.observers import (
    agreement,
    alpha_text,
    consensus,
    labels_per_tr,
    read_observers,
)
from volume_study.study import STUDY
from volume_study.volumes import are_of_run

import pandas as pd

OF_OBSERVERS = ("OBSERVER_COLUMN", "MIN_AGREEMENT", "SEGMENTS", "FILM_CLOCK", "FILM_EVENT")
OF_EVENTS = ("EVENT_LABELS", "EVENT_COLUMN", "JOIN_GAP_S")


def main():
    cfg = STUDY.load_settings(__file__)
    by_observers = cfg.LABEL_SOURCE == "observers"
    if by_observers:
        require("krippendorff")
    stage = Stage(STUDY, 1, cfg, __doc__, unused=OF_EVENTS if by_observers else OF_OBSERVERS)
    if cfg.DATASET == "demo" and cfg.ROI_FILE is not None:
        if write_demo(Path(cfg.DATASET_DIR), cfg.ROI_FILE, cfg.SEGMENTS, cfg.SEED):
            print(f"  wrote the demo data set to {cfg.DATASET_DIR}")
    runs, missing = runs_of(cfg)
    for item, why in missing:
        stage.leave_out(item, why)
    check_distinct(runs)
    check_shared_space(runs, cfg.SPACE)
    lengths = {run: volumes_of(run, cfg) for run in runs}

    label = label_by_observers if by_observers else label_by_events
    samples, section = label(stage, lengths, cfg)
    samples = without_scrubbed(stage, samples, lengths, cfg)
    if samples.empty:
        raise NeuroFaceError(
            "No volume carries a label. Check SEGMENTS or EVENT_LABELS, LAG_S and MIN_AGREEMENT."
        )
    for name in sorted(
        {run.name for run in runs} - set(samples["subject"] + "_" + run_names(samples, runs))
    ):
        stage.leave_out(name, "none of its volumes carries a label")
    write_table(stage.folder / "samples.tsv", samples)
    describe_labels(section, samples)
    stage.finish(f"labels of {len(samples):,} volumes", section)


def check():
    """``--check``: say what the data set holds, and what would stop scripts 1 to 3. Writes nothing."""
    cfg = STUDY.load_settings(__file__)
    if cfg.DATASET == "demo" and not Path(cfg.DATASET_DIR).exists():
        print("  The demo data set is written by this script; there is nothing to check yet.")
        return
    by_observers = cfg.LABEL_SOURCE == "observers"
    if by_observers:
        require("krippendorff")
    check_study(
        Checklist(STUDY, cfg),
        cfg,
        runs_of,
        volumes_of,
        label_by_observers if by_observers else label_by_events,
    )


def runs_of(cfg) -> tuple[list[Run], list[tuple[str, str]]]:
    """All runs of the data set, and (what, why) of what is left out."""
    by_observers = cfg.LABEL_SOURCE == "observers"
    return find_runs(
        "bids", Path(cfg.DATASET_DIR), cfg.EXCLUDE, cfg.BIDS_FILTER, annotated=not by_observers,
        film_event=cfg.FILM_EVENT if by_observers else None, include=cfg.INCLUDE, raw=cfg.RAW_DIR,
    )  # fmt: skip


def volumes_of(run: Run, cfg) -> int:
    """Number of a run's volumes; raise if its TR is not that of the settings."""
    image, shape = open_header(run.bold)
    if remark := check_tr(run, image, shape[3], cfg.TR_S):
        print(f"  {run.name}: {remark}")
    return shape[3]


def without_scrubbed(
    stage: Stage, samples: pd.DataFrame, lengths: dict[Run, int], cfg
) -> pd.DataFrame:
    """The samples without volumes that DENOISE scrubs, which are counted."""
    scrubbed = pd.Series(False, index=samples.index)
    for run, n_volumes in lengths.items():
        cleaning = cleaning_of(run, n_volumes, denoising_of(cfg))
        of_run = are_of_run(samples, run)
        scrubbed[of_run] = ~cleaning.kept[samples.loc[of_run, "tr"].to_numpy(int)]
        if n := int(scrubbed[of_run].sum()):
            stage.leave_out(run.name, f"{n} labelled volumes of {cleaning.lost}")
    return samples[~scrubbed].reset_index(drop=True)


def run_names(samples: pd.DataFrame, runs: list[Run]) -> pd.Series:
    """For each sample, the name of its run without the person."""
    names = {
        (run.subject, run.movie, run.run): run.name.removeprefix(f"{run.subject}_") for run in runs
    }
    return pd.Series(
        [names[key] for key in zip(samples["subject"], samples["movie"], samples["run"])], dtype=str
    )


def label_by_observers(stage: Stage, lengths: dict[Run, int], cfg) -> tuple[pd.DataFrame, Section]:
    """Labelled volumes of all runs, and the part of the report on the observers."""
    logs = [run.film.log for run in lengths if run.film and run.film.log]
    stage.take_files([*sorted(Path(cfg.OBSERVER_DIR).glob("*.csv")), *logs], ())
    film_s = max(end for _, end in cfg.SEGMENTS)
    observers = read_observers(cfg.OBSERVER_DIR, cfg.OBSERVER_COLUMN, film_s, cfg.MIN_AGREEMENT)
    ratings = labels_per_tr(observers, cfg.TR_S)
    votes = consensus(ratings, cfg.MIN_AGREEMENT)
    write_table(
        stage.folder / "observers.tsv",
        pd.concat([ratings, votes], axis=1).rename_axis("film_tr").reset_index(),
    )
    index = {run: segment_of(run, n, cfg.SEGMENTS, cfg.TR_S) for run, n in lengths.items()}
    shown = {}  # part of the film → volumes that show it
    for run, n in lengths.items():
        whole = round((cfg.SEGMENTS[index[run]][1] - cfg.SEGMENTS[index[run]][0]) / cfg.TR_S)
        n = shown[index[run]] = min(shown_volumes(run, n, cfg), whole + 1)
        if n < whole - 1:
            stage.leave_out(
                run.name, f"its last {whole - n} volumes are missing: it has {n} of {whole}"
            )
    samples = pd.concat(
        [film_volumes(run, lengths[run], index[run], votes, cfg) for run in lengths]
    )
    samples, again = shown_once(samples)
    if again:
        stage.leave_out(f"{again} volumes", "two runs showed their moment; the earlier run counts")

    alpha, moved = agreement(ratings), moved_labels(shown, votes, cfg)
    kept, n_moved = votes["label"].notna(), moved[["other", "none"]].to_numpy().sum()
    write_json(
        stage.folder / "agreement.json",
        {"observers": len(observers), "trs": len(votes), "labelled_trs": int(kept.sum()), "krippendorff_alpha": alpha,
         "moved": int(n_moved), "labelled_volumes_published": int(moved["labelled"].sum())},
    )  # fmt: skip
    write_table(stage.folder / "moved.tsv", moved)
    print(
        f"  {kept.sum():,} of {len(votes):,} TRs: {cfg.MIN_AGREEMENT} or more of {len(observers)} observers agree"
    )
    print(
        f"  Krippendorff's alpha {alpha_text(alpha['named'])}; {n_moved:,} of {moved['labelled'].sum():,} labels move"
    )

    section = Section(
        "Labels",
        f"{len(observers)} observers named what a film portrays. A TR keeps a label that {cfg.MIN_AGREEMENT} or more gave.",
    )
    section.numbers(
        {
            "TRs with a label": f"{kept.sum():,} of {len(votes):,}",
            "Krippendorff's α, labels": alpha_text(alpha["named"]),
            "Krippendorff's α, with “none”": alpha_text(alpha["with_none"]),
            "labels that move": f"{n_moved / moved['labelled'].sum():.0%}",
        }
    )
    counts = (
        votes[kept]
        .groupby("label")["n_observers"]
        .agg(["size", "mean"])
        .sort_values("size", ascending=False)
    )
    rows = [(label, int(row["size"]), f"{row['mean']:.1f}") for label, row in counts.iterrows()]
    section.table(
        ["label", "TRs of the film", "observers who gave it, mean"], rows, "Labels of the film"
    )
    section.table(
        ["run", "clock late by, s", "labelled volumes", "same label", "another label", "no label", "changed by clock alone"],
        [(r.run, f"{r.drift_s:g}", r.labelled, r.same, r.other, r.none, r.clock_alone) for r in moved.itertuples()],
        "The published procedure (lengths of runs added up, no delay) against the film clock with a delay of "
        f"{cfg.LAG_S:g} s: what becomes of the volumes that the published procedure labels.",
    )  # fmt: skip
    return samples, section


def label_by_events(stage: Stage, lengths: dict[Run, int], cfg) -> tuple[pd.DataFrame, Section]:
    """Labelled volumes of all runs, and the beginning of the section."""
    files = [run.annotation_of("") for run in lengths]
    stage.take_files(dict.fromkeys(files), ())
    labels = event_labels(files, cfg)
    parts = []
    for run, n in lengths.items():
        table, ambiguous = event_volumes(run, n, labels, cfg)
        if ambiguous:
            stage.leave_out(run.name, f"{ambiguous} volumes that carry several labels at once")
        parts.append(table)
    samples = name_own_stimuli(name_events(pd.concat(parts, ignore_index=True)))
    trial_types = [name for types in labels.values() for name in types]
    joined = joined_trials(list(lengths), trial_types, cfg.EVENT_COLUMN, cfg.JOIN_GAP_S)
    if joined:
        print(f"  {joined}")
    lead = f"Volumes carry the label of the event that was on {cfg.LAG_S:g} s before. {joined}"
    section = Section("Labels", lead.strip())
    rows = [(label, ", ".join(types)) for label, types in labels.items()]
    section.table(["label", "trial types"], rows, f"Labels, from column {cfg.EVENT_COLUMN}")
    return samples, section


def describe_labels(section: Section, samples: pd.DataFrame) -> None:
    """Add the counts of labelled volumes to the section."""
    section.numbers(
        {
            "people": f"{samples['subject'].nunique()}",
            "labels": f"{samples['label'].nunique()}",
            "labelled volumes": f"{len(samples):,}",
            "blocks or episodes": f"{samples['event'].nunique():,}",
        }
    )
    for label, volumes in samples.groupby("label"):
        print(
            f"  {label}: {len(volumes):,} volumes, {volumes['moment'].nunique():,} moments, "
            f"{volumes['event'].nunique()} blocks"
        )
    counts = samples.pivot_table(
        index="stimulus", columns="label", values="moment", aggfunc="nunique", fill_value=0
    )
    if len(counts) <= 30:
        rows = [(name, *row) for name, row in zip(counts.index, counts.to_numpy())]
        section.table(["part of the stimulus", *counts.columns], rows, "Moments with a label")


if __name__ == "__main__":
    run_script(main, check=check)
