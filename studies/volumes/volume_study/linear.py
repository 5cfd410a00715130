"""Multinomial ridge and logistic classifiers from one n × n kernel of volumes; the ladder of splits and its null."""

from neuroface.decoding import Fold, balanced_accuracies, p_value

import numpy as np
from scipy import linalg
from sklearn.linear_model import LogisticRegression

PENALTIES = (1e-2, 1e-1, 1.0, 1e1, 1e2)  # multiples of the mean variance of a training volume
STRENGTHS = (1e-3, 1e-1, 1e1)  # C of logistic regression, in the same unit


def ridge_predictions(
    kernel: np.ndarray, labels: np.ndarray, folds: list[Fold], n_classes: int
) -> np.ndarray:
    """Held-out answers of ridge classifiers, one against the rest, with the largest decision value.

    They learn from the volumes that the networks learn from. In each fold the penalty with the best
    balanced accuracy on the inner validation set is taken, anew for every labelling.

    Parameters
    ----------
    kernel : (n, n) inner products of volumes. labels : (n, n_labellings) of class numbers.

    Returns
    -------
    (n, n_labellings) int8; −1 in rows that no fold holds out.
    """
    predicted = np.full(labels.shape, -1, dtype=np.int8)
    for fold in folds:
        model = _Ridge(kernel, labels, fold.train, n_classes)
        best = _accuracies(model, labels, fold.validation, n_classes).argmax(axis=0)
        for number in np.unique(best):
            columns = np.flatnonzero(best == number)
            predicted[np.ix_(fold.test, columns)] = model.decide(
                PENALTIES[number], fold.test, columns
            ).argmax(axis=1)
    return predicted


def ridge_values(
    kernel: np.ndarray, y: np.ndarray, folds: list[Fold], n_classes: int
) -> np.ndarray:
    """Held-out decision values (n, n_classes) of the classifier of :func:`ridge_predictions` for one labelling y (n,).

    Those of a fold are divided by their SD on its validation set, so that folds can be ranked
    together.
    """
    values = np.full((len(y), n_classes), np.nan)
    for fold in folds:
        values[fold.test], _ = ridge_of_fold(kernel, y, fold, n_classes)
    return values


def ridge_of_fold(
    kernel: np.ndarray, y: np.ndarray, fold: Fold, n_classes: int
) -> tuple[np.ndarray, float]:
    """Decision values (n_test, n_classes) of the best penalty, and its balanced accuracy on the validation set."""
    model = _Ridge(kernel, y[:, None], fold.train, n_classes)
    accuracies = _accuracies(model, y[:, None], fold.validation, n_classes)[:, 0]
    penalty = PENALTIES[int(np.argmax(accuracies))]
    spread = model.decide(penalty, fold.validation).std()
    values = model.decide(penalty, fold.test)[..., 0] / max(spread, 1e-300)
    return values, float(accuracies.max())


def _accuracies(
    model: "_Ridge", labels: np.ndarray, rows: np.ndarray, n_classes: int
) -> np.ndarray:
    """Balanced accuracy of each penalty on some volumes, for each labelling: (n_penalties, n_labellings)."""
    return np.array(
        [
            balanced_accuracies(labels[rows], model.decide(penalty, rows).argmax(axis=1), n_classes)
            for penalty in PENALTIES
        ]
    )


class _Ridge:
    """Ridge classifiers of many labellings, one eigendecomposition for all of them and for all penalties.

    The target of a class is 1 / n in its own n volumes and −1 / (the rest) in the others, so that
    classes of different size compete on one scale.
    """

    def __init__(self, kernel: np.ndarray, labels: np.ndarray, train: np.ndarray, n_classes: int):
        self.kernel, self.train, self.n_classes = kernel, train, n_classes
        inside, _ = centred(kernel, train, train[:1])
        eigenvalues, self.vectors = linalg.eigh(inside)
        self.eigenvalues = np.maximum(eigenvalues, 0)
        own = (
            labels[train][:, None] == np.arange(n_classes)[:, None]
        )  # (n_train, n_classes, n_labellings)
        n_own = own.sum(axis=0)
        target = np.where(own, 1 / np.maximum(n_own, 1), -1 / np.maximum(len(train) - n_own, 1))
        self.projected = (self.vectors.T @ target.reshape(len(train), -1)).reshape(target.shape)

    def decide(
        self, penalty: float, rows: np.ndarray, labellings: np.ndarray | slice = slice(None)
    ) -> np.ndarray:
        """Decision values (n_rows, n_classes, n_labellings) of some volumes."""
        across = centred(self.kernel, self.train, rows)[1] @ self.vectors
        weights = across / (self.eigenvalues + penalty * self.eigenvalues.mean())
        projected = self.projected[..., labellings]
        return (weights @ projected.reshape(len(self.train), -1)).reshape(
            len(rows), self.n_classes, -1
        )


def centred(
    kernel: np.ndarray, train: np.ndarray, test: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Kernels (n_train, n_train) and (n_test, n_train) of volumes less the mean training volume."""
    inside, across = kernel[np.ix_(train, train)], kernel[np.ix_(test, train)]
    column_mean = inside.mean(axis=0)
    across = across - column_mean - across.mean(axis=1, keepdims=True) + column_mean.mean()
    inside = inside - column_mean - column_mean[:, None] + column_mean.mean()
    return inside, across


def logistic_probabilities(
    kernel: np.ndarray, y: np.ndarray, folds: list[Fold], n_classes: int
) -> np.ndarray:
    """Held-out probabilities (n, n_classes) of multinomial logistic regression with an L2 penalty, from the kernel.

    On the n_train coordinates of volumes in the space that training volumes span, the penalised fit
    is that on all voxels. It learns from the volumes that the networks learn from; the strength is
    chosen on the inner validation set.
    """
    probability = np.full((len(y), n_classes), np.nan)
    for fold in folds:
        rows = np.concatenate([fold.validation, fold.test])
        tried = [
            _fit_logistic(kernel, y, fold.train, rows, n_classes, strength)
            for strength in STRENGTHS
        ]
        n_inner, truth = len(fold.validation), y[fold.validation][:, None]
        scores = [
            balanced_accuracies(truth, p[:n_inner].argmax(axis=1)[:, None], n_classes)[0]
            for p in tried
        ]
        probability[fold.test] = tried[int(np.argmax(scores))][n_inner:]
    return probability


def _fit_logistic(kernel, y, train, test, n_classes: int, strength: float) -> np.ndarray:
    inside, across = centred(kernel, train, test)
    eigenvalues, vectors = linalg.eigh(inside)
    there = eigenvalues > 1e-9 * eigenvalues.max()
    scale = np.sqrt(eigenvalues[there].sum() / len(train))  # so that a volume has length 1
    axes = vectors[:, there] / np.sqrt(eigenvalues[there])
    model = LogisticRegression(C=strength * len(train), max_iter=200, class_weight="balanced")
    model.fit(inside @ axes / scale, y[train])
    probability = np.zeros((len(test), n_classes))
    probability[:, model.classes_] = model.predict_proba(across @ axes / scale)
    return probability


def ladder(
    kernel: np.ndarray,
    y: np.ndarray,
    permuted: np.ndarray,
    folds: dict[str, list[Fold]],
    n_classes: int,
) -> dict[str, dict]:
    """Per split: balanced accuracy of the ridge classifier, and of the same cross-validation on relabelled blocks.

    Parameters
    ----------
    permuted : (n, n_permutations), from :func:`volume_study.splits.permuted_labels`.

    Returns
    -------
    split → accuracy, balanced_accuracy, null_mean, null_interval (2.5 % and 97.5 %),
    n_permutations, p, and bias: how far the null's mean lies above chance, which is what the split
    itself reveals.
    """
    labels, result = np.column_stack([y, permuted]), {}
    for split, of_split in folds.items():
        predicted = ridge_predictions(kernel, labels, of_split, n_classes)
        scores = balanced_accuracies(labels, predicted, n_classes)
        null = scores[1:]
        result[split] = {
            "accuracy": float((predicted[:, 0] == y).mean()),
            "balanced_accuracy": float(scores[0]),
            "null_mean": float(null.mean()),
            "null_interval": [float(q) for q in np.quantile(null, (0.025, 0.975))],
            "n_permutations": len(null),
            "bias": float(null.mean() - 1 / n_classes),
            "p": p_value(scores[0], null),
        }
    return result
