"""Networks in Flax linen, from patches or images [batch, h, w, c] to logits [batch, classes]."""

from hsi_jax.models.convolution import convolve
from hsi_jax.models.registry import (
    MODELS,
    build_model,
    check_input,
    check_kind,
    find_model,
    find_trait,
    parse_options,
)

__all__ = [
    "MODELS",
    "build_model",
    "check_input",
    "check_kind",
    "convolve",
    "find_model",
    "find_trait",
    "parse_options",
]
