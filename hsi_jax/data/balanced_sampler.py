"""Batches in which every class is drawn equally often."""

from functools import lru_cache

import numpy as np

from hsi_jax.errors import InputError


class BalancedSampler:
    """Draws as many training samples of each class, however rare it is.

    One endless stream consists of rounds, each of which holds every class once, in a random order.
    The samples of a class come in random order too, all of them before any comes again. So the
    counts of two classes in a batch differ by 2 at most, and what step s draws is a function of
    (seed, s) alone.
    """

    def __init__(self, train_ids: np.ndarray, labels: np.ndarray, seed: int):
        """Sorts the training samples by class.

        Args:
            train_ids: ids of the training samples, [n].
            labels: class index of every sample that there is, [all samples].
            seed: of the order, 0 or more.

        Raises:
            InputError: if there are no training samples, or if the seed is negative.
        """
        train_ids = np.asarray(train_ids, np.int32)
        if not len(train_ids):
            raise InputError("There are no training samples; give a split with some.")
        if seed < 0:
            raise InputError(f"`seed`={seed}: give 0 or more")
        classes = labels[train_ids]
        self._members = [train_ids[classes == k] for k in np.unique(classes)]
        self._seed = seed
        # A batch needs the order of each class in one epoch of it or two.
        self._order = lru_cache(maxsize=2 * len(self._members))(self._draw_order)

    def batch_ids(self, batch_size: int, step: int) -> np.ndarray:
        """The samples of one step, int32 [batch_size].

        Args:
            batch_size: samples in a batch, 1 or more.
            step: number of the step, counted from 0.

        Raises:
            InputError: if batch_size is below 1.
        """
        if batch_size < 1:
            raise InputError(f"`batch_size`={batch_size}: give 1 or more")
        start, num_classes = step * batch_size, len(self._members)
        first = start // num_classes
        rounds = range(first, -(-(start + batch_size) // num_classes))
        ids = np.empty((len(rounds), num_classes), np.int32)
        places = np.stack([self._permutation(num_classes, num_classes, r) for r in rounds])
        rows = np.arange(len(rounds))
        for k in range(num_classes):
            ids[rows, places[:, k]] = [self._turn(k, r) for r in rounds]
        offset = start - first * num_classes
        return ids.ravel()[offset : offset + batch_size]

    def _turn(self, k: int, number: int) -> int:
        """The sample of class k in a round."""
        members = self._members[k]
        epoch, place = divmod(number, len(members))
        return int(members[self._order(k, epoch)[place]])

    def _draw_order(self, k: int, epoch: int) -> np.ndarray:
        return self._permutation(len(self._members[k]), k, epoch)

    def _permutation(self, length: int, stream: int, number: int) -> np.ndarray:
        sequence = np.random.SeedSequence(self._seed, spawn_key=(stream, number))
        return np.random.Generator(np.random.PCG64(sequence)).permutation(length)
