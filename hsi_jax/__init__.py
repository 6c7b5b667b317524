"""hsi_jax: train deep networks for remote sensing on devices of uneven speed."""
