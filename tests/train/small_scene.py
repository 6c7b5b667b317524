"""Sizes of the small scene of these tests, and what several of them do with it."""

from dataclasses import dataclass, replace

import jax
import numpy as np

from hsi_jax.hetero import Plan, Profile, deal
from hsi_jax.train import (
    Course,
    Fit,
    Hook,
    Progress,
    Replicas,
    TrainState,
    fit,
    predict,
)
from hsi_jax.train.replicas import fetch
from hsi_jax.train.step import train_step

ROWS, COLUMNS, BANDS, CLASSES = 12, 13, 16, 5


class Watcher(Hook):
    """A hook made of two functions, each of which may be None."""

    def __init__(self, on_step=None, save=None):
        self._on_step, self._save = on_step, save

    def on_step(self, step, loss, seconds):
        if self._on_step:
            self._on_step(step, loss, seconds)

    def on_save(self, progress):
        if self._save:
            self._save(progress)


@dataclass(frozen=True)
class Machine:
    """Replicas, with the profile and the plan that a test gives them."""

    replicas: Replicas
    profile: Profile
    plan: Plan

    def fit(
        self,
        start: TrainState | Progress,
        ids: np.ndarray,
        num_steps: int,
        seed: int,
        *,
        on_step=None,
        save=None,
        rebalancing=None,
        **options,
    ) -> Fit:
        course = Course.shuffled(ids, self.plan.batch_size, num_steps, seed=seed)
        watcher = Watcher(on_step, save)
        return fit(
            self.replicas,
            start,
            replace(course, **options),
            plan=self.plan,
            hooks=[watcher],
            rebalancing=rebalancing,
        )

    def predict(self, state: TrainState, ids: np.ndarray, **options):
        division = {"profile": self.profile, "plan": self.plan}
        return predict(self.replicas, state, ids, **division, **options)

    def ready(self, ids: np.ndarray):
        return self.replicas.ready(deal(np.asarray(ids, np.int32), self.plan))


def one_step(replicas: Replicas, state: TrainState, ids: np.ndarray, plan: Plan):
    ready = replicas.ready(deal(np.asarray(ids, np.int32), plan))
    step = replicas.parallel(train_step)
    live, loss = step(replicas.replicate(state), *ready)
    return fetch(live), float(fetch(loss))


def assert_same_bits(one, other) -> None:
    """Of all but the digest of the last step, which is no part of what is learnt."""
    one, other = (
        jax.tree.leaves(tree.replace(digest=None) if isinstance(tree, TrainState) else tree)
        for tree in (one, other)
    )
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert np.asarray(a).dtype == np.asarray(b).dtype
        assert np.array_equal(a, b)
