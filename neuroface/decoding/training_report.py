"""The report's section on decoding: how well held-out windows are decoded, by which model, and how certain this is."""

from collections.abc import Iterable
from pathlib import Path

from neuroface.bold import Labels
from neuroface.decoding.architectures import DEFAULT
from neuroface.decoding.comparison import comparison, comparison_cells, mark_of, title_of
from neuroface.decoding.fold_files import BEST, model_folder
from neuroface.decoding.split_choice import strictest_first
from neuroface.decoding.uncertainty import RUNS_OF_ONE
from neuroface.pipeline import Section

HELD_OUT = {
    "inner": "on windows that the model had not seen",
    "paper": "networks on the windows that chose their epoch, which makes their numbers too high, and models in closed form "
    "on windows that they had not seen",
}
KEPT_OUT = {
    "window": "windows (the paper)",
    "run": "whole runs",
    "subject": "people",
    "event": "moments of a film, for all viewers",
    "part": "parts of a film, with all their viewers",
    "movie": "films, with all their viewers",
}


def describe_training(
    folder: Path,
    results: dict,
    ladders: dict,
    choices: dict,
    impossible: dict,
    labels: Labels,
    *,
    networks: tuple[str, ...],
    selection: str,
    n_permutations: int,
    n_seeds: int,
    why_splits: str,
) -> Section:
    """The section.

    Parameters
    ----------
    results : as for :func:`comparison`. ladders : linear model → split → scores, also on relabelled
    events.
    choices : split → fold → the chosen model, and the losses of all; see
    :func:`neuroface.decoding.choose_model.choose`.
    impossible : split → why it is not possible.
    networks : MODELS. selection, n_permutations, n_seeds : SELECTION, N_PERMUTATIONS, N_SEEDS. why_splits : why the
    splits are these; "" if they were named.
    """
    headline_name, headline = next(iter(results.items()))
    shown_first = shown_models(results)
    splits = strictest_first(headline)
    section = Section("Decoding", lead(splits, labels, selection, why_splits))
    for name in [*shown_first, *(name for name in results if name not in shown_first)]:
        for split in splits:
            result, title = (
                results[name][split],
                f"{title_of(name)}, {split} folds{mark_of(name, selection)}",
            )
            accuracy, auc = (
                f"{result['all_folds']['accuracy']:.1%}",
                f"{result['all_folds']['auc']:.3f}",
            )
            interval = interval_text(result["intervals_95"], "accuracy", ".1%")
            print(f"  {title}: {accuracy} accuracy ({interval}), {AUC} {auc}")
            if name in shown_first:
                reference = ", for reference" if name in shown_first[1:] else ""
                section.numbers(
                    {f"accuracy, {title}{reference}": accuracy, "95 % interval": interval, AUC: auc}
                )
    first_screen(section, results, ladders, shown_first, splits[0], selection)
    for sentence in intervals_against_p(results, ladders, splits):
        section.text(sentence)
    if "windows_per_pass" in (cost := headline[splits[0]]["cost"]):
        print(
            f"  {title_of(headline_name)}: {cost['windows_per_pass']} windows went through the network at once"
        )
    rungs = [split for split in KEPT_OUT if split in ladders["linear"] or split in impossible]
    section.table(
        LADDER,
        [ladder_row(split, ladders["linear"].get(split), impossible.get(split)) for split in rungs],
        f"Leakage ladder: one linear model, increasingly strict splits. The labels of events were swapped "
        f"{n_permutations} times, in the same way for all viewers. An accuracy above 50 % with swapped labels is "
        f"leakage. {smallest_p_text(n_permutations)}",
    )
    for split in splits:
        intervals = [result[split]["intervals_95"] for result in results.values()]
        section.table(
            ["model", "accuracy", "MCC", "F1", "ROC AUC", "PR AUC", "balanced accuracy", "accuracy of single seeds",
             "parameters", "multiply-adds per window", "training, s", "memory, GB"],
            map(comparison_cells, comparison(best_first(results, split), split).to_dict("records")),
            f"Models on the same {split} folds, by their AUC. {intervals_caption(*intervals)} {POOLED} "
            f"{SEEDS[n_seeds > 1]} Seconds: all folds and seeds together, "
            "without the inner products of the windows; memory: added to the process by training a fold.",
        )  # fmt: skip
        section.figure(
            folder / split / "models.png", f"ROC and precision-recall of all models, {split} folds."
        )
        if split in choices:
            section.table(*choice_table(choices[split]), CHOSEN.format(split))
    names = [
        "n",
        "accuracy",
        "balanced_accuracy",
        "auc",
        "pr_auc",
        "f1",
        "mcc",
        "brier",
        "calibration_error",
    ]
    for name in shown_first:
        rows = [
            (split, which, *(f"{s[score]:.3f}" if score != "n" else s["n"] for score in names))
            for split in splits
            for which, s in [
                ("all together", results[name][split]["all_folds"]),
                *((f["fold"], f) for f in results[name][split]["folds"]),
            ]
        ]
        caption = (
            f"Scores of the model: {title_of(name)}{mark_of(name, selection)}. All together: the held-out windows of "
            "all folds in one set, as in the other tables."
        )
        section.table(["split", "fold", *names], rows, caption)
    for name in shown_first:
        for split in splits:
            section.figure(
                model_folder(folder, split, name) / "results.png",
                f"Held-out windows, {title_of(name)}, {split} folds. Left: ROC, all folds (thick) and each fold. Middle: "
                f"counts at a threshold of 0.5. Right: a calibrated model lies on the diagonal; the numbers are windows per "
                f"bin, the lines 95 % intervals, and a bin with few windows is unreliable.",
            )
    describe_histories(section, folder, results, splits, networks, selection)
    return section


def describe_histories(
    section: Section,
    folder: Path,
    results: dict,
    splits: list[str],
    networks: tuple[str, ...],
    selection: str,
) -> None:
    """Show the training curves of every network."""
    validation = {
        "inner": "an inner part of the training set",
        "paper": "the reported fold itself",
    }
    for name in networks:
        for split in splits:
            history = model_folder(folder, split, name) / "history.png"
            if history.exists():
                cost = results[name][split]["cost"]
                section.figure(
                    history,
                    f"Training of the {title_of(name)}, {split} folds: a thin line per fold, the mean thick. Validation is "
                    f"{validation[selection]}. Its loss was lowest after {cost['best_step']:,} of "
                    f"{cost['steps']:,} steps (median over folds). {cost['windows_per_pass']} windows went through the "
                    f"network at once.",
                )


def lead(splits: list[str], labels: Labels, selection: str, why_splits: str) -> str:
    """What was tested, what the splits at hand say, and why they are these."""
    sentences = [
        f"Does a held-out window show {labels.singular}? The same models were tested in each cross-validation, "
        f"{HELD_OUT[selection]}.",
        *(SAYS[split] for split in splits if split in SAYS),
    ]
    return " ".join([*sentences, f"{why_splits}."] if why_splits else sentences)


def shown_models(results: Iterable[str]) -> list[str]:
    """Models whose numbers are shown large: the one that counts, then the reference, which is the paper's network.

    Parameters
    ----------
    results : names of all models, the main network first.
    """
    names = list(results)
    counts = BEST if BEST in names else names[0]
    reference = DEFAULT if DEFAULT in names else names[0]
    return list(dict.fromkeys([counts, reference]))


def intervals_against_p(results: dict, ladders: dict, splits: list[str]) -> list[str]:
    """A sentence for each model whose interval excludes chance while its p does not, or the other way round.

    Parameters
    ----------
    results, ladders : as for :func:`describe_training`; only models with a p are looked at.
    """
    sentences = []
    for name in ladders:
        for split in splits:
            intervals, p = results[name][split]["intervals_95"], ladders[name][split]["p"]
            low, high = intervals["scores"].get("auc", (None, None))
            if p is None or low is None or (above := low > 0.5) == (p <= 0.05):
                continue
            units = intervals["over"]
            side = "lies above chance" if above else "includes chance"
            sentences.append(
                f"{title_of(name)}, {split} folds: the interval of the AUC, [{low:.3f}, {high:.3f}], {side}, and p is "
                f"{p:.4f}. They answer different questions. The interval is over {units}: how much would other {units} "
                f"differ? p swaps the labels of moments: could other moments give this score by chance? Only p tests "
                f"whether the label is decoded."
            )
    return sentences


SEEDS = {
    True: "Networks: the mean logit over N_SEEDS trainings per fold; the range is over these trainings alone.",
    False: "Networks were trained once per fold. Another seed gives another accuracy; N_SEEDS > 1 shows by how much.",
}
CHOSEN = (
    "The best model of each fold, {} folds: the simplest whose log loss on inner validation windows is within one standard "
    "error of the lowest. Held-out windows play no part in this choice. Loss of chance: 0.693"
)


SAYS = {
    "movie": "Movie folds give the accuracy for unseen people and unseen films.",
    "window": "Window folds are the paper's.",
}
AUC = "AUC of all held-out windows together"
POOLED = "AUCs are those of the held-out windows of all folds together, not means over folds."
LADDER = ["held out together", "balanced accuracy, ridge", "the same with swapped labels", "p"]


def interval_text(intervals: dict, score: str, form: str) -> str:
    """ "[0.8, 0.9] over 8 people", or why there is no interval."""
    if not intervals["scores"]:
        return intervals["why_none"]
    if score not in intervals["scores"]:
        return f"no interval: {intervals['over']} do not differ"
    low, high = intervals["scores"][score]
    return f"[{low:{form}}, {high:{form}}] over {intervals['n']} {intervals['over']}"


def intervals_caption(*of_models: dict) -> str:
    """Over what the intervals of a table are, and by what method."""
    with_scores = [of_model for of_model in of_models if of_model["scores"]]
    if not with_scores:
        return f"No 95 % intervals: {of_models[0]['why_none']}."
    intervals = with_scores[0]
    text = f"In brackets: 95 % t intervals over {intervals['n']} {intervals['over']}, from a delete-one jackknife"
    widened = max(of_model["widened"] for of_model in with_scores)
    if widened == 1:
        return f"{text}."
    units, few = intervals["over"], ""
    if units == RUNS_OF_ONE:
        units, few = (
            "runs",
            " MCC, F1 and PR AUC have none: with few windows of a class they would be too narrow.",
        )
    shares = [of_model.get("noise_share") for of_model in with_scores]
    known = [share for share in shares if share is not None]
    of_weights = ""
    if known:
        of_weights = (
            f" For ridge regression on all voxels or regions the factor follows from the share of noise in their weights "
            f"({min(known):.0%} to {max(known):.0%}), which the differences between fold models tell."
        )
    return (
        f"{text}; up to {widened:.2f} times as wide as for independent {units}, because the "
        f"models of the folds learnt from each other's {units} (Nadeau & Bengio 2003).{of_weights}{few}"
    )


def smallest_p_text(n_permutations: int) -> str:
    """The smallest p that so many relabellings allow."""
    if not n_permutations:
        return "Without relabellings there is no p."
    smallest = 1 / (n_permutations + 1)
    text = f"No p can be below {smallest:.2g}"
    return f"{text}: nothing can be significant." if smallest > 0.05 else f"{text}."


def choice_table(choices: dict[str, dict]) -> tuple[list[str], list[tuple]]:
    """Columns and rows: fold, chosen model, then the loss of each model."""
    models = list(dict.fromkeys(model for choice in choices.values() for model in choice["loss"]))
    rows = [
        (
            fold,
            title_of(choice["model"]),
            *(f"{choice['loss'][m]:.3f}" if m in choice["loss"] else "" for m in models),
        )
        for fold, choice in choices.items()
    ]
    return ["fold", "chosen", *(f"log loss, {title_of(model)}" for model in models)], rows


def best_first(results: dict[str, dict], split: str) -> dict[str, dict]:
    """The same results, the model with the highest AUC in a split first."""
    order = sorted(results, key=lambda name: -results[name][split]["all_folds"]["auc"])
    return {name: results[name] for name in order}


def first_screen(
    section: Section,
    results: dict,
    ladders: dict,
    shown_first: list[str],
    split: str,
    selection: str,
) -> None:
    """The result on the first screen of the report: the strictest split, its interval, and its null.

    Parameters
    ----------
    results, ladders : as for :func:`describe_training`. shown_first : the model that counts, and the reference.
    """
    model, ladder = shown_first[0], ladders["linear"][split]
    result = results[model][split]
    title = f"{title_of(model)}{mark_of(model, selection)}"
    numbers = {
        f"accuracy, {title}": f"{result['all_folds']['accuracy']:.1%}",
        "95 % interval": interval_text(result["intervals_95"], "accuracy", ".1%"),
        "AUC": f"{result['all_folds']['auc']:.3f}",
    }
    if ladder["null_mean"] is not None:
        ridge = title_of("linear")
        numbers |= {
            f"with swapped labels ({ridge})": f"{ladder['null_mean']:.1%}",
            f"p of {ridge}": p_text(ladder),
        }
    for reference in shown_first[1:]:
        accuracy = f"{results[reference][split]['all_folds']['accuracy']:.1%}"
        numbers[f"accuracy, {title_of(reference)}, for reference"] = accuracy
    section.first.numbers(numbers)
    section.first.text(
        f"Held out together: {KEPT_OUT[split]}. {SAYS.get(split, '')} This is the strictest split of this run; "
        f"chance is 50 %."
    )


def p_text(scores_of_split: dict) -> str:
    return "–" if scores_of_split["p"] is None else f"{scores_of_split['p']:.4f}"


def ladder_row(split: str, result: dict | None, why_not: str | None) -> tuple:
    if result is None:
        return KEPT_OUT[split], "not possible", why_not, ""
    null = "–" if result["null_mean"] is None else f"{result['null_mean']:.1%}"
    return KEPT_OUT[split], f"{result['balanced_accuracy']:.1%}", null, p_text(result)
