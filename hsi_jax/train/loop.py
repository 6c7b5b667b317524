"""The training loop: it sequences steps, times them and keeps the best state."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import jax
import numpy as np

from hsi_jax.data.sampler import batch_ids
from hsi_jax.errors import InputError
from hsi_jax.hetero import deal
from hsi_jax.hetero.cluster import gather
from hsi_jax.train.interrupt import interrupts
from hsi_jax.train.rebalancing import Rebalancing
from hsi_jax.train.replicas import Replicas, fetch
from hsi_jax.train.state import TrainState
from hsi_jax.train.stepper import Stepper

STEPS_BETWEEN_QUESTIONS = 10


@dataclass(frozen=True)
class Fit:
    """What a training left behind.

    Attributes:
        state: the best by validation, or the last without validation, as NumPy arrays.
        best_step: steps that had been taken by `state`.
        losses: of each step, before its update.
        step_seconds: wall time of each step, from drawing its ids to its loss on the host.
        compile_seconds: wall time of tracing and compiling the step, once.
        interrupted: Ctrl-C ended the training before its last step.
    """

    state: TrainState
    best_step: int
    losses: list[float]
    step_seconds: list[float]
    compile_seconds: float
    interrupted: bool


def fit(
    replicas: Replicas,
    state: TrainState,
    train_ids: np.ndarray,
    num_steps: int,
    seed: int,
    validate: Callable[[TrainState, int], tuple] | None = None,
    validate_every: int = 1,
    on_step: Callable[[int, float], object] = lambda step, loss: None,
    rebalancing: Rebalancing | None = None,
) -> Fit:
    """Trains for `num_steps` steps, or until Ctrl-C.

    Args:
        replicas: the devices, the plan of each batch and the scene.
        state: where to start; not replicated.
        train_ids: sample ids to learn from, int32 [n].
        num_steps: >= 1.
        seed: batch t is a function of (seed, t).
        validate: ranks a state (not replicated) by pixels kept for choosing, never by test pixels;
            the first of the highest rank is the best. It is told how many steps have been taken.
        validate_every: steps between validations; the last step is always validated.
        on_step: told each step's number, from 0, and its loss.
        rebalancing: when to time the devices and how to move shares, or None to keep the plan.

    Raises:
        InputError: if the loss is no longer finite, naming the step.
    """

    def next_work(step):
        ids = batch_ids(train_ids, replicas.plan.batch_size, seed, step)
        return deal(ids, replicas.plan)

    live = replicas.replicate(state)
    stepper = Stepper(replicas, live, next_work(0), timed=rebalancing is not None)
    losses, seconds = [], []
    best, best_step, best_rank = state, 0, None
    with interrupts() as interrupted:
        for step in range(num_steps):
            start = time.perf_counter()
            if rebalancing and rebalancing.is_due(step):
                live, loss, times = stepper.timed_step(live, next_work(step))
                replicas.plan = rebalancing.observe(step, replicas.plan, times)
            else:
                live, loss = stepper.step(live, next_work(step))
            losses.append(loss)
            seconds.append(time.perf_counter() - start)
            on_step(step, loss)
            _check_finite(loss, step)
            last = step + 1 == num_steps or _all_stop(step, interrupted())
            if last or (validate and (step + 1) % validate_every == 0):
                current = fetch(live)
                rank = validate(current, step + 1) if validate else None
                if best_rank is None or rank > best_rank:
                    best, best_step, best_rank = current, step + 1, rank
            if last:
                break
    interrupted = len(losses) < num_steps
    return Fit(best, best_step, losses, seconds, stepper.compile_seconds, interrupted)


def _all_stop(step: int, interrupted: bool) -> bool:
    """Whether any process was interrupted; several processes ask each other only now and then."""
    if jax.process_count() == 1:
        return interrupted
    return step % STEPS_BETWEEN_QUESTIONS == 0 and bool(gather(np.array([interrupted])).any())


def _check_finite(loss: float, step: int) -> None:
    if not math.isfinite(loss):
        raise InputError(
            f"the loss of step {step} is {loss}: training has diverged; lower --learning_rate"
        )
