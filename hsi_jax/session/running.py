"""One run, from its options to its results; `hsi_jax.commands.run` is the command."""

import dataclasses
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hsi_jax.cluster.exchange import can_survive, is_first
from hsi_jax.data.scene.scene import Scene
from hsi_jax.data.splits.split import Split
from hsi_jax.kernels import use_compilation_cache
from hsi_jax.models import find_trait
from hsi_jax.options import with_values
from hsi_jax.run import Checkpoint, Checkpoints
from hsi_jax.run.pretraining_summary import PretrainingSummary
from hsi_jax.run.summary import Summary
from hsi_jax.run.summary_devices import MeasuredEven
from hsi_jax.session import console
from hsi_jax.session.data_options import GIVEN
from hsi_jax.session.even_steps import EvenSteps
from hsi_jax.session.kernels import with_kernels
from hsi_jax.session.loading import given_dataset
from hsi_jax.session.options import RunOptions
from hsi_jax.session.pretraining import finish_pretraining
from hsi_jax.session.resolve import MEASURED, resolve
from hsi_jax.session.results import evaluate_set, model_of
from hsi_jax.session.resume import Saver, check_weights, find_checkpoint, keeps_record
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
from hsi_jax.session.takeover import share_records
from hsi_jax.session.training import (
    fit_at_once,
    start_rebalancing,
    tell_where_to_go_on,
    told_where_to_go_on,
    train,
)
from hsi_jax.train import Fit, Hook, Progress, Rebalancing
from hsi_jax.trained import TrainedModel


@dataclass(frozen=True)
class Result:
    """What a run has found, and where it lies.

    Attributes:
        summary: also in summary.json; without labels a `PretrainingSummary`.
        model: of the state that validation chose, or of the last one without validation.
        folder: of the run.
    """

    summary: Summary | PretrainingSummary
    model: TrainedModel
    folder: Path


@dataclass(frozen=True)
class _Trained:
    """A training that has ended, before its test."""

    setup: Setup
    fitted: Fit
    rebalancing: Rebalancing | None = None
    checkpoints: Checkpoints | None = None
    seconds: float | None = None
    even: MeasuredEven | None = None


def run(options: RunOptions, *, scene: Scene | None = None, split: Split | None = None) -> Result:
    """Does one run, or the rest of one.

    Args:
        options: all that decides it.
        scene: with labels, instead of one that the options name; it is not kept in the folder, so
            `resume` needs it again.
        split: of its labelled pixels, instead of the one that the options name.

    Raises:
        InputError: on a mistake of the user's, before training.
        DivergenceError: if the training diverges.
        StorageError: if the results cannot be written.
        SystemExit: with code 143 after SIGTERM; the run can then be resumed.
    """
    if scene is not None:
        options = with_values(options, dataset=GIVEN)
    resolved = resolve(options)
    options = resolved.options
    profile = join_devices(resolved)
    use_compilation_cache()
    resolved = with_kernels(resolved)
    for line in describe_choice(resolved):
        console.print_lines(line)
    given = given_dataset(resolved, scene, split)
    with claimed_folder(options) as folder:
        setup = set_up(resolved, profile, folder, given)
        by_gradient = find_trait(options.model_name, "trained_by_gradient")
        return _finish(_train(setup) if by_gradient else _fit_at_once(setup))


def _train(setup: Setup) -> _Trained:
    if setup.options.recipe.microbatch_size == "auto":
        setup, rates = choose_size(setup)
        console.print_lines(console.describe_sizes(rates, setup.plan.microbatch_size))
    with Checkpoints(
        setup.folder.checkpoints, setup.options.checkpoints.keep_checkpoints
    ) as checkpoints:
        checkpoint = _open_folder(setup, checkpoints)
        if is_first():
            setup.folder.track(setup.options.output.trackers, setup.options.to_json())
        console.print_lines(console.describe_start(setup))
        if setup.resolved.profile_name == MEASURED:
            setup = measure_speeds(setup)
        if checkpoint:
            check_weights(setup, checkpoint)
        setup.folder.write_json("profile.json", setup.profile.to_json())
        console.print_lines(console.describe_devices(setup.profile, setup.plan))
        plan, rebalancing = start_rebalancing(setup, checkpoint)
        start = Progress.start(setup.state)
        if checkpoint:
            start = Progress.of_checkpoint(checkpoint, setup.state)
        # The first process alone saves; the others may have to do so later.
        saves = is_first() or can_survive()
        hooks: list[Hook] = [Saver(setup, rebalancing, checkpoints)] if saves else []
        even = EvenSteps(setup, plan)
        hooks += [even] if setup.options.devices.measure_even else []
        with told_where_to_go_on(checkpoints, setup.options.checkpoints.on_nonfinite):
            fitted = train(setup, start, plan=plan, rebalancing=rebalancing, hooks=hooks)
    if fitted.stopped_by == signal.SIGTERM:
        tell_where_to_go_on(checkpoints, "SIGTERM ended the training")
        raise SystemExit(128 + signal.SIGTERM)
    if rebalancing and rebalancing.controller:
        setup = dataclasses.replace(setup, profile=rebalancing.controller.profile)
    return _Trained(setup, fitted, rebalancing, checkpoints, even=even.measured)


def _fit_at_once(setup: Setup) -> _Trained:
    """The training of a classical baseline."""
    setup.folder.start(setup.options.to_json())
    setup.folder.write_json("profile.json", setup.profile.to_json())
    console.print_lines(console.describe_start(setup))
    setup, fitted, seconds, note = fit_at_once(setup)
    console.print_lines(f"Fitted in {seconds:.1f} s: {note}")
    return _Trained(setup, fitted, seconds=seconds)


def _finish(trained: _Trained) -> Result:
    """Tests the chosen state, and writes what the run has found."""
    setup, fitted = trained.setup, trained.fitted
    failures = trained.checkpoints.failures if trained.checkpoints else []
    facts = {
        "rebalancing": trained.rebalancing,
        "failed_checkpoints": failures,
        "train_seconds": trained.seconds,
        "even": trained.even,
    }
    finish = finish_pretraining if setup.options.learning.pretrains else _finish_classifier
    summary, model = finish(setup, fitted, **facts)
    for tracker in setup.folder.trackers:
        tracker.close()
    if trained.checkpoints and (fitted.interrupted or failures):
        event = "Ctrl-C" if fitted.interrupted else "Done"
        tell_where_to_go_on(trained.checkpoints, event)
    return Result(summary, model, setup.folder.path)


def _finish_classifier(setup: Setup, fitted: Fit, **facts: Any) -> tuple[Summary, TrainedModel]:
    from hsi_jax.session.writing import write_results  # Matplotlib would delay the first step

    test = evaluate_set(setup, fitted.state, "test", fitted.best_step)
    summary = summarise(setup, fitted, test, **facts)
    model = model_of(setup, fitted.state, fitted.best_step, test)
    summary = write_results(setup, fitted.state, test=test, model=model, summary=summary)
    return summary, model


def _open_folder(setup: Setup, checkpoints: Checkpoints) -> Checkpoint | None:
    """Begins the run's folder, or continues it; gives the checkpoint to start from."""
    options = setup.options.to_json()
    if not setup.options.checkpoints.resume:
        checkpoints.clear()
        setup.folder.start(options)
        return None
    checkpoint = find_checkpoint(setup, checkpoints)
    step = checkpoint.step if checkpoint else 0
    keep = keeps_record(
        step, setup.sets_that_choose, setup.steps_between_validations, setup.num_steps
    )
    setup.folder.go_on(options, keep)
    share_records(setup.folder)
    console.print_lines(f"Resuming after step {step} of {setup.num_steps}")
    return checkpoint
