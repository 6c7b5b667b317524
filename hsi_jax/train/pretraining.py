"""Learning without labels: a masked autoencoder, and how well it reconstructs what is hidden."""

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hsi_jax.errors import DivergenceError, InputError
from hsi_jax.hetero import Plan, Profile, Work
from hsi_jax.models import Model, check_input, parse_options
from hsi_jax.models.encoder import MaskedAutoencoder, build_autoencoder
from hsi_jax.train.dataset import Dataset
from hsi_jax.train.evaluation import map_samples
from hsi_jax.train.masking import Masking
from hsi_jax.train.recipe import Recipe
from hsi_jax.train.replicas import Replicas
from hsi_jax.train.samples import SampleSource
from hsi_jax.train.state import Prepare, TrainState, new_state
from hsi_jax.train.step import gather_microbatches

MEASURING = 2**32 - 1  # a step that no training takes: what is hidden where errors are measured
_MASK = 2**31  # apart from the numbers of the augmentations, which draw by the same key


@dataclass(frozen=True)
class Reconstruction:
    """The mean squared error of the hidden values of each patch; a sample is (patch, anything).

    Attributes:
        module: maps patches [m, p, p, channels] to patches.
        masking: what is hidden.
        prepare: see `Classification`.
    """

    module: MaskedAutoencoder
    masking: Masking
    prepare: Prepare | None = None

    def losses(
        self, params, batch_stats, batch, *, mask, key, sample_keys
    ) -> tuple[jax.Array, Any]:
        """See `Task.losses`."""
        patches, _ = batch
        patches = self.prepare(patches, sample_keys) if self.prepare else patches
        hidden = self.hidden(sample_keys, patches)
        outputs, updates = self.module.apply(
            {"params": params, "batch_stats": batch_stats},
            jnp.where(hidden, 0, patches),
            train=True,
            mask=mask,
            rngs={"dropout": key},
            mutable=["batch_stats"],
        )
        counted = hidden & has_data(patches)
        squares = jnp.where(counted, (outputs - patches) ** 2, 0)
        number = jnp.maximum(counted.sum((1, 2, 3)), 1)  # all of them may lack data
        return squares.sum((1, 2, 3)) / number, updates.get("batch_stats", {})

    def hidden(self, keys: jax.Array, patches: jax.Array) -> jax.Array:
        """What is hidden of patches [m, p, p, channels], by the key of each, [m]."""
        keys = jax.vmap(jax.random.fold_in, (0, None))(keys, _MASK)
        return jax.vmap(lambda key: self.masking.draw(key, patches.shape[1:]))(keys)

    def reconstruct(self, state: TrainState, ids: jax.Array, patches: jax.Array) -> Any:
        """Patches as they are, what is hidden of them, and what is made of the rest.

        What is hidden is a function of the seed and the sample id, so it is the same whenever
        errors are measured.
        """
        patches = self.prepare(patches, None) if self.prepare else patches
        key = jax.random.fold_in(jax.random.key(state.seed), jnp.uint32(MEASURING))
        hidden = self.hidden(jax.vmap(jax.random.fold_in, (None, 0))(key, ids), patches)
        variables = {"params": state.params, "batch_stats": state.batch_stats}
        return patches, hidden, self.module.apply(variables, jnp.where(hidden, 0, patches))

    def logits(self, params, batch_stats, inputs) -> jax.Array:
        """There are no classes; this always raises InputError."""
        raise InputError("a masked autoencoder has no classes to predict")


def has_data(patches: jax.Array) -> jax.Array:
    """Which pixels of scaled patches have data, bool [..., p, p, 1]; others are 0 in all bands."""
    return jnp.any(patches != 0, axis=-1, keepdims=True)


def pretraining_state(
    dataset: Dataset, recipe: Recipe, model: Model, *, options: str = "", masking: Masking
) -> TrainState:
    """The first state of a masked autoencoder for the patches of a dataset.

    Args:
        dataset: that it will learn from.
        recipe: by which it will.
        model: the encoder; see `hsi_jax.models.find_model`.
        options: of it, as `hsi_jax.models.parse_options` reads them.
        masking: what is hidden.

    Raises:
        InputError: for an unknown model or option, or if nothing would be hidden.
    """
    masking.counts(dataset.input_shape)
    check_input(model, dataset.input_shape[0], dataset.input_shape[-1])
    module = build_autoencoder(model, parse_options(model, options))
    shape = (1, *dataset.input_shape)
    variables = jax.jit(module.init)(jax.random.key(recipe.seed), jnp.zeros(shape))
    return new_state(
        variables["params"],
        variables.get("batch_stats", {}),
        optimizer=recipe.make_optimizer(recipe.num_steps(len(dataset.split.train))),
        seed=recipe.seed,
        task=Reconstruction(module, masking, dataset.prepare),
    )


@dataclass(frozen=True, eq=False)
class ReconstructionErrors:
    """Squared errors of the hidden values of some pixels' patches, in units of the scaled bands.

    Attributes:
        squares: sum of the squared errors in each channel, float64 [channels].
        of_mean: the same, if the mean were given for every hidden value.
        counts: hidden values with data in each channel, int64 [channels].
    """

    squares: np.ndarray
    of_mean: np.ndarray
    counts: np.ndarray

    @property
    def error(self) -> float:
        """Mean squared error over all hidden values."""
        return float(self.squares.sum() / max(self.counts.sum(), 1))

    @property
    def error_of_mean(self) -> float:
        """The same, if the mean were given for every hidden value."""
        return float(self.of_mean.sum() / max(self.counts.sum(), 1))

    @property
    def rank(self) -> tuple[float]:
        """The higher, the better."""
        return (-self.error,)

    def by_channel(self) -> list[tuple[float, float] | None]:
        """Error, and that of the mean, of each channel; None where nothing was hidden."""
        rows = zip(self.squares, self.of_mean, self.counts, strict=True)
        return [(float(a / n), float(b / n)) if n else None for a, b, n in rows]


def measure_reconstruction(
    replicas: Replicas, state: TrainState, ids: np.ndarray, *, profile: Profile, plan: Plan
) -> ReconstructionErrors:
    """Reconstructs each pixel's patch once; the result does not depend on the profile.

    Args:
        replicas: the devices and the samples.
        state: of a masked autoencoder; not replicated.
        ids: of the pixels, int32 [n], n >= 1.
        profile: speeds of the devices, by which the work is divided.
        plan: whose scheme and microbatch size are followed.

    Raises:
        DivergenceError: if an error is not finite, as after an update that went astray.
    """
    found = map_samples(_error_step, replicas, state, ids, profile=profile, plan=plan)
    squares, of_mean = (array.sum(axis=0, dtype=np.float64) for array in found[:2])
    errors = ReconstructionErrors(squares, of_mean, found[2].sum(axis=0, dtype=np.int64))
    if not math.isfinite(errors.error):
        raise DivergenceError(
            f"the reconstruction error over {len(ids)} pixels is {errors.error}: training has "
            f"diverged; lower `learning_rate`"
        )
    return errors


def reconstruct(
    replicas: Replicas, state: TrainState, ids: np.ndarray, *, profile: Profile, plan: Plan
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Patches of some pixels as scaled, what is hidden of them, and what is made of the rest.

    Arguments as of `measure_reconstruction`.

    Returns:
        float32, bool and float32, each [n, p, p, channels].
    """
    patches, hidden, outputs = map_samples(
        _example_step, replicas, state, ids, profile=profile, plan=plan
    )
    return patches, hidden.astype(bool), outputs


def _error_step(state: TrainState, samples: SampleSource, work: Work) -> Any:
    """Sums over each sample's patch, by channel: [U, m, channels] each."""

    def measure(index):
        patches, hidden, outputs = _reconstruct(state, samples, work, index)
        counted = hidden & has_data(patches)
        squares = jnp.where(counted, (outputs - patches) ** 2, 0).sum((1, 2))
        of_mean = jnp.where(counted, patches**2, 0).sum((1, 2))
        return squares, of_mean, counted.sum((1, 2), dtype=jnp.int32)

    return gather_microbatches(measure, work)


def _example_step(state: TrainState, samples: SampleSource, work: Work) -> Any:
    def show(index):
        patches, hidden, outputs = _reconstruct(state, samples, work, index)
        return patches, hidden.astype(jnp.int32), outputs

    return gather_microbatches(show, work)


def _reconstruct(state: TrainState, samples: SampleSource, work: Work, index: jax.Array) -> Any:
    ids = work.ids[index]
    assert isinstance(state.task, Reconstruction)
    return state.task.reconstruct(state, ids, samples.take(ids, index)[0])
