"""A run of a classical baseline: it is fitted at once, and tested as networks are."""

import dataclasses
import time

from hsi_jax.run.summary import Summary
from hsi_jax.session import console
from hsi_jax.session.results import evaluate_set, model_of
from hsi_jax.session.setup import Setup
from hsi_jax.session.summarise import summarise
from hsi_jax.train.baseline import fit_baseline
from hsi_jax.train.loop import unstepped


def run_baseline(setup: Setup) -> Summary:
    """Fits, tests and writes the results.

    Raises:
        InputError: if the data do not allow it.
    """
    setup.folder.start(dataclasses.asdict(setup.config))
    setup.folder.write_json("profile.json", setup.profile.to_json())
    console.say(console.describe_start(setup))
    began = time.perf_counter()
    baseline = fit_baseline(
        setup.dataset,
        setup.config.model_name,
        setup.resolved.model_options,
        setup.config.seed,
    )
    seconds = time.perf_counter() - began
    console.say(f"Fitted in {seconds:.1f} s: {baseline.note}")
    resolved = dataclasses.replace(setup.resolved, model_options=baseline.options)
    setup = dataclasses.replace(setup, resolved=resolved, state=baseline.state)
    fitted = unstepped(baseline.state, setup.plan)
    if len(setup.dataset.split.validation):
        evaluate_set(setup, fitted.state, "validation", 0)
    test = evaluate_set(setup, fitted.state, "test", 0)
    summary = summarise(
        setup,
        fitted,
        test,
        profile=setup.profile,
        rebalancing=None,
        failed_checkpoints=[],
        train_seconds=seconds,
    )
    from hsi_jax.session.writing import (
        write_results,  # here: other runs do without Matplotlib at first
    )

    write_results(setup, fitted.state, test, model_of(setup, fitted.state, 0, test), summary)
    return summary
