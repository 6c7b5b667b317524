"""Trains and evaluates one classifier: `python -m experiments.run --help`."""

import dataclasses
import signal
import sys
import textwrap

import jax
from absl import app, logging

from experiments import console
from experiments.command_line import (
    define_flags,
    fail,
    help_text,
    message_of,
    options_from_flags,
    parse_flags,
)
from experiments.config import Config
from experiments.resolve import MEASURED, resolve
from experiments.results import evaluate_set, model_of, write_results
from experiments.resume import check_weights, find_checkpoint, keeps_record
from experiments.setup import (
    Setup,
    choose_size,
    claimed_folder,
    describe_choice,
    join_devices,
    measure_speeds,
    set_up,
)
from experiments.summarise import summarise
from experiments.training import start_rebalancing, tell_where_to_go_on, train
from hsi_jax.cluster.processes import leave_cluster, rank
from hsi_jax.errors import HsiJaxError
from hsi_jax.hetero import PRESETS
from hsi_jax.run import Checkpoint, Checkpoints
from hsi_jax.run.summary import Summary

LOST = 1  # exit code where another process was lost: no mistake in what was asked for

USAGE = """\
Trains a classifier of hyperspectral pixels, or of images, on devices of uneven speed.

  python -m experiments.run                                    built-in scene, no download
  python -m experiments.run --dataset=salinas_a --data_dir=DIR --train_fraction=0.1
  python -m experiments.run --dataset=eurosat --augment=flip,rotate
  python -m experiments.run --profile=8:1:1:1 --scheme=even    what DDP would do
"""


def run(config: Config) -> Summary:
    """Does one run, or the rest of one, and returns its summary, which is also summary.json.

    Raises:
        InputError: on a mistake of the user's, before training.
        DivergenceError: where training diverges.
        StorageError: if the results cannot be written.
        SystemExit: with code 143 after SIGTERM; the run can then be resumed.
    """
    resolved = resolve(config)
    profile = join_devices(resolved)
    for line in describe_choice(resolved):
        console.say(line)
    with claimed_folder(config) as folder:
        return _run(set_up(resolved, profile, folder))


def _run(setup: Setup) -> Summary:
    config = setup.config
    if config.microbatch_size == "auto":
        setup, rates = choose_size(setup)
        console.say(console.describe_sizes(rates, setup.plan.microbatch_size))
    with Checkpoints(setup.folder.checkpoints, config.keep_checkpoints) as checkpoints:
        checkpoint = _open_folder(setup, checkpoints)
        if config.tensorboard and rank() == 0:
            setup.folder.write_events()
        console.say(console.describe_start(setup))
        if setup.resolved.profile_name == MEASURED:
            setup = measure_speeds(setup)
        if checkpoint:
            check_weights(setup, checkpoint)
        setup.folder.write_json("profile.json", setup.profile.to_json())
        console.say(console.describe_devices(setup.profile, setup.plan))
        plan, rebalancing = start_rebalancing(setup, checkpoint)
        fitted = train(setup, plan, rebalancing, checkpoints, checkpoint)
    if fitted.stopped_by == signal.SIGTERM:
        tell_where_to_go_on(checkpoints, "SIGTERM ended the training")
        raise SystemExit(128 + signal.SIGTERM)
    if rebalancing and rebalancing.controller:
        setup = dataclasses.replace(setup, profile=rebalancing.controller.profile)
    test = evaluate_set(setup, fitted.state, "test", fitted.best_step)
    summary = summarise(
        setup,
        fitted,
        test,
        profile=setup.profile,
        rebalancing=rebalancing,
        failed_checkpoints=checkpoints.failures,
    )
    model = model_of(setup, fitted.state, fitted.best_step, test)
    write_results(setup, fitted.state, test, model, summary)
    if setup.folder.events:
        setup.folder.events.close()
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
    keep = keeps_record(step, setup.steps_between_validations, setup.num_steps)
    setup.folder.go_on(config, keep)
    console.say(f"Resuming after step {step} of {setup.num_steps}")
    return checkpoint


def run_help() -> str:
    """How to use the program, its flags and the presets of --profile."""
    presets = ", ".join(f"{name} ({':'.join(map(str, s))})" for name, s in PRESETS.items())
    end = textwrap.fill(f"Presets of --profile: {presets}", 98, subsequent_indent="  ")
    return help_text(USAGE, Config, end=end)


def main(argv: list[str]) -> None:
    """Runs what the flags say."""
    logging.set_verbosity(logging.WARNING)  # JAX tells of each kind of device that it lacks
    try:
        summary = run(options_from_flags(Config))
        if summary.interrupted:
            sys.exit(128 + signal.SIGINT)
    except HsiJaxError as error:
        if jax.distributed.is_initialized():
            leave_cluster(f"error: [{rank()}] {message_of(error)}")
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
    define_flags(Config)
    app.run(main, flags_parser=lambda argv: parse_flags(argv, run_help))
