"""The training loop: it sequences steps, times them and keeps the best state."""

import math
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hsi_jax.cluster.exchange import end_step, survive_from_now
from hsi_jax.hetero import Plan, Work, deal
from hsi_jax.train.audit import Auditing
from hsi_jax.train.checks import Checks
from hsi_jax.train.course import Course
from hsi_jax.train.feed import Feed
from hsi_jax.train.interrupt import interrupts, signal_to_all
from hsi_jax.train.nonfinite import judge_step
from hsi_jax.train.progress import Progress
from hsi_jax.train.replicas import Replicas, fetch
from hsi_jax.train.speeds import Rebalancing, plan_of_survivors
from hsi_jax.train.state import TrainState
from hsi_jax.train.step_clock import READING, gather_phases
from hsi_jax.train.stepper import AnyStepper, gather_stamps
from hsi_jax.train.surviving_stepper import make_stepper


class Hook:
    """What happens beside a training; a hook overrides what it needs."""

    def on_compiled(self, stepper: AnyStepper) -> None:
        """Called once, before the first step, with the compiled step."""

    def on_sums(self, step: int, digest: np.ndarray) -> None:
        """Called after each step with its number, from 0, and the digest of its sums."""

    def on_step(self, step: int, loss: float, seconds: float) -> None:
        """Called after `on_sums` with the step's number, its loss and its wall time, s."""

    def on_save(self, progress: Progress) -> None:
        """Called with all that the rest depends on: regularly, at the end and at a signal."""


@dataclass(frozen=True)
class Fit:
    """What a training left behind.

    Attributes:
        state: the best by validation, or the last without validation, as NumPy arrays.
        best_step: steps that had been taken by `state`.
        losses: of each step, before its update.
        step_seconds: wall time of each step of this start, from drawing its ids to its loss on the
            host.
        wait_seconds: part of it in which the step waited for its input.
        compile_seconds: wall time of tracing and compiling the step, once, by all processes.
        stopped_by: number of the signal that ended the training before its last step, or 0.
        timeline: when each process began each timed step of this start, had done its own work, and
            ended the step, s since the first of these times, float64 [timed steps, processes, 3].
        phases: where the time of each process went in these steps, s, float32 [timed steps,
            processes, phases]; see `PHASES`.
        plan: by which the last batch, or the next one, is divided.
        microbatches: that each device has done since it was started, [devices].
    """

    state: TrainState
    best_step: int
    losses: list[float]
    step_seconds: list[float]
    wait_seconds: list[float]
    compile_seconds: float
    stopped_by: int
    timeline: np.ndarray
    phases: np.ndarray
    plan: Plan
    microbatches: tuple[int, ...]

    @property
    def interrupted(self) -> bool:
        """Whether a signal ended the training before its last step."""
        return self.stopped_by != 0


def unstepped(state: TrainState, plan: Plan) -> Fit:
    """What a fit without steps left behind: a state, and no losses and times."""
    return _ended(Progress.start(state), plan)


def _ended(progress: Progress, plan: Plan) -> Fit:
    """What a training leaves behind of which no step is left to take."""
    best, none = progress.best, (0,) * len(plan.shares)
    losses = list(progress.losses)
    timed = gather_stamps([]), gather_phases([])
    return Fit(best.state, best.step, losses, [], [], 0.0, 0, *timed, plan, none)


def fit(
    replicas: Replicas,
    start: TrainState | Progress,
    course: Course,
    *,
    plan: Plan,
    hooks: Sequence[Hook] = (),
    rebalancing: Rebalancing | None = None,
    auditing: Auditing | None = None,
) -> Fit:
    """Trains until the last step of the course, or until Ctrl-C or SIGTERM.

    Args:
        replicas: the devices and the samples.
        start: the first state (not replicated), or the progress of a training that goes on; the
            devices may be others than before.
        course: what it goes through.
        plan: how each batch is divided over the devices.
        hooks: called as it goes, in this order.
        rebalancing: when to time the devices and how to move shares, or None to keep the plan.
        auditing: when microbatches are computed twice, or None for never.

    Raises:
        AuditError: if a device computes otherwise than its like.
        DivergenceError: see `judge_step`.
        DriftError: if the devices no longer hold the same state; what was saved is sound.
    """
    progress = start if isinstance(start, Progress) else Progress.start(start)
    done = progress.step
    if done >= course.num_steps or course.gives_up(done, progress.best.step):
        return _ended(progress, plan)
    training = _Training(
        *(replicas, progress, course),
        plan=plan,
        hooks=hooks,
        rebalancing=rebalancing,
        auditing=auditing,
    )
    survive_from_now()
    stopped_by = 0
    with interrupts() as signalled, Feed(replicas, training.next_work, course.num_steps) as feed:
        for step in range(progress.step, course.num_steps):
            training.take_step(step, feed)
            stopped_by = signal_to_all(step, signalled())
            if training.look_back(step + 1, stopped_by) or stopped_by:
                break
    return training.result(stopped_by, feed.wait_seconds)


class _Training:
    """A training that is going on: its state on the devices, and what it has left so far."""

    def __init__(self, replicas, progress, course, *, plan, hooks, rebalancing, auditing):
        self._replicas, self._course, self._hooks = replicas, course, hooks
        self._plan, self._rebalancing, self._best = plan, rebalancing, progress.best
        self._losses, self._seconds = list(progress.losses), []
        self._microbatches = np.zeros(len(plan.shares), int)
        self._live = replicas.replicate(progress.state)
        ready = replicas.ready(self.next_work(progress.step))
        self._stepper = make_stepper(replicas, self._live, ready, timed=rebalancing is not None)
        for hook in hooks:
            hook.on_compiled(self._stepper)
        self._work = ready.dealt  # of the last step
        self._checks = Checks(
            *(replicas, self._live, self._work),
            step=progress.step,
            is_due=course.checks,
            auditing=auditing,
        )

    def next_work(self, step: int) -> Work:
        """The work of a step, by the plan of the moment."""
        return deal(self._course.batches(step), self._plan)

    def take_step(self, step: int, feed: Feed) -> None:
        """Takes one step and tells the hooks."""
        began = time.perf_counter()
        ready = feed.take(step)
        self._work = ready.dealt
        self._microbatches += self._plan.shares
        if self._rebalancing and self._rebalancing.is_due(step):
            self._live, loss, times = self._stepper.timed_step(self._live, ready)
            self._stepper.clocks[-1].seconds[READING] = feed.wait_seconds[-1]
            self._plan = self._rebalancing.observe(step, self._plan, times)
        else:
            self._live, loss = self._stepper.step(self._live, ready)
        self._plan = plan_of_survivors(self._plan, self._rebalancing)
        end_step(step)
        self._losses.append(loss)
        self._seconds.append(time.perf_counter() - began)
        digest = fetch(self._live.digest)
        for hook in self._hooks:
            hook.on_sums(step, digest)
            hook.on_step(step, loss, self._seconds[-1])
        if not math.isfinite(loss):
            self._judge(step)

    def _judge(self, step: int) -> None:
        after = fetch(self._live)  # the step has left the state as it was, but for its number
        judge_step(
            self._replicas,
            after.replace(step=after.step - 1),
            self._course.batches(step),
            microbatch_size=self._plan.microbatch_size,
            losses=self._losses,
            skip=self._course.skip_nonfinite,
        )

    def look_back(self, done: int, stopped_by: int) -> bool:
        """Validates, compares and saves where the course, or a signal, asks for it.

        Returns:
            Whether the training ends early, because it no longer becomes better.
        """
        course, due = self._course, self._course.validates(done)
        if due:
            self._validate(done)
        gives_up = due and course.gives_up(done, self._best.step)
        saves = bool(course.saves(done) or stopped_by or gives_up)
        self._checks.check(self._live, self._work, done, saves=saves)
        if saves and self._hooks:
            progress = Progress(fetch(self._live), tuple(self._losses), self._best, self._plan)
            for hook in self._hooks:
                hook.on_save(progress)
        # After saving: the rest of the training must not know of it.
        if stopped_by and not due and not (course.validate and stopped_by == signal.SIGTERM):
            self._validate(done)
        return gives_up

    def _validate(self, done: int) -> None:
        state = fetch(self._live)
        rank = self._course.validate(state, done) if self._course.validate else None
        self._best = self._best.or_better(state, done, rank)

    def result(self, stopped_by: int, wait_seconds: list[float]) -> Fit:
        """What the training leaves behind."""
        clocks = self._stepper.clocks
        return Fit(
            state=self._best.state,
            best_step=self._best.step,
            losses=self._losses,
            step_seconds=self._seconds,
            wait_seconds=wait_seconds,
            compile_seconds=self._stepper.compile_seconds,
            stopped_by=stopped_by if len(self._losses) < self._course.num_steps else 0,
            timeline=gather_stamps([clock.stamp for clock in clocks]),
            phases=gather_phases(clocks),
            plan=self._plan,
            microbatches=tuple((self._microbatches + self._stepper.moved).tolist()),
        )
