"""The training of a run: what it starts from, and what is written after every step."""

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from tqdm import tqdm

from hsi_jax.cluster.exchange import is_first, num_processes
from hsi_jax.errors import AuditError, DivergenceError, DriftError
from hsi_jax.hetero import Plan
from hsi_jax.hetero.controller import Controller
from hsi_jax.run import Checkpoint, Checkpoints
from hsi_jax.run.records import Start, Step, training_seconds
from hsi_jax.session import console
from hsi_jax.session.results import evaluate_set, reconstruct_set
from hsi_jax.session.setup import Setup
from hsi_jax.train import (
    Assessment,
    Auditing,
    Course,
    Fit,
    Hook,
    Progress,
    Rebalancing,
    TrainState,
    fit,
)
from hsi_jax.train.audit import find_kinds
from hsi_jax.train.baseline import fit_baseline
from hsi_jax.train.digest import VERSION, digest_text
from hsi_jax.train.loop import unstepped

AUDIT_EVERY = 200  # two microbatches in so many steps: at most 1 %, with one a step and device
COMPILING, TRAINING = "compiling", "training"


class Recorder(Hook):
    """Writes every step to metrics.jsonl at once, and moves the progress bar."""

    def __init__(self, setup: Setup, start: Progress, bar: tqdm):
        """For the steps that follow `start`."""
        self._setup, self._bar, self._compiling = setup, bar, True
        self._digest = ""
        self._skipped = sum(not math.isfinite(loss) for loss in start.losses)
        records = setup.folder.read_records()
        if not records:
            parts = setup.fingerprint.parts
            setup.folder.append_record(Start(setup.num_steps, parts, digests=VERSION))
        # Of the steps alone, without compiling and validating.
        self._seconds = training_seconds(records)

    def on_sums(self, step: int, digest: np.ndarray) -> None:
        """See `Hook`."""
        self._digest = digest_text(digest)

    def on_step(self, step: int, loss: float, seconds: float) -> None:
        """See `Hook`."""
        self._seconds += seconds
        # The optimiser has not seen the skipped ones.
        rate = float(np.asarray(self._setup.schedule(step - self._skipped)))
        known = loss if math.isfinite(loss) else None  # JSON has no NaN
        self._skipped += known is None
        self._setup.folder.append_record(
            Step(
                step=step,
                loss=known,
                learning_rate=rate,
                seconds=self._seconds,
                step_seconds=seconds,
                digest=self._digest,
            )
        )
        if self._compiling:
            self._compiling = False
            self._bar.unpause()  # the time of compiling is no time of a step
            self._bar.set_description_str(TRAINING)
        self._bar.set_postfix(loss=f"{loss:.4f}", refresh=False)
        self._bar.update()


def train(
    setup: Setup,
    start: Progress,
    *,
    plan: Plan,
    rebalancing: Rebalancing | None = None,
    hooks: Sequence[Hook] = (),
    on_validation: Callable[[int, Assessment], object] = lambda step, assessment: None,
    quiet: bool = False,
) -> Fit:
    """Trains; every step and validation goes to metrics.jsonl at once.

    Args:
        setup: what the run starts from.
        start: how far it has come.
        plan: by which the next batch is divided.
        rebalancing: when to time the devices and move shares, or None.
        hooks: further ones.
        on_validation: called with the steps taken and the assessment that chooses the state.
        quiet: whether there is no progress bar.
    """
    options = setup.options

    def validate(state: TrainState, step: int) -> tuple:
        if options.learning.pretrains:
            return reconstruct_set(setup, state, "validation", step).rank
        assessments = [evaluate_set(setup, state, name, step) for name in setup.sets_that_choose]
        on_validation(step, assessments[-1])
        return assessments[-1].rank

    course = _course_of(setup, validate if setup.sets_that_choose else None)
    hidden = True if quiet or not is_first() else None  # None: a bar on a terminal only
    total = setup.num_steps
    with tqdm(total=total, initial=start.step, unit="step", desc=COMPILING, disable=hidden) as bar:
        return fit(
            setup.replicas,
            start,
            course,
            plan=plan,
            hooks=[Recorder(setup, start, bar), *hooks],
            rebalancing=rebalancing,
            auditing=start_auditing(setup),
        )


def _course_of(setup: Setup, validate: Callable[[TrainState, int], tuple] | None) -> Course:
    options = setup.options
    return Course(
        batches=setup.dataset.batches(setup.recipe),
        num_steps=setup.num_steps,
        validate=validate,
        validate_every=setup.steps_between_validations,
        save_every=options.checkpoints.checkpoint_every,
        check_every=options.devices.check_every,
        patience=setup.recipe.patience,
        skip_nonfinite=options.checkpoints.on_nonfinite == "skip",
    )


def start_auditing(setup: Setup) -> Auditing | None:
    """When devices are audited, or None for never; says who has no like device.

    Every process must call it.
    """
    asked = setup.options.devices.audit_every
    every = (AUDIT_EVERY if num_processes() > 1 else 0) if asked is None else asked
    if not every:
        return None
    kinds = find_kinds(setup.replicas)
    names = zip(setup.profile.names, kinds, strict=True)
    alone = [name for name, kind in names if kinds.count(kind) < 2]
    if alone:
        names = ", ".join(alone)
        console.print_lines(f"NOTE     not audited, because no other device is like it: {names}")
    return Auditing(every, setup.recipe.seed, kinds) if len(alone) < len(kinds) else None


def start_rebalancing(
    setup: Setup, checkpoint: Checkpoint | None
) -> tuple[Plan, Rebalancing | None]:
    """When the devices are timed; an adaptive scheme goes on where a checkpoint of them was taken.

    Returns:
        The plan to go on with, and the rebalancing, or None where no device is timed.
    """
    options, plan = setup.options, setup.plan
    if not plan.scheme.retimed:
        return plan, Rebalancing(
            None, options.devices.retime_every
        ) if options.devices.time_devices else None
    controller = Controller(
        setup.profile,
        plan.batch_size,
        plan.microbatch_size,
        dead_band=options.devices.dead_band,
        hysteresis=options.devices.hysteresis,
    )
    rebalancing = Rebalancing(controller, options.devices.retime_every)
    if checkpoint and checkpoint.facts["rebalancing"]:
        plan = rebalancing.resume(checkpoint.facts["rebalancing"], plan)
    return plan, rebalancing


@contextlib.contextmanager
def told_where_to_go_on(checkpoints: Checkpoints, on_nonfinite: str) -> Iterator[None]:
    """Names the newest checkpoint where training diverges, and how to avoid that end."""
    try:
        yield
    except (AuditError, DriftError):
        checkpoints.wait()
        tell_where_to_go_on(checkpoints, "The training has stopped")
        raise
    except DivergenceError:
        checkpoints.wait()
        if on_nonfinite == "stop":  # else no flag would help that a resumed run may change
            tell_where_to_go_on(checkpoints, "The training has stopped", " `on_nonfinite`=skip")
        raise


def tell_where_to_go_on(checkpoints: Checkpoints, event: str, flags: str = "") -> None:
    """Says after an event with which checkpoint, and by which flags, the run can go on."""
    if is_first():  # the others have none
        console.print_lines(console.describe_checkpoints(checkpoints, event, flags))


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
