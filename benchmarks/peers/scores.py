"""The measures of a classification that the records of our runs have, in NumPy alone."""

import numpy as np


def scores(truth: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
    """Overall and average accuracy, fractions of 1, and Cohen's kappa.

    They are those of `hsi_jax.evaluate.scores`, which a peer's Python may not have.

    Args:
        truth: classes from 0, int [n], n >= 1.
        prediction: likewise.
    """
    size = 1 + max(truth.max(), prediction.max())
    counts = np.zeros((size, size), np.int64)
    np.add.at(counts, (truth, prediction), 1)
    right, rows, total = counts.diagonal(), counts.sum(axis=1), counts.sum()
    chance = float(rows @ counts.sum(axis=0)) / float(total) ** 2
    overall = float(right.sum() / total)
    return {
        "overall_accuracy": overall,
        "average_accuracy": float((right[rows > 0] / rows[rows > 0]).mean()),
        "kappa": 1.0 if chance == 1 else (overall - chance) / (1 - chance),
    }
