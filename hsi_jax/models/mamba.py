"""A spectral-spatial network of selective state spaces (Mamba) on patches."""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from einops import rearrange
from flax import linen as nn

from hsi_jax.errors import InputError


class PatchMamba(nn.Module):
    """Blocks that read a patch pixel by pixel, and each pixel by groups of its channels.

    It has the layers of Li, Luo, Zhang, Wang and Du, "MambaHSI: Spatial-Spectral Mamba for
    Hyperspectral Image Classification", IEEE TGRS 62 (2024),
    https://doi.org/10.1109/TGRS.2024.3430985, but it reads other sequences. MambaHSI reads the
    whole scene as one sequence, whose states and normalisation contain the test pixels while it
    trains: it is transductive, and cannot be asked for another scene. Here each patch is a sequence
    of its own, in both directions, and nothing passes from one sample to another. There is no
    pooling between the blocks, because patches are small.
    """

    num_classes: int
    width: int = 64
    depth: int = 2
    groups: int = 4
    states: int = 16
    dropout: float = 0.1

    kinds: ClassVar[tuple[str, ...]] = ("patch",)
    default_patch_size: ClassVar[int] = 7
    default_components: ClassVar[int] = 0

    @nn.compact
    def __call__(
        self, patches: jax.Array, *, train: bool = False, mask: jax.Array | None = None
    ) -> jax.Array:
        """Maps patches [batch, p, p, bands] to logits [batch, classes]."""
        if self.width % self.groups:
            raise InputError(
                f"`model_options`: groups={self.groups} do not divide width={self.width}"
            )
        x = rearrange(patches, "n h w bands -> n (h w) bands")
        x = self._norm_silu(nn.Dense(self.width)(x))  # [b, pixels, width]
        for layer in range(self.depth):
            spatial, spectral = self._space(x), self._spectrum(x)
            part = nn.softmax(self.param(f"parts_{layer}", nn.initializers.ones, (2,)))
            x = x + part[0] * spatial + part[1] * spectral
        x = nn.Dropout(self.dropout, deterministic=not train)(x.mean(axis=1))
        return nn.Dense(self.num_classes)(x)

    def _space(self, x: jax.Array) -> jax.Array:
        """One sequence for each patch, read from both ends."""
        there = Mamba(self.states)(x)
        back = Mamba(self.states)(x[:, ::-1])[:, ::-1]
        return x + self._norm_silu(there + back)

    def _spectrum(self, x: jax.Array) -> jax.Array:
        """One sequence for each pixel: groups of its channels."""
        groups = rearrange(x, "n p (g c) -> (n p) g c", g=self.groups)
        read = Mamba(self.states)(groups).reshape(x.shape)  # from [b * pixels, g, width / g]
        return x + self._norm_silu(read)

    def _norm_silu(self, x: jax.Array) -> jax.Array:
        """Normalises groups of channels over the sample's own pixels."""
        return nn.silu(nn.GroupNorm(self.groups, epsilon=1e-5)(x))


class Mamba(nn.Module):
    """A selective state space: what enters and leaves the state depends on the token.

    Gu and Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces" (2023),
    https://arxiv.org/abs/2312.00752, with the sizes of its code: twice the width inside, a causal
    convolution over 4 tokens, steps first between 0.001 and 0.1.

    Attributes:
        states: numbers of the state for each inner channel.
        window: tokens of the convolution.
    """

    states: int = 16
    window: int = 4

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Maps tokens [batch, n, width] to [batch, n, width]; each sees those before it."""
        width = tokens.shape[-1]
        inner, rank = 2 * width, -(-width // 16)
        x, gate = jnp.split(nn.Dense(2 * inner, use_bias=False)(tokens), 2, axis=-1)
        x = nn.silu(self._convolve(x))  # [b, n, inner]
        low, enter, leave = jnp.split(
            nn.Dense(rank + 2 * self.states, use_bias=False)(x), (rank, rank + self.states), axis=-1
        )
        step = nn.softplus(nn.Dense(inner, bias_init=_step_bias)(low))  # [b, n, inner]
        decay = -jnp.exp(self.param("log_decay", _log_decay, (inner, self.states)))
        kept = jnp.exp(step[..., None] * decay)
        added = (step * x)[..., None] * enter[:, :, None]  # [b, n, inner, states]
        # state[t] = kept[t] * state[t - 1] + added[t]
        _, state = _scan(kept, added)
        y = jnp.einsum("btis,bts->bti", state, leave)  # [b, n, inner]
        y = y + self.param("direct", nn.initializers.ones, (inner,)) * x
        return nn.Dense(width, use_bias=False)(y * nn.silu(gate))

    def _convolve(self, x: jax.Array) -> jax.Array:
        """Each channel by itself, over the token and those before it."""
        channels = x.shape[-1]
        limit = 1 / math.sqrt(self.window)
        kernel = self.param("kernel", nn.initializers.uniform(2 * limit), (self.window, channels))
        bias = self.param("bias", nn.initializers.zeros, (channels,))
        padded = jnp.pad(x, ((0, 0), (self.window - 1, 0), (0, 0)))
        taps = (padded[:, at : at + x.shape[1]] for at in range(self.window))
        return sum((k * tap for k, tap in zip(kernel - limit, taps, strict=True)), bias)


def _scan(kept: jax.Array, added: jax.Array) -> tuple[jax.Array, jax.Array]:
    """All steps of the recurrence along axis 1, by pairs.

    It has the bits of `lax.associative_scan`, which pads between numbers; ONNX cannot, so that
    library fails test_every_network_is_exported of tests/trained/test_export.py.
    """
    n = kept.shape[1]
    if n < 2:
        return kept, added
    pairs = _after((kept[:, : n - 1 : 2], added[:, : n - 1 : 2]), (kept[:, 1::2], added[:, 1::2]))
    odd = _scan(*pairs)
    before = [x[:, : (n - 1) // 2] for x in odd]
    even = _after(before, (kept[:, 2::2], added[:, 2::2]))
    firsts = kept[:, :1], added[:, :1]
    joined = [jnp.concatenate(both, axis=1) for both in zip(firsts, even, strict=True)]
    return _interleave(joined[0], odd[0]), _interleave(joined[1], odd[1])


def _interleave(even: jax.Array, odd: jax.Array) -> jax.Array:
    """Numbers of two arrays in turn along axis 1; the first may have one more than the other."""
    n = odd.shape[1]
    both = jnp.stack([even[:, :n], odd], axis=2)
    both = both.reshape(both.shape[0], 2 * n, *both.shape[3:])
    return both if even.shape[1] == n else jnp.concatenate([both, even[:, n:]], axis=1)


def _after(first, second):
    """Two steps of the recurrence as one."""
    kept, added = first
    next_kept, next_added = second
    return kept * next_kept, next_kept * added + next_added


def _log_decay(key, shape, dtype=jnp.float32):
    return jnp.broadcast_to(jnp.log(jnp.arange(1, shape[1] + 1, dtype=dtype)), shape)


def _step_bias(key, shape, dtype=jnp.float32):
    """So that the steps are spread evenly between 0.001 and 0.1 on a logarithmic scale."""
    low, high = math.log(1e-3), math.log(1e-1)
    step = jnp.exp(jax.random.uniform(key, shape, dtype, low, high))
    return step + jnp.log(-jnp.expm1(-step))
