"""The commands: only they know flags. `experiments` and `hsi-jax` start them."""
