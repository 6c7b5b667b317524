"""The commands, as a checkout starts them: `python -m experiments.run`; see `hsi_jax.commands`."""
