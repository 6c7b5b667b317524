"""Trains and evaluates one classifier: `python -m experiments.run --help`."""

import dataclasses
import signal
import sys

import jax
import numpy as np
from absl import app, logging
from flax import traverse_util

from experiments import pictures, report
from experiments.config import Config
from experiments.evaluation import evaluate, map_scene
from experiments.flags import config_from_flags, define_flags, fail, parse_flags
from experiments.resume import check_weights, find_checkpoint, keeps_record
from experiments.setup import Setup, choose_size, measure_speeds, set_up
from experiments.training import (
    make_rebalancing,
    steps_between_validations,
    tell_where_to_go_on,
    train,
)
from hsi_jax.errors import InputError
from hsi_jax.hetero.cluster import leave_cluster, rank
from hsi_jax.train import (
    Checkpoint,
    Checkpoints,
    Fit,
    Rebalancing,
    TrainState,
)

LOST = 1  # exit code where another process was lost: no mistake in what was asked for


def run(config: Config) -> dict:
    """Does one run, or the rest of one, and returns its summary, which is also summary.json.

    Raises:
        InputError: on a mistake of the user's, before training; where training diverges; or if the
            results cannot be written.
        SystemExit: with code 143 after SIGTERM; the run can then be resumed.
    """
    setup = set_up(config)
    if config.microbatch_size == "auto":
        setup, rates = choose_size(setup)
        report.say(report.describe_sizes(rates, setup.config.microbatch_size))
    with Checkpoints(setup.folder.checkpoints, config.keep_checkpoints) as checkpoints:
        checkpoint = _open_folder(setup, checkpoints)
        report.say(report.describe_start(setup))
        if config.profile_name == "measured":
            measure_speeds(setup)
        if checkpoint:
            check_weights(setup, checkpoint)
        setup.folder.write_json("profile.json", setup.replicas.profile.to_json())
        report.say(report.describe_devices(setup.replicas))
        rebalancing = make_rebalancing(setup, checkpoint)
        fitted = train(setup, rebalancing, checkpoints, checkpoint)
    if fitted.stopped_by == signal.SIGTERM:
        tell_where_to_go_on(checkpoints, "SIGTERM ended the training")
        raise SystemExit(128 + signal.SIGTERM)
    if rebalancing and rebalancing.controller:
        setup.replicas.profile = rebalancing.controller.profile
    classes, confusion, loss = evaluate(setup, fitted.state, "test", fitted.best_step)
    summary = report.summarise(setup, fitted, rebalancing, confusion, loss)
    summary["failed_checkpoints"] = checkpoints.failures
    _write_results(setup, fitted, rebalancing, classes, confusion, summary)
    if fitted.interrupted or checkpoints.failures:
        tell_where_to_go_on(checkpoints, "Ctrl-C" if fitted.interrupted else "Done")
    return summary


def _open_folder(setup: Setup, checkpoints: Checkpoints) -> Checkpoint | None:
    """Begins the run's folder, or goes on in it; gives the checkpoint to start from."""
    config = dataclasses.asdict(setup.config)
    if not setup.config.resume:
        checkpoints.clear()
        setup.folder.start(config)
        return None
    checkpoint = find_checkpoint(setup, checkpoints)
    step = checkpoint.step if checkpoint else 0
    keep = keeps_record(step, steps_between_validations(setup), setup.num_steps)
    setup.folder.go_on(config, keep)
    report.say(f"Resuming after step {step} of {setup.num_steps}")
    return checkpoint


def _write_results(
    setup: Setup,
    fitted: Fit,
    rebalancing: Rebalancing | None,
    classes: np.ndarray,
    confusion: np.ndarray,
    summary: dict,
) -> None:
    setup.folder.write_json("summary.json", summary)
    setup.folder.write_arrays("parameters.npz", **_named_arrays(fitted.state))
    report.say(report.describe_end(summary))
    if rank() == 0:
        pictures.draw_training(setup, fitted, rebalancing, confusion)
    if setup.dataset.scene:
        map_scene(setup, fitted.state, confusion)
    elif rank() == 0:
        pictures.write_gallery(setup.folder, setup.dataset, classes, confusion)
    if rank() == 0:
        report.say(f"Results: {setup.folder.path}")


def _named_arrays(state: TrainState) -> dict[str, np.ndarray]:
    tree = {"params": state.params, "batch_stats": state.batch_stats}
    return traverse_util.flatten_dict(tree, sep="/")


def main(argv: list[str]) -> None:
    """Runs what the flags say."""
    logging.set_verbosity(logging.WARNING)  # JAX tells of each kind of device that it lacks
    try:
        summary = run(config_from_flags())
        if summary["interrupted"]:
            sys.exit(128 + signal.SIGINT)
    except InputError as error:
        if jax.distributed.is_initialized():
            leave_cluster(f"error: [{rank()}] {error}")
        fail(error)
    except jax.errors.JaxRuntimeError as error:
        if not jax.distributed.is_initialized():
            raise
        leave_cluster(
            f"error: [{rank()}] the processes cannot go on: one of them was lost, or failed; see "
            f"what each has printed ({str(error).splitlines()[0]})",
            LOST,
            linger=True,
        )


if __name__ == "__main__":
    define_flags()
    app.run(main, flags_parser=parse_flags)
