"""Networks in Flax linen, each from the patch [batch, p, p, bands] to logits [batch, classes]."""

from hsi_jax.models.convolution import convolve
from hsi_jax.models.registry import MODELS, check_input, find_model, parse_options

__all__ = ["MODELS", "check_input", "convolve", "find_model", "parse_options"]
