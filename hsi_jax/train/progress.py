"""How far a training has come: all that the rest of it depends on."""

from dataclasses import dataclass

import jax
import numpy as np
from flax import serialization, traverse_util

from hsi_jax.errors import InputError
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
        return Best(state, step, rank) if self.rank is None or rank > self.rank else self


@dataclass(frozen=True)
class Progress:
    """A training after so many steps. `fit` goes on from it as if it had never stopped.

    Attributes:
        state: after the last step, as NumPy arrays.
        losses: of each step so far, before its update.
        best: the best state so far.
    """

    state: TrainState
    losses: tuple[float, ...]
    best: Best

    @classmethod
    def start(cls, state: TrainState) -> "Progress":
        """Before the first step."""
        return cls(state, (), Best(state))

    @property
    def step(self) -> int:
        """Steps taken so far."""
        return len(self.losses)

    def to_tree(self) -> dict:
        """Dictionaries of NumPy arrays, none of them empty; `of_tree` takes them back."""
        tree = {"state": _arrays(self.state)}
        if self.losses:
            tree["losses"] = np.array(self.losses, np.float64)
        if 0 < self.best.step < self.step:
            tree["best"] = _arrays(self.best.state)
        return tree

    @classmethod
    def of_tree(
        cls, tree: dict, state: TrainState, best_step: int, best_rank: tuple | None
    ) -> "Progress":
        """The progress whose `to_tree` was given.

        Args:
            tree: likewise.
            state: the first state of the same training.
            best_step: step of the best state.
            best_rank: its rank.

        Raises:
            InputError: if the arrays are not those of such a state, naming the first that differs.
        """
        current = _restore(state, tree["state"])
        best = state if best_step == 0 else current
        if "best" in tree:
            best = _restore(state, tree["best"])
        best = Best(best, best_step, best_rank)
        losses = tuple(np.asarray(tree.get("losses", ()), np.float64).tolist())
        return cls(current, losses, best)


def _arrays(state: TrainState) -> dict:
    def to_array(leaf):  # a new state counts its steps by a Python int
        return np.asarray(leaf, np.int32 if isinstance(leaf, int) else None)

    return jax.tree.map(to_array, serialization.to_state_dict(state))


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
    return serialization.from_state_dict(state, tree)


def _named(tree: dict) -> dict[str, np.ndarray]:
    return traverse_util.flatten_dict(tree, sep="/")
