"""One run from its configuration to its results; `experiments.run` is the command."""

import dataclasses
import signal

from hsi_jax.cluster.processes import rank
from hsi_jax.kernels.building import use_kernels
from hsi_jax.kernels.program_cache import keep_compiled
from hsi_jax.models import find_trait
from hsi_jax.run import Checkpoint, Checkpoints
from hsi_jax.run.summary import Summary
from hsi_jax.session import console
from hsi_jax.session.baseline import run_baseline
from hsi_jax.session.config import Config
from hsi_jax.session.resolve import MEASURED, resolve
from hsi_jax.session.results import evaluate_set, model_of
from hsi_jax.session.resume import check_weights, find_checkpoint, keeps_record
from hsi_jax.session.setup import (
    Setup,
    choose_size,
    claimed_folder,
    describe_choice,
    join_devices,
    measure_speeds,
    set_up,
)
from hsi_jax.session.summarise import summarise
from hsi_jax.session.training import start_rebalancing, tell_where_to_go_on, train


def do_run(config: Config) -> Summary:
    """Does what `experiments.run.run` says."""
    resolved = resolve(config)
    profile = join_devices(resolved)
    keep_compiled()
    use_kernels(config.kernels)
    for line in describe_choice(resolved):
        console.say(line)
    with claimed_folder(config) as folder:
        return _run(set_up(resolved, profile, folder))


def _run(setup: Setup) -> Summary:
    config = setup.config
    if not find_trait(config.model_name, "trained_by_gradient"):
        return run_baseline(setup)
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
    from hsi_jax.session.writing import write_results  # here: Matplotlib would delay the first step

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
    keep = keeps_record(
        step, setup.sets_that_choose, setup.steps_between_validations, setup.num_steps
    )
    setup.folder.go_on(config, keep)
    console.say(f"Resuming after step {step} of {setup.num_steps}")
    return checkpoint
