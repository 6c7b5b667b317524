"""The fit of a classical baseline, in a run as in one call."""

import dataclasses
import time

from hsi_jax.session.results import evaluate_set
from hsi_jax.session.setup import Setup
from hsi_jax.train.baseline import fit_baseline
from hsi_jax.train.loop import Fit, unstepped


def fit_at_once(setup: Setup) -> tuple[Setup, Fit, float, str]:
    """Fits a baseline, and evaluates it on the validation samples.

    Returns:
        The setup with the options that the fit has found, the fit, its wall time in s, and what is
        to be said of it.

    Raises:
        InputError: if the data do not allow it.
    """
    began = time.perf_counter()
    baseline = fit_baseline(
        setup.dataset,
        setup.options.model_name,
        setup.resolved.model_options,
        setup.recipe.seed,
    )
    seconds = time.perf_counter() - began
    resolved = dataclasses.replace(setup.resolved, model_options=baseline.options)
    setup = dataclasses.replace(setup, resolved=resolved, state=baseline.state)
    fitted = unstepped(baseline.state, setup.plan)
    if len(setup.dataset.split.validation):
        evaluate_set(setup, fitted.state, "validation", 0)
    return setup, fitted, seconds, baseline.note
