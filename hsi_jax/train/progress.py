"""How far a training has come: all that the rest of it depends on."""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from flax import serialization, traverse_util

from hsi_jax.errors import InputError
from hsi_jax.hetero import Plan
from hsi_jax.run.checkpoint import Checkpoint
from hsi_jax.train.state import TrainState


@dataclass(frozen=True)
class Best:
    """The best state so far.

    Attributes:
        state: by validation; the first state before any.
        step: steps that had been taken by it.
        rank: what validation said of it, or None.
    """

    state: TrainState
    step: int = 0
    rank: tuple | None = None

    def or_better(self, state: TrainState, step: int, rank: tuple | None) -> "Best":
        """This one, unless the given one is of higher rank."""
        if self.rank is None or (rank is not None and rank > self.rank):
            return Best(state, step, rank)
        return self


@dataclass(frozen=True)
class Progress:
    """A training after this many steps. `fit` goes on from it as if it had never stopped.

    Attributes:
        state: after the last step, as NumPy arrays.
        losses: of each step so far, before its update.
        best: the best state so far.
        plan: by which the next batch will be divided, or None before the first step. It is not
            part of the arrays.
    """

    state: TrainState
    losses: tuple[float, ...]
    best: Best
    plan: Plan | None = None

    @classmethod
    def start(cls, state: TrainState) -> "Progress":
        """Before the first step."""
        return cls(state, (), Best(state))

    @property
    def step(self) -> int:
        """Steps taken so far."""
        return len(self.losses)

    def to_tree(self) -> dict:
        """Dictionaries of NumPy arrays, none of them empty; see `of_checkpoint`."""
        tree: dict[str, Any] = {"state": _arrays(self.state)}
        if self.losses:
            tree["losses"] = np.array(self.losses, np.float64)
        if 0 < self.best.step < self.step:
            tree["best"] = _arrays(self.best.state)
        return tree

    def to_facts(self) -> dict:
        """The rest of it, as JSON can hold it."""
        return {"best_step": self.best.step, "best_rank": self.best.rank}

    @classmethod
    def of_checkpoint(cls, checkpoint: Checkpoint, state: TrainState) -> "Progress":
        """The progress that was saved.

        Args:
            checkpoint: of the same training.
            state: the first state of that training.

        Raises:
            InputError: if the arrays are not those of such a state, naming the first that differs.
        """
        tree, facts = checkpoint.tree, checkpoint.facts
        current = _restore(state, tree["state"])
        step, rank = facts["best_step"], facts["best_rank"]
        best = state if step == 0 else current
        if "best" in tree:
            best = _restore(state, tree["best"])
        losses = tuple(np.asarray(tree.get("losses", ()), np.float64).tolist())
        return cls(current, losses, Best(best, step, None if rank is None else tuple(rank)))


def _arrays(state: TrainState) -> dict:
    def to_array(leaf):  # a new state counts its steps by a Python int
        return np.asarray(leaf, np.int32 if isinstance(leaf, int) else None)

    tree: Any = serialization.to_state_dict(state)
    del tree["digest"]  # the next step makes its own
    return jax.tree.map(to_array, tree)


def _restore(state: TrainState, tree: dict) -> TrainState:
    expected, found = _named(_arrays(state)), _named(tree)
    for name in sorted(expected.keys() | found.keys()):
        if name not in found or name not in expected:
            whose = "model or optimiser" if name in expected else "checkpoint"
            raise InputError(f"the checkpoint is of another model: only the {whose} has {name}")
        ours, theirs = expected[name], found[name]
        if (ours.shape, ours.dtype) != (theirs.shape, theirs.dtype):
            raise InputError(
                f"the checkpoint is of another model: its {name} is {theirs.dtype} "
                f"{list(theirs.shape)}, not {ours.dtype} {list(ours.shape)}"
            )
    restored: Any = serialization.from_state_dict(state, tree | {"digest": state.digest})
    return restored


def _named(tree: dict) -> dict[str, np.ndarray]:
    named: Any = traverse_util.flatten_dict(tree, sep="/")
    return named
