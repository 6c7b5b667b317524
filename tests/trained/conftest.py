"""The small scene of the tests of training, for what comes after it."""

from tests.train.conftest import cube, gradient_of, labels, machine_of, state_of  # noqa: F401
