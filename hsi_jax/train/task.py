"""What is learnt: how losses, and predictions, follow from parameters and samples."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import optax
from flax import linen as nn


@dataclass(frozen=True)
class Classification:
    """Cross-entropy of a Flax module that maps inputs to logits; a sample is (input, class).

    Attributes:
        module: called with `train` and `mask`.
        prepare: makes the module's inputs [m, ...] of the samples', given a key for each sample
            [m] in training and None in prediction; None for samples that are inputs already.
    """

    module: nn.Module
    prepare: Callable[[jax.Array, jax.Array | None], jax.Array] | None = None

    def losses(self, params, batch_stats, batch, mask, key, sample_keys) -> tuple[jax.Array, Any]:
        """The loss of each sample, float32 [m], and the running statistics after them."""
        inputs, labels = batch
        logits, updates = self.module.apply(
            {"params": params, "batch_stats": batch_stats},
            self.prepare(inputs, sample_keys) if self.prepare else inputs,
            train=True,
            mask=mask,
            rngs={"dropout": key},
            mutable=["batch_stats"],
        )
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return losses, updates.get("batch_stats", {})

    def logits(self, params, batch_stats, inputs) -> jax.Array:
        """The logits of each sample, float32 [m, classes], with nothing drawn at random."""
        inputs = self.prepare(inputs, None) if self.prepare else inputs
        return self.module.apply({"params": params, "batch_stats": batch_stats}, inputs)


@dataclass(frozen=True)
class SampleLoss:
    """Any loss of one's own, without running statistics.

    Attributes:
        loss: maps parameters, a batch (a tree of arrays [m, ...]) and a key of the microbatch to
            the loss of each sample, [m]. A sample's loss must not depend on the others in its
            microbatch, some of which may be padding.
    """

    loss: Callable[[Any, Any, jax.Array], jax.Array]

    def losses(self, params, batch_stats, batch, mask, key, sample_keys) -> tuple[jax.Array, Any]:
        """The loss of each sample, [m], and no statistics."""
        return self.loss(params, batch, key), batch_stats
