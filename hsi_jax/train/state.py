"""What is learnt, and what training changes: the task, parameters and all that goes with them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from flax import struct, traverse_util

from hsi_jax.errors import InputError
from hsi_jax.train.digest import no_digest
from hsi_jax.train.losses import ClassLoss

Prepare = Callable[[jax.Array, jax.Array | None], jax.Array]


class Task(Protocol):
    """What the step needs of a task: how losses and predictions follow from parameters."""

    def losses(
        self,
        params: Any,
        batch_stats: Any,
        batch: Any,
        *,
        mask: jax.Array,
        key: jax.Array,
        sample_keys: jax.Array,
    ) -> tuple[jax.Array, Any]:
        """The loss of each sample, float32 [m], and the running statistics after them.

        Args:
            params: tree of float32 arrays.
            batch_stats: running statistics before.
            batch: what the samples' `take` returned, arrays [m, ...].
            mask: 1 for a sample, 0 for padding, float32 [m].
            key: of the microbatch.
            sample_keys: a key for each sample, [m].
        """
        ...

    def logits(self, params: Any, batch_stats: Any, inputs: jax.Array) -> jax.Array:
        """The logits of each input, float32 [m, classes], with nothing drawn at random.

        Raises:
            InputError: if the task has no classes.
        """
        ...


@dataclass(frozen=True)
class Classification:
    """Cross-entropy of a Flax module that maps inputs to logits; a sample is (input, class).

    Attributes:
        module: called with `train` and `mask`.
        prepare: makes the module's inputs [m, ...] of the samples', given a key for each sample
            [m] in training and None in prediction; None for samples that are inputs already.
        loss: of a sample in training; tests tell cross-entropy in any case.
        frozen: whether all but the head is as in prediction: without dropout, and normalised by
            running statistics, which stay as they are.
    """

    module: nn.Module
    prepare: Prepare | None = None
    loss: ClassLoss = ClassLoss()  # noqa: RUF009, it is frozen
    frozen: bool = False

    def losses(
        self, params, batch_stats, batch, *, mask, key, sample_keys
    ) -> tuple[jax.Array, Any]:
        """See `Task.losses`."""
        inputs, labels = batch
        logits, updates = self.module.apply(
            {"params": params, "batch_stats": batch_stats},
            self.prepare(inputs, sample_keys) if self.prepare else inputs,
            train=not self.frozen,
            mask=mask,
            rngs={"dropout": key},
            mutable=["batch_stats"],
        )
        statistics = {} if self.frozen else updates.get("batch_stats", {})
        return self.loss(logits, labels), statistics

    def logits(self, params, batch_stats, inputs) -> jax.Array:
        """See `Task.logits`."""
        inputs = self.prepare(inputs, None) if self.prepare else inputs
        logits = self.module.apply({"params": params, "batch_stats": batch_stats}, inputs)
        assert isinstance(logits, jax.Array)  # for type checkers: nothing is mutable here
        return logits


@dataclass(frozen=True)
class SampleLoss:
    """Any loss of one's own, without running statistics.

    Attributes:
        loss: maps parameters, a batch (a tree of arrays [m, ...]) and a key of the microbatch to
            the loss of each sample, [m]. A sample's loss must not depend on the others in its
            microbatch, because some of them may be padding.
    """

    loss: Callable[[Any, Any, jax.Array], jax.Array]

    def losses(
        self, params, batch_stats, batch, *, mask, key, sample_keys
    ) -> tuple[jax.Array, Any]:
        """See `Task.losses`; there are no statistics."""
        return self.loss(params, batch, key), batch_stats

    def logits(self, params, batch_stats, inputs) -> jax.Array:
        """A loss of one's own has no classes to predict; this always raises InputError."""
        raise InputError(
            "a state of your own loss has no classes to predict; call your own function with "
            "fitted.state.params instead, or use create_state for a classifier"
        )


class TrainState(struct.PyTreeNode):
    """Parameters and all that goes with them.

    Attributes:
        step: updates so far, int32 [].
        params: tree of float32 arrays.
        batch_stats: running statistics of the normalisation layers; an empty dict without any.
        opt_state: of the optimiser.
        seed: the keys of step t are functions of (seed, t), uint32 [].
        optimizer: any of Optax.
        task: what is learnt.
        frozen: names of the parameters that stay as they are, of which the optimiser has no state;
            "/" separates the levels of the tree.
        digest: of the sums of the last step (see `update_if_finite`), uint32 [2]. It does not
            depend on who computed what; no checkpoint holds it.
    """

    step: jax.Array
    params: Any
    batch_stats: Any
    opt_state: optax.OptState
    seed: jax.Array
    optimizer: optax.GradientTransformation = struct.field(pytree_node=False)
    task: Task = struct.field(pytree_node=False)
    frozen: frozenset[str] = struct.field(pytree_node=False, default=frozenset())
    digest: Any = struct.field(default_factory=no_digest)

    @property
    def trained(self) -> Any:
        """The parameters that are trained: all, or a tree without the frozen ones."""
        if not self.frozen:
            return self.params
        named = traverse_util.flatten_dict(self.params, sep="/")
        kept = {name: leaf for name, leaf in named.items() if name not in self.frozen}
        return traverse_util.unflatten_dict(kept, sep="/")

    def with_frozen(self, trained: Any) -> Any:
        """All parameters, of which those that are trained are given."""
        if not self.frozen:
            return trained
        named = traverse_util.flatten_dict(self.params, sep="/")
        named |= traverse_util.flatten_dict(trained, sep="/")
        return traverse_util.unflatten_dict(named, sep="/")

    def update(self, grads: Any, batch_stats: Any) -> "TrainState":
        """The state after one update of the optimiser; without statistics, they stay."""
        trained = self.trained
        updates, opt_state = self.optimizer.update(grads, self.opt_state, trained)
        return self.replace(
            step=self.step + 1,
            params=self.with_frozen(optax.apply_updates(trained, updates)),
            batch_stats=batch_stats or self.batch_stats,
            opt_state=opt_state,
        )

    def freeze(self, names: frozenset[str]) -> "TrainState":
        """The first state of a classifier of which these parameters, and statistics, stay."""
        assert isinstance(self.task, Classification)
        frozen = self.replace(frozen=names, task=replace(self.task, frozen=True))
        return frozen.replace(opt_state=self.optimizer.init(frozen.trained))


def create_state(
    module: nn.Module,
    optimizer: optax.GradientTransformation,
    input_shape: tuple[int, ...],
    *,
    seed: int,
    prepare: Prepare | None = None,
    loss: ClassLoss = ClassLoss(),  # noqa: B008, it is frozen
) -> TrainState:
    """The first state of a classifier; it depends on the module, the shape and the seed alone.

    Args:
        module: maps [batch, *input_shape] to logits; called with `train` and `mask`.
        optimizer: any Optax optimiser.
        input_shape: of one input, such as (p, p, bands).
        seed: 0 <= seed < 2**32.
        prepare: see `Classification`.
        loss: see `Classification`.
    """
    variables = jax.jit(module.init)(jax.random.key(seed), jnp.zeros((1, *input_shape)))
    statistics = variables.get("batch_stats", {})
    task = Classification(module, prepare, loss)
    return new_state(variables["params"], statistics, optimizer=optimizer, seed=seed, task=task)


def create_loss_state(
    loss: Callable[[Any, Any, jax.Array], jax.Array],
    params: Any,
    optimizer: optax.GradientTransformation,
    *,
    seed: int,
) -> TrainState:
    """The first state of one's own loss and parameters; see `SampleLoss`.

    Args:
        loss: maps parameters, a batch [m, ...] and a key to losses [m].
        params: tree of float32 arrays.
        optimizer: any Optax optimiser.
        seed: 0 <= seed < 2**32.
    """
    return new_state(params, {}, optimizer=optimizer, seed=seed, task=SampleLoss(loss))


def new_state(params, batch_stats, *, optimizer, seed, task) -> TrainState:
    """The first state of any task; see `TrainState`."""
    return TrainState(
        step=jnp.int32(0),
        params=params,
        batch_stats=batch_stats,
        opt_state=optimizer.init(params),
        seed=jnp.uint32(seed),
        optimizer=optimizer,
        task=task,
    )


def count_parameters(state: TrainState) -> int:
    """Number of trained numbers."""
    return sum(leaf.size for leaf in jax.tree.leaves(state.trained))
