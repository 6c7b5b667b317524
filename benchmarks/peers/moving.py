"""OmniLearn's rule, by which the batch is divided anew after an epoch."""

import numpy as np

DEAD_BAND = 0.2  # their default: a change by a smaller part is not made


def moved(counts: list[int], seconds: list[float]) -> list[int]:
    """The samples of each rank after an epoch in which they took so many seconds on average.

    Their rule: b + db, where db = -(b / t)(t - mean t), unless that changes b by less than
    `DEAD_BAND`. Then all are changed by as much, so that the batch keeps its size. Ours: whole
    numbers by the largest remainders, at least 1.
    """
    before, times = np.array(counts, np.float64), np.array(seconds)
    wanted = before * times.mean() / times
    wanted = np.where(np.abs(wanted - before) < DEAD_BAND * wanted, before, wanted)
    wanted = np.maximum(wanted - (wanted.sum() - before.sum()) / len(before), 1)
    whole = np.floor(wanted).astype(int)
    missing = int(before.sum()) - int(whole.sum())
    order = np.argsort(whole - wanted, kind="stable")
    while missing > 0:
        whole[order[:missing]] += 1
        missing = int(before.sum()) - int(whole.sum())
    while missing < 0:  # some had to be raised to 1
        whole[whole.argmax()] -= 1
        missing += 1
    return whole.tolist()
