"""The training loop: it sequences steps, times them and keeps the best state."""

import math
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from hsi_jax.cluster.exchange import gather, num_processes
from hsi_jax.data.sampler import batch_ids
from hsi_jax.hetero import Plan, deal
from hsi_jax.train.drift import DriftCheck
from hsi_jax.train.feed import Feed
from hsi_jax.train.host_stepper import make_stepper
from hsi_jax.train.interrupt import interrupts
from hsi_jax.train.nonfinite import judge_step
from hsi_jax.train.progress import Progress
from hsi_jax.train.replicas import Replicas, fetch
from hsi_jax.train.speeds import Rebalancing
from hsi_jax.train.state import TrainState
from hsi_jax.train.stepper import gather_stamps

STEPS_BETWEEN_SIGNAL_CHECKS = 10  # in a cluster, where asking all processes takes time


@dataclass(frozen=True)
class Fit:
    """What a training left behind.

    Attributes:
        state: the best by validation, or the last without validation, as NumPy arrays.
        best_step: steps that had been taken by `state`.
        losses: of each step, before its update; of those before `start` as well.
        step_seconds: wall time of each step since `start`, from drawing its ids to its loss on the
            host.
        wait_seconds: part of it in which the step waited for its input.
        compile_seconds: wall time of tracing and compiling the step, once, by all processes.
        stopped_by: number of the signal that ended the training before its last step, or 0.
        timeline: when each process began each timed step since `start`, had done its own work, and
            ended the step, s since the first of these times, float64 [timed steps, processes, 3].
        plan: by which the last batch, or the next one, is divided.
        microbatches: that each device has done since `start`, [devices].
    """

    state: TrainState
    best_step: int
    losses: list[float]
    step_seconds: list[float]
    wait_seconds: list[float]
    compile_seconds: float
    stopped_by: int
    timeline: np.ndarray
    plan: Plan
    microbatches: tuple[int, ...]

    @property
    def interrupted(self) -> bool:
        """Whether a signal ended the training before its last step."""
        return self.stopped_by != 0


def unstepped(state: TrainState, plan: Plan) -> Fit:
    """What a fit without steps left behind: a state, and no losses and times."""
    return Fit(state, 0, [], [], [], 0.0, 0, gather_stamps([]), plan, (0,) * len(plan.shares))


def fit(
    replicas: Replicas,
    state: TrainState,
    train_ids: np.ndarray,
    *,
    plan: Plan,
    num_steps: int,
    seed: int,
    validate: Callable[[TrainState, int], tuple] | None = None,
    validate_every: int = 1,
    on_step: Callable[[int, float, float], object] = lambda step, loss, seconds: None,
    rebalancing: Rebalancing | None = None,
    start: Progress | None = None,
    save: Callable[[Progress], object] | None = None,
    save_every: int = 0,
    skip_nonfinite: bool = False,
    check_every: int = 100,
    batches: Callable[[int], np.ndarray] | None = None,
) -> Fit:
    """Trains until `num_steps` steps have been taken, or until Ctrl-C or SIGTERM.

    Args:
        replicas: the devices and the samples.
        state: the first state; not replicated.
        train_ids: sample ids to learn from, int32 [n].
        plan: how each batch is divided over the devices.
        num_steps: >= 1.
        seed: batch t is a function of (seed, t), in which every sample comes once an epoch.
        validate: ranks a state (not replicated) by samples kept for choosing, not those of the
            test; the first of the highest rank is the best. It is told how many steps have been
            taken.
        validate_every: steps between validations; the last step is always validated, and so is
            the one after which Ctrl-C, but not SIGTERM, ended the training.
        on_step: told each step's number, from 0, its loss and its wall time, s.
        rebalancing: when to time the devices and how to move shares, or None to keep the plan.
        start: where to go on, or None for the first step; the devices may be others than before.
        save: given the progress, as for `Checkpoints.save`, at the end and when a signal ends it.
        save_every: steps between further calls of `save`, or 0 for none.
        skip_nonfinite: leaves out a batch whose loss or gradient is not finite, instead of raising
            an error; the optimiser and its schedule do not see it.
        check_every: steps between comparisons of the parameters of all devices, where there are
            several processes; 0 for none but those before each `save`.
        batches: the sample ids of each step, int32 [plan.batch_size], a function of the step alone,
            instead of those of train_ids and seed; see `Recipe.batches`.

    Raises:
        DivergenceError: see `judge_step`.
        DriftError: if the devices no longer hold the same state; what was saved is sound.
    """

    ids_of = batches or partial(batch_ids, train_ids, plan.batch_size, seed)

    def next_work(step):
        return deal(ids_of(step), plan)

    def validated(best, state, step):
        return best.or_better(state, step, validate(state, step) if validate else None)

    start = start or Progress.start(state)
    losses, seconds, stopped_by, best = list(start.losses), [], 0, start.best
    if start.step >= num_steps:
        timeline = gather_stamps([])
        none = (0,) * len(plan.shares)
        return Fit(best.state, best.step, losses, [], [], 0.0, stopped_by, timeline, plan, none)
    microbatches = np.zeros(len(plan.shares), int)
    live = replicas.replicate(start.state)
    ready = replicas.ready(next_work(start.step))
    stepper = make_stepper(replicas, live, ready, timed=rebalancing is not None)
    agreement = DriftCheck(replicas, live, start.step) if num_processes() > 1 else None
    with interrupts() as signalled, Feed(replicas, next_work, num_steps) as feed:
        for step in range(start.step, num_steps):
            began = time.perf_counter()
            ready = feed.take(step)
            microbatches += plan.shares
            if rebalancing and rebalancing.is_due(step):
                live, loss, times = stepper.timed_step(live, ready)
                plan = rebalancing.observe(step, plan, times)
            else:
                live, loss = stepper.step(live, ready)
            losses.append(loss)
            seconds.append(time.perf_counter() - began)
            on_step(step, loss, seconds[-1])
            if not math.isfinite(loss):
                after = fetch(live)  # the step has left the state as it was, but for its number
                judge_step(
                    replicas,
                    after.replace(step=after.step - 1),
                    ids_of(step),
                    microbatch_size=plan.microbatch_size,
                    losses=losses,
                    skip=skip_nonfinite,
                )
            stopped_by = _signal_to_all(step, signalled())
            done, last = step + 1, step + 1 == num_steps
            due = last or (validate and done % validate_every == 0)
            if due:
                best = validated(best, fetch(live), done)
            saves = last or stopped_by or (save_every and done % save_every == 0)
            if agreement and (saves or (check_every and done % check_every == 0)):
                agreement.check(live, done)
            if save and saves:
                save(Progress(fetch(live), tuple(losses), best, plan))
            if stopped_by and not last:
                # After saving: the rest of the training must not know of it.
                if not due and not (validate and stopped_by == signal.SIGTERM):
                    best = validated(best, fetch(live), done)
                break
    return Fit(
        state=best.state,
        best_step=best.step,
        losses=losses,
        step_seconds=seconds,
        wait_seconds=feed.wait_seconds,
        compile_seconds=stepper.compile_seconds,
        stopped_by=stopped_by if len(losses) < num_steps else 0,
        timeline=gather_stamps(stepper.stamps),
        plan=plan,
        microbatches=tuple(microbatches.tolist()),
    )


def _signal_to_all(step: int, number: int) -> int:
    """The highest signal that came to any process, which ask each other only now and then."""
    if num_processes() == 1:
        return number
    if step % STEPS_BETWEEN_SIGNAL_CHECKS:
        return 0
    return int(gather(np.array([number], np.int32)).max())
