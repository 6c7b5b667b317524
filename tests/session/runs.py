"""A run as the tests of sessions do it."""

from hsi_jax import session
from hsi_jax.run.summary import Summary


def run(options: session.RunOptions) -> Summary:
    """The summary of a run."""
    return session.run(options).summary
