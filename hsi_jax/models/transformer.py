"""The parts that the transformers for patches have in common."""

import jax
import jax.numpy as jnp
from einops import rearrange
from flax import linen as nn

from hsi_jax.errors import InputError

NORM_EPSILON = 1e-5  # of PyTorch, in which these networks were published


class Attention(nn.Module):
    """Every token of a sample attends to all tokens of that sample.

    Attributes:
        heads: that work side by side.
        head_width: numbers of a query, key or value.
        scale: multiplies the products of queries and keys.
        bias: whether queries, keys and values have one.
        dropout: of the output.
    """

    heads: int
    head_width: int
    scale: float
    bias: bool = True
    dropout: float = 0.0

    @nn.compact
    def __call__(self, tokens: jax.Array, train: bool) -> jax.Array:
        """Maps tokens [batch, n, width] to [batch, n, width]."""
        inner = self.heads * self.head_width
        all_three = nn.Dense(3 * inner, use_bias=self.bias, name="qkv")(tokens)
        query, key, value = rearrange(all_three, "b n (t h d) -> t b h n d", t=3, h=self.heads)
        alike = self.scale * jnp.einsum("bhid,bhjd->bhij", query, key)
        mixed = jnp.einsum("bhij,bhjd->bhid", nn.softmax(alike), value)
        out = nn.Dense(tokens.shape[-1], name="out")(rearrange(mixed, "b h n d -> b n (h d)"))
        return nn.Dropout(self.dropout, deterministic=not train)(out)


class Block(nn.Module):
    """Attention and two dense layers, each after layer normalisation and added to its input.

    Attributes:
        heads: see `Attention`.
        head_width: see `Attention`.
        scale: see `Attention`.
        hidden: width between the two dense layers.
        bias: see `Attention`.
        dropout: after attention and after each dense layer.
    """

    heads: int
    head_width: int
    scale: float
    hidden: int
    bias: bool = True
    dropout: float = 0.0

    @nn.compact
    def __call__(self, tokens: jax.Array, train: bool) -> jax.Array:
        """Maps tokens [batch, n, width] to [batch, n, width]."""

        def drop(x):
            return nn.Dropout(self.dropout, deterministic=not train)(x)

        attention = Attention(self.heads, self.head_width, self.scale, self.bias, self.dropout)
        tokens = tokens + attention(nn.LayerNorm(NORM_EPSILON)(tokens), train)
        x = nn.LayerNorm(NORM_EPSILON)(tokens)
        x = drop(nn.gelu(nn.Dense(self.hidden)(x), approximate=False))
        return tokens + drop(nn.Dense(tokens.shape[-1])(x))


def check_heads(width: int, heads: int) -> None:
    """Checks that a width can be divided between heads.

    Raises:
        InputError: naming the options of the model.
    """
    if width % heads:
        raise InputError(
            f"`model_options`: a width of {width} cannot be divided between heads={heads}; give a "
            f"divisor of the width"
        )
