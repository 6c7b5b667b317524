"""The training of a run: what it starts from, and what is written after every step."""

import contextlib
import math
from collections.abc import Iterator

from tqdm import tqdm

from hsi_jax.cluster.processes import rank
from hsi_jax.errors import DivergenceError, DriftError
from hsi_jax.hetero import Plan
from hsi_jax.hetero.controller import Controller
from hsi_jax.run import Checkpoint, Checkpoints
from hsi_jax.run.records import Start, Step, training_seconds
from hsi_jax.session import console
from hsi_jax.session.results import evaluate_set
from hsi_jax.session.resume import saver
from hsi_jax.session.setup import Setup
from hsi_jax.train import Fit, Progress, Rebalancing, TrainState, fit


def train(
    setup: Setup,
    plan: Plan,
    rebalancing: Rebalancing | None,
    checkpoints: Checkpoints,
    checkpoint: Checkpoint | None,
) -> Fit:
    """Trains with a progress bar; every step and validation goes to metrics.jsonl at once.

    Args:
        setup: what the run starts from.
        plan: by which the next batch is divided.
        rebalancing: when to time the devices and move shares, or None.
        checkpoints: of the run.
        checkpoint: where to go on, or None.
    """
    split, config = setup.dataset.split, setup.config
    start = Progress.start(setup.state)
    if checkpoint:
        start = Progress.of_checkpoint(checkpoint, setup.state)
    skipped = sum(not math.isfinite(loss) for loss in start.losses)
    trained = _begin_metrics(setup)

    def on_step(step: int, loss: float, seconds: float) -> None:
        nonlocal skipped, trained
        trained += seconds
        rate = float(setup.schedule(step - skipped))  # the optimiser has not seen those
        known = loss if math.isfinite(loss) else None  # JSON has no NaN
        skipped += known is None
        setup.folder.append_record(
            Step(
                step=step,
                loss=known,
                learning_rate=rate,
                seconds=trained,
                step_seconds=seconds,
            )
        )
        bar.set_postfix(loss=f"{loss:.4f}", refresh=False)
        bar.update()

    def validate(state: TrainState, step: int) -> tuple:
        assessments = [evaluate_set(setup, state, name, step) for name in setup.sets_that_choose]
        return assessments[-1].rank

    quiet = True if rank() > 0 else None  # None: a bar on a terminal only
    bar = tqdm(
        total=setup.num_steps, initial=start.step, unit="step", desc="training", disable=quiet
    )
    with bar, _told(checkpoints, config.on_nonfinite):
        return fit(
            setup.replicas,
            setup.state,
            split.train,
            plan=plan,
            num_steps=setup.num_steps,
            seed=config.seed,
            validate=validate if setup.sets_that_choose else None,
            validate_every=setup.steps_between_validations,
            on_step=on_step,
            rebalancing=rebalancing,
            start=start,
            save=saver(setup, rebalancing, checkpoints),
            save_every=config.checkpoint_every,
            skip_nonfinite=config.on_nonfinite == "skip",
            check_every=config.check_every,
            batches=setup.recipe.batches(split.train, setup.dataset.labels),
        )


def _begin_metrics(setup: Setup) -> float:
    """Says how many steps there will be; gives the seconds of the steps before a resumption.

    These are the steps alone, without compiling and validating.
    """
    records = setup.folder.read_records()
    if not records:
        setup.folder.append_record(Start(num_steps=setup.num_steps))
    return training_seconds(records)


def start_rebalancing(
    setup: Setup, checkpoint: Checkpoint | None
) -> tuple[Plan, Rebalancing | None]:
    """When the devices are timed; an adaptive scheme goes on where a checkpoint of them was taken.

    Returns:
        The plan to go on with, and the rebalancing, or None where no device is timed.
    """
    config, plan = setup.config, setup.plan
    if not plan.scheme.retimed:
        return plan, Rebalancing(None, config.retime_every) if config.time_devices else None
    controller = Controller(
        setup.profile,
        plan.batch_size,
        plan.microbatch_size,
        dead_band=config.dead_band,
        hysteresis=config.hysteresis,
    )
    rebalancing = Rebalancing(controller, config.retime_every)
    if checkpoint and checkpoint.facts["rebalancing"]:
        plan = rebalancing.resume(checkpoint.facts["rebalancing"], plan)
    return plan, rebalancing


@contextlib.contextmanager
def _told(checkpoints: Checkpoints, on_nonfinite: str) -> Iterator[None]:
    """Tells of the newest checkpoint where training diverges, and how not to end there again."""
    try:
        yield
    except DriftError:
        checkpoints.wait()
        tell_where_to_go_on(checkpoints, "The training has stopped")
        raise
    except DivergenceError:
        checkpoints.wait()
        if on_nonfinite == "stop":  # else no flag would help that a resumed run may change
            tell_where_to_go_on(checkpoints, "The training has stopped", " --on_nonfinite=skip")
        raise


def tell_where_to_go_on(checkpoints: Checkpoints, event: str, flags: str = "") -> None:
    """Says after an event with which checkpoint, and by which flags, the run can go on."""
    if rank() == 0:  # the others have none
        console.say(console.describe_checkpoints(checkpoints, event, flags))
