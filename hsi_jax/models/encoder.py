"""A network without its head: what is pretrained without labels, and what other classes start from.

The head is what depends on the number of classes: in every network here, its last dense layer.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import traverse_util

from hsi_jax.errors import InputError
from hsi_jax.models.registry import Model, build_model, name_model

CODE = 128  # numbers that an encoder makes of a patch while it is pretrained
ENCODER = "encoder"  # its name among the parameters of a `MaskedAutoencoder`


class MaskedAutoencoder(nn.Module):
    """A network whose head gives a code, and a dense layer that makes the whole patch of the code.

    He, Chen, Xie, Li, Dollar and Girshick, "Masked Autoencoders Are Scalable Vision Learners", CVPR
    2022, https://doi.org/10.1109/CVPR52688.2022.01553. As in SimMIM (Xie et al., CVPR 2022,
    https://doi.org/10.1109/CVPR52688.2022.00943) the encoder sees the hidden places too, without
    their values, so that any network serves, and the decoder is one dense layer.

    Attributes:
        encoder: a network with `CODE` classes, of which this makes no classes.
    """

    encoder: nn.Module

    @nn.compact
    def __call__(
        self, patches: jax.Array, *, train: bool = False, mask: jax.Array | None = None
    ) -> jax.Array:
        """Maps patches [batch, p, p, channels] to reconstructed ones of the same shape."""
        code: Any = self.encoder(patches, train=train, mask=mask)  # pyright: ignore[reportCallIssue]
        size = math.prod(patches.shape[1:])
        return nn.Dense(size, name="decoder")(nn.gelu(code)).reshape(patches.shape)


def build_autoencoder(model: Model, options: dict[str, Any]) -> MaskedAutoencoder:
    """The autoencoder of a network; arguments as of `build_model`.

    Raises:
        InputError: as `build_model`.
    """
    return MaskedAutoencoder(build_model(model, CODE, options))


def find_head(
    model: Model, num_classes: int, options: dict[str, Any], input_shape: tuple[int, ...]
) -> frozenset[str]:
    """Names of the parameters whose shapes depend on the number of classes; nothing is computed.

    Args:
        model: as of `build_model`.
        num_classes: C.
        options: as of `build_model`.
        input_shape: of one input.

    Returns:
        Names in the tree of parameters; "/" separates its levels.

    Raises:
        InputError: if all parameters do, or none.
    """
    own, other = (
        _shapes(build_model(model, classes, options), input_shape)
        for classes in (num_classes, num_classes + 1)
    )
    head = frozenset(name for name, shape in own.items() if other.get(name) != shape)
    if not head or len(head) == len(own):
        raise InputError(
            f"`model`={name_model(model)} has no encoder: "
            f"{'all' if head else 'none'} of its parameters depend on the number of classes"
        )
    return head


def _shapes(module: nn.Module, input_shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    made: Any = jax.eval_shape(
        lambda: module.init(jax.random.key(0), jnp.zeros((1, *input_shape)))["params"]
    )
    named: Any = traverse_util.flatten_dict(made, sep="/")
    return {name: leaf.shape for name, leaf in named.items()}
