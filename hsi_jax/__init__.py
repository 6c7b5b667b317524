"""hsi_jax: train deep networks for remote sensing on devices of uneven speed."""

__version__ = "0.1.0"
