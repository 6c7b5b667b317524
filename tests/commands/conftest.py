"""What tests of several commands share."""

import dataclasses

import pytest
from absl import flags

from hsi_jax.command_line import define_flags
from hsi_jax.session.config import Config


@pytest.fixture
def run_flags():
    """Defines the flags of experiments.run, which absl keeps in one place."""
    define_flags(Config)
    yield
    flags.FLAGS.unparse_flags()
    for field in dataclasses.fields(Config):
        delattr(flags.FLAGS, field.name)
