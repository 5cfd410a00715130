"""The report's section on decoding: figures, the comparison of models, the ladder of splits."""

from pathlib import Path

from neuroface.decoding import CALIBRATION_BINS, model_folder
from neuroface.pipeline import Section, read_table, save_figure, write_table
from volume_study.names import BASELINES, MODELS, SPLITS
from volume_study.results import COMPARED, columns_of

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from sklearn.calibration import CalibrationDisplay
from sklearn.metrics import ConfusionMatrixDisplay, PrecisionRecallDisplay, RocCurveDisplay

COLOURS = ("#2b5f8a", "#c8643c", "#3f8f5f", "#8a5fa8", "#8f7a2b", "#5c6672", "#b0507a", "#4aa3a3")
SCORES = (
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "mcc",
    "roc_auc",
    "pr_auc",
    "log_loss",
    "calibration_error",
)
MARK = {"inner": "", "published": " (epoch chosen on the reported volumes, as published)"}


def colour_of(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def plot_results(folder: Path, networks: dict[str, dict[str, dict]], labels: list[str]) -> None:
    """``results.png`` and ``history.png`` of every network and split."""
    for model, by_split in networks.items():
        for split, result in by_split.items():
            where = model_folder(folder, split, model)
            table = read_table(where / "predictions.tsv")
            y, probability = (
                table["label"].map(labels.index).to_numpy(),
                table[columns_of(labels)].to_numpy(),
            )
            title = f"{MODELS[model]}, {split} folds{MARK[result['selection']]}"
            plot_predictions(y, probability, labels, title, where / "results.png")
            plot_history(read_table(where / "history.tsv"), 1 / len(labels), where / "history.png")


def plot_predictions(
    y: np.ndarray, probability: np.ndarray, labels: list[str], title: str, target: Path
) -> None:
    """ROC and precision-recall per label, confusion matrix, reliability of the answer; (n,) and (n, n_classes)."""
    figure, axes = plt.subplots(2, 2, figsize=(10, 8.4), layout="constrained")
    (roc, recall), (confusion, calibration) = axes
    for number, label in enumerate(labels):
        arguments = {"name": label, "curve_kwargs": {"color": colour_of(number), "lw": 1.6}}
        RocCurveDisplay.from_predictions(y == number, probability[:, number], ax=roc, **arguments)
        PrecisionRecallDisplay.from_predictions(
            y == number, probability[:, number], ax=recall, **arguments
        )
    grey = {"color": "#999999", "linestyle": ":", "linewidth": 1}
    roc.plot([0, 1], [0, 1], **grey)
    recall.axhline(1 / len(labels), **grey)
    roc.set(
        xlabel="false positive rate",
        ylabel="true positive rate",
        title="ROC, each label against the rest",
    )
    recall.set(xlabel="recall", ylabel="precision", title="precision-recall; dotted: chance")
    for axis in (roc, recall):
        axis.legend(fontsize=8, frameon=False)
    predicted = probability.argmax(axis=1)
    ConfusionMatrixDisplay.from_predictions(
        y, predicted, display_labels=labels, normalize="true", values_format=".2f", cmap="Blues", colorbar=False,
        ax=confusion, xticks_rotation=30, im_kw={"vmin": 0, "vmax": 1},
    )  # fmt: skip
    confusion.set(
        xlabel="predicted",
        ylabel="true",
        title=f"accuracy {(predicted == y).mean():.1%}, chance {1 / len(labels):.0%}",
    )
    CalibrationDisplay.from_predictions(
        predicted == y,
        probability.max(axis=1),
        n_bins=CALIBRATION_BINS,
        ax=calibration,
        color=COLOURS[0],
    )
    calibration.axvline(1 / len(labels), **grey)
    calibration.set(
        xlabel="probability of the answer",
        ylabel="share of correct answers",
        title="reliability; dotted: chance",
    )
    calibration.get_legend().remove()
    figure.suptitle(title, fontsize=13)
    save_figure(figure, target, dpi=110)


def plot_history(history: pd.DataFrame, chance: float, target: Path) -> None:
    """Accuracy and loss over epochs, a thin line per fold and the mean over the folds that were still training."""
    figure, (accuracy, loss) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    lines = {
        accuracy: (("accuracy", COLOURS[0], "training"), ("val_accuracy", COLOURS[1], "validation"),
                   ("test_accuracy", COLOURS[2], "held out (not used)")),
        loss: (("loss", COLOURS[0], "training"), ("val_loss", COLOURS[1], "validation")),
    }  # fmt: skip
    for axis, columns in lines.items():
        for column, colour, label in columns:
            for _, fold in history.groupby("fold"):
                axis.plot(fold["epoch"], fold[column], color=colour, alpha=0.3, linewidth=0.8)
            mean = history.groupby("epoch")[column].mean()
            axis.plot(mean.index, mean, color=colour, label=label)
        axis.set(xlabel="epoch", ylabel="accuracy" if axis is accuracy else "loss")
        axis.legend(frameon=False)
    accuracy.axhline(chance, color="#999999", linestyle=":", linewidth=1)
    save_figure(figure, target)


def comparison(split: str, networks: dict, linear: dict) -> pd.DataFrame:
    """Every model on the folds of one split, a row each: scores, crossed intervals, p, parameters, operations, seconds."""
    rows = []
    for model, by_split in networks.items():
        result = by_split[split]
        rows.append(_row(MODELS[model], result["all_folds"], result, result["cost"]))
    for name, content in linear.items():
        result = content["splits"][split]
        cost = {
            "parameters": content["parameters"],
            "multiply_adds": content["parameters"],
            "seconds": content["seconds"],
        }
        rows.append(_row(BASELINES[name], result, result, cost))
    return pd.DataFrame(rows)


def _row(model: str, scores: dict, result: dict, cost: dict) -> dict:
    row = {"model": model}
    for name in SCORES:
        low, high = result["intervals_95"].get(name, (np.nan, np.nan))
        row |= {name: scores.get(name, np.nan), f"{name}_low": low, f"{name}_high": high}
    row = {
        key: value
        for key, value in row.items()
        if not (key.endswith(("_low", "_high")) and pd.isna(value))
    }
    row["p"] = result.get("fold_test", {}).get("p", np.nan)
    if "null" in result:
        row |= {
            "null_mean": result["null"]["mean"],
            "null_p": result["null"]["p"],
            "null_n": result["null"]["n"],
        }
    return row | {
        "parameters": cost["parameters"],
        "multiply_adds": cost["multiply_adds"],
        "seconds": cost["seconds"],
    }


def write_comparison(folder: Path, split: str, networks: dict, linear: dict) -> None:
    """``models.tsv`` of a split."""
    write_table(folder / split / "models.tsv", comparison(split, networks, linear))


def describe_decoding(
    folder: Path,
    networks: dict,
    linear: dict,
    leaks: dict,
    impossible: dict,
    labels: list[str],
    cfg,
) -> Section:
    """The section; arguments as in ``metrics.json``."""
    headline, by_split = next(iter(networks.items()))
    chance, mark, ridge = 1 / len(labels), MARK[cfg.SELECTION], linear["ridge"]["splits"]
    section = Section(
        "Decoding",
        f"Which of {len(labels)} labels does a held-out volume carry? Balanced accuracy is the mean share of recognised "
        f"volumes over labels; chance is {chance:.1%}. Intervals are for new people and new episodes.",
    )
    for split in sorted(by_split, key=lambda name: bool(leaks[name])):  # splits that leak come last
        _cards(section, MODELS[headline], split, by_split[split], leaks[split], chance, mark)
    first_screen(section, networks, linear, leaks, chance, mark)
    for model, results in networks.items():
        for split, result in results.items():
            leak = " (leaks)" if leaks[split] else ""
            accuracy = _percent(result, "balanced_accuracy")
            print(
                f"  {MODELS[model]}, {split} folds{leak}: {accuracy} balanced accuracy, chance {chance:.1%}{mark}"
            )
    section.table(
        [
            "held out together",
            "ridge",
            "with exchanged labels",
            "bias of the split",
            "p",
            "held-out volumes",
        ],
        [
            _ladder_row(split, ridge.get(split), leaks.get(split, ""), impossible.get(split))
            for split in SPLITS
        ],
        f"Ladder of splits with one linear model (balanced accuracy). {cfg.N_PERMUTATIONS} times, blocks exchanged "
        "their labels, in the same way for all viewers; mean and 95 % of those accuracies. If they are above chance, the "
        "split leaks labels. A small bias can remain where neighbouring episodes share labels and the film changes slowly.",
    )
    for split in by_split:
        _tables(section, folder, split, networks, linear, headline, mark)
    for split in by_split:
        where = model_folder(folder, split, headline)
        section.figure(
            where / "results.png",
            f"{MODELS[headline]}, {split} folds, held-out volumes of all folds. Confusion: share of a row. A "
            "calibrated model lies on the diagonal of the last panel.",
        )
        section.figure(
            where / "history.png",
            f"Training, {split} folds: a thin line per fold, the mean thick. Held-out accuracy is shown and decides "
            "nothing.",
        )
    return section


def first_screen(
    section: Section, networks: dict, linear: dict, leaks: dict, chance: float, mark: str
) -> None:
    """The result on the first screen of the report: the best model in a split that does not leak, and the network."""
    headline, by_split = next(iter(networks.items()))
    split = min(by_split, key=lambda name: bool(leaks[name]))
    accuracies = {
        f"{MODELS[name]}{mark}": _percent(of[split], "balanced_accuracy")
        for name, of in networks.items()
    }
    values = {
        f"{MODELS[name]}{mark}": of[split]["all_folds"]["balanced_accuracy"]
        for name, of in networks.items()
    }
    for name, content in linear.items():
        result = content["splits"][split]
        accuracies[BASELINES[name]] = _percent(result | {"all_folds": result}, "balanced_accuracy")
        values[BASELINES[name]] = result["balanced_accuracy"]
    winner = max(values, key=lambda name: values[name])
    reference = f"{MODELS[headline]}{mark}"
    ridge = linear["ridge"]["splits"][split]
    numbers = {
        f"balanced accuracy [95 %], {winner}": accuracies[winner],
        "chance": f"{chance:.1%}",
        "ridge, with exchanged labels": f"{ridge['null_mean']:.1%}",
        "p of ridge": f"{ridge['p']:.4f}",
    }
    if winner != reference:
        numbers[f"{reference}, for reference"] = accuracies[reference]
    section.first.text(
        f"Held out: {split} folds."
        + (f" This split leaks labels: {leaks[split]}." if leaks[split] else "")
    )
    section.first.numbers(numbers)


def _cards(
    section: Section, model: str, split: str, result: dict, leak: str, chance: float, mark: str
) -> None:
    """The main numbers of a split."""
    card = f"{model}, {split} folds" + (": too high, " + leak if leak else "") + mark
    numbers = {card: _percent(result, "balanced_accuracy"), "chance": f"{chance:.1%}"}
    if test := result.get("fold_test"):
        numbers["p, held-out episodes exchange labels"] = p_text(test)
    numbers |= {
        "macro F1": f"{result['all_folds']['macro_f1']:.3f}",
        "MCC": f"{result['all_folds']['mcc']:.3f}",
    }
    section.numbers(numbers)


def p_text(test: dict) -> str:
    """A p as text; none where the permutations allow no p of 0.05."""
    if test["smallest_p"] > 0.05:
        return f"none: the smallest possible p is {test['smallest_p']:.3f}"
    floor = " (the smallest possible)" if test["p"] <= test["smallest_p"] else ""
    return f"{test['p']:.4f}{floor}"


def _percent(result: dict, score: str) -> str:
    low, high = result["intervals_95"].get(score, (np.nan, np.nan))
    interval = f" [{low:.1%}, {high:.1%}]" if np.isfinite(low) else ""
    return f"{result['all_folds'][score]:.1%}{interval}"


def _tables(
    section: Section,
    folder: Path,
    split: str,
    networks: dict,
    linear: dict,
    headline: str,
    mark: str,
) -> None:
    """Models of a split, their differences, and each label against the rest."""
    section.table(
        ["model", *(name.replace("_", " ") for name in SCORES), "p", "when trained on exchanged labels", "parameters",
         "multiply-adds per volume", "training, s"],
        map(_cells, comparison(split, networks, linear).to_dict("records")),
        f"Models that learned from the same volumes, {split} folds{mark}; intervals of 95 % over people and episodes. "
        "AUCs are means over labels, each against the rest. p: held-out episodes exchange their labels within a fold, "
        "smallest p of the folds × number of folds; no p if held-out volumes are not new to the models.",
    )  # fmt: skip
    differences = read_table(folder / split / "differences.tsv")
    rows = []
    for pair, scores in differences.groupby(["model", "other"], sort=False):
        of_score = scores.set_index("score")
        cells = [of_score.loc[name, ["difference", "low", "high"]] for name in COMPARED]
        rows.append(
            (*pair, *(f"{value:+.3f} [{low:+.3f}, {high:+.3f}]" for value, low, high in cells))
        )
    if rows:
        section.table(
            ["model", "less", *(name.replace("_", " ") for name in COMPARED)], rows,
            f"Differences between models on the same volumes, {split} folds; 95 % over people and episodes, not corrected "
            "for the number of pairs",
        )  # fmt: skip
    rows = [
        (label, s["n"], f"{s['recall']:.2f}", "–" if s["precision"] is None else f"{s['precision']:.2f}",
         _with_interval(s["roc_auc"], s["intervals_95"].get("roc_auc")),
         _with_interval(s["pr_auc"], s["intervals_95"].get("pr_auc")))
        for label, s in networks[headline][split]["by_label"].items()
    ]  # fmt: skip
    section.table(
        ["label", "volumes", "recall", "precision", "ROC AUC", "PR AUC"], rows,
        f"{MODELS[headline]}, {split} folds: each label against the rest",
    )  # fmt: skip


def _ladder_row(split: str, result: dict | None, leak: str, why_not: str | None) -> tuple:
    if result is None:
        return SPLITS[split], "not possible", "", "", "", why_not
    low, high = result["null_interval"]
    null = f"{result['null_mean']:.1%} [{low:.1%}, {high:.1%}]"
    news = f"not new: {leak}" if leak else "not in training, nor are their neighbours"
    accuracy, bias, p = (
        f"{result['balanced_accuracy']:.1%}",
        f"{result['bias']:+.1%}",
        f"{result['p']:.4f}",
    )
    return SPLITS[split], accuracy, null, bias, p, news


def _cells(row: dict) -> tuple:
    scores = []
    for name in SCORES:
        interval = (row.get(f"{name}_low"), row.get(f"{name}_high"))
        there = interval[0] is not None and np.isfinite(interval[0])
        scores.append(
            "–" if pd.isna(row[name]) else _with_interval(row[name], interval if there else None)
        )
    null = "not trained"
    if pd.notna(row.get("null_n")):
        null = f"{row['null_mean']:.3f}, p {row['null_p']:.3f} of {row['null_n']:.0f}"
    p = "–" if pd.isna(row["p"]) else f"{row['p']:.4f}"
    return (
        row["model"],
        *scores,
        p,
        null,
        f"{row['parameters']:,}",
        f"{row['multiply_adds']:,}",
        f"{row['seconds']:.0f}",
    )


def _with_interval(value: float, interval: tuple | None) -> str:
    return f"{value:.3f}" + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")
