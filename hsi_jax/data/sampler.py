"""Which training samples are in the batch of a step."""

from functools import lru_cache

import numpy as np

from hsi_jax.errors import InputError


def batch_ids(train_ids: np.ndarray, batch_size: int, seed: int, step: int) -> np.ndarray:
    """Returns the samples of one step: a pure function of its arguments.

    The permutations of the training samples of epoch 0, 1, 2, ... form one endless stream, and
    step s takes positions [s * batch_size, (s + 1) * batch_size) of it. A batch may span two
    epochs or more, so every batch is full and no sample is dropped.

    Args:
        train_ids: [num_train], ids of the training samples.
        batch_size: samples in a batch; may exceed num_train.
        seed: seed of the order, 0 or more.
        step: number of the step, counted from 0.

    Returns:
        int32 [batch_size].

    Raises:
        InputError: if there are no training samples, if batch_size is below 1, or if the seed or
            the step is negative.
    """
    num_train = len(train_ids)
    _check_sizes(num_train, batch_size)
    for name, value in (("seed", seed), ("step", step)):
        if value < 0:
            raise InputError(f"`{name}`={value}: give 0 or more")
    places, place, end = [], step * batch_size, (step + 1) * batch_size
    while place < end:  # from each epoch no more than the batch takes of it
        epoch, offset = divmod(place, num_train)
        places.append(_permutation(num_train, seed, epoch)[offset : offset + end - place])
        place += len(places[-1])
    return np.asarray(train_ids)[np.concatenate(places)].astype(np.int32, copy=False)


def steps_for_epochs(num_train: int, batch_size: int, epochs: int) -> int:
    """Returns the smallest number of steps in which every sample is seen `epochs` times.

    Raises:
        InputError: if num_train or batch_size is below 1.
    """
    _check_sizes(num_train, batch_size)
    return -(-num_train * epochs // batch_size)


def _check_sizes(num_train: int, batch_size: int) -> None:
    if num_train < 1:
        raise InputError("There are no training samples; give a split with some.")
    if batch_size < 1:
        raise InputError(f"`batch_size`={batch_size}: give 1 or more")


@lru_cache(maxsize=4)
def _permutation(num_train: int, seed: int, epoch: int) -> np.ndarray:
    sequence = np.random.SeedSequence(seed, spawn_key=(epoch,))
    return np.random.Generator(np.random.PCG64(sequence)).permutation(num_train)
