"""The training of a run: what it starts from, and what becomes of every step."""

import contextlib
import math
from collections.abc import Iterator

from tqdm import tqdm

from experiments import report
from experiments.evaluation import evaluate
from experiments.resume import saver
from experiments.setup import Setup
from hsi_jax.errors import InputError
from hsi_jax.evaluate import scores
from hsi_jax.hetero.cluster import rank
from hsi_jax.hetero.controller import Controller
from hsi_jax.train import Checkpoint, Checkpoints, Fit, Progress, Rebalancing, fit

VALIDATIONS = 100  # at most, however short the epochs are


def train(
    setup: Setup,
    rebalancing: Rebalancing | None,
    checkpoints: Checkpoints,
    checkpoint: Checkpoint | None,
) -> Fit:
    """Trains with a progress bar; every step and validation goes to metrics.jsonl at once."""
    split, config = setup.dataset.split, setup.config
    start = checkpoint.progress(setup.state) if checkpoint else Progress.start(setup.state)
    skipped = sum(not math.isfinite(loss) for loss in start.losses)
    trained = _begin_metrics(setup)

    def on_step(step, loss, seconds):
        nonlocal skipped, trained
        trained += seconds
        rate = float(setup.schedule(step - skipped))  # the optimiser has not seen those
        known = loss if math.isfinite(loss) else None  # JSON has no NaN
        skipped += known is None
        record = {"kind": "step", "step": step, "loss": known, "learning_rate": rate}
        record |= {"seconds": trained, "step_seconds": seconds}
        setup.folder.append_metrics(record)
        bar.set_postfix(loss=f"{loss:.4f}", refresh=False)
        bar.update()

    def validate(state, step):
        _, confusion, loss = evaluate(setup, state, "validation", step)
        return scores(confusion).overall_accuracy, -loss

    quiet = True if rank() > 0 else None  # None: a bar on a terminal only
    bar = tqdm(
        total=setup.num_steps, initial=start.step, unit="step", desc="training", disable=quiet
    )
    with bar, _told(checkpoints):
        return fit(
            setup.replicas,
            setup.state,
            split.train,
            setup.num_steps,
            config.seed,
            validate if len(split.validation) else None,
            steps_between_validations(setup),
            on_step,
            rebalancing,
            start=start,
            save=saver(setup, rebalancing, checkpoints),
            save_every=config.checkpoint_every,
            skip_nonfinite=config.on_nonfinite == "skip",
        )


def _begin_metrics(setup: Setup) -> float:
    """Says how many steps there will be; gives the seconds of the steps before a resumption.

    These are the steps alone, without compiling and validating.
    """
    records = setup.folder.read_metrics()
    if not records:
        setup.folder.append_metrics({"kind": "start", "num_steps": setup.num_steps})
    return max((r.get("seconds", 0.0) for r in records), default=0.0)


def make_rebalancing(setup: Setup, checkpoint: Checkpoint | None) -> Rebalancing | None:
    """The scheme `adaptive`, which goes on where the checkpoint's devices are these ones."""
    config = setup.config
    if config.scheme != "adaptive":
        return Rebalancing(None, config.retime_every) if config.time_devices else None
    controller = Controller(
        setup.replicas.profile,
        config.batch_size,
        config.microbatch_size,
        dead_band=config.dead_band,
        hysteresis=config.hysteresis,
    )
    rebalancing = Rebalancing(controller, config.retime_every)
    if checkpoint and checkpoint.facts["rebalancing"]:
        before = checkpoint.facts["rebalancing"]
        setup.replicas.plan = rebalancing.resume(before, setup.replicas.plan)
    return rebalancing


def steps_between_validations(setup: Setup) -> int:
    """An epoch, or more where there would be too many validations."""
    epoch = -(-len(setup.dataset.split.train) // setup.config.batch_size)
    return max(epoch, setup.num_steps // VALIDATIONS)


@contextlib.contextmanager
def _told(checkpoints: Checkpoints) -> Iterator[None]:
    """Tells of the newest checkpoint where training diverges."""
    try:
        yield
    except InputError:
        checkpoints.wait()
        tell_where_to_go_on(checkpoints, "The training has stopped")
        raise


def tell_where_to_go_on(checkpoints: Checkpoints, event: str) -> None:
    """Says after an event with which checkpoint, and how, the run can go on."""
    if rank() == 0:  # the others have none
        report.say(report.describe_checkpoints(checkpoints, event))
