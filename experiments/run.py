"""Trains and evaluates one classifier: `python -m experiments.run --help`."""

import dataclasses
import math
import os
import sys

import jax
import numpy as np
from absl import app, logging
from flax import traverse_util
from tqdm import tqdm

from experiments import report
from experiments.config import Config
from experiments.flags import config_from_flags, define_flags, fail, parse_flags
from experiments.setup import Setup, measure_speeds, set_up
from hsi_jax.errors import InputError
from hsi_jax.evaluate import confusion_matrix, scores
from hsi_jax.hetero.cluster import rank
from hsi_jax.hetero.controller import Controller
from hsi_jax.train import Fit, Rebalancing, TrainState, fit, predict

VALIDATIONS = 100  # at most, however short the epochs are


def run(config: Config) -> dict:
    """Does one run and returns its summary, which its folder holds as summary.json.

    Raises:
        InputError: on a mistake of the user's, before training; or where training diverges.
    """
    setup = set_up(config)
    setup.folder.start(dataclasses.asdict(config))
    say(report.describe_start(setup))
    if config.profile_name == "measured":
        measure_speeds(setup)
    setup.folder.write_json("profile.json", setup.replicas.profile.to_json())
    say(report.describe_devices(setup.replicas))

    rebalancing = _make_rebalancing(setup)
    fitted = _train(setup, rebalancing)
    if rebalancing:
        setup.replicas.profile = rebalancing.controller.profile
    confusion, test_loss = _evaluate(setup, fitted.state, "test", fitted.best_step)
    summary = report.summarise(setup, fitted, rebalancing, confusion, test_loss)
    setup.folder.write_json("summary.json", summary)
    setup.folder.write_arrays("parameters.npz", **_named_arrays(fitted.state))
    say(report.describe_end(summary))

    prediction = _predict_scene(setup, fitted.state)
    if rank() == 0:
        report.write_prediction(setup, prediction)
        report.draw(setup, fitted, rebalancing, confusion, prediction)
        say(f"Results: {setup.folder.path}")
    return summary


def say(text: str) -> None:
    """Prints; in a cluster, with the number of the process before each line."""
    if jax.process_count() > 1:
        text = "\n".join(f"[{rank()}] {line}" for line in text.splitlines())
    print(text, flush=True)


def _make_rebalancing(setup: Setup) -> Rebalancing | None:
    config = setup.config
    if config.scheme != "adaptive":
        return None
    controller = Controller(
        setup.replicas.profile,
        config.batch_size,
        config.microbatch_size,
        dead_band=config.dead_band,
    )
    return Rebalancing(controller, config.retime_every)


def _train(setup: Setup, rebalancing: Rebalancing | None) -> Fit:
    """Trains with a progress bar; every step and validation goes to metrics.jsonl at once."""
    split = setup.split
    epoch = -(-len(split.train) // setup.config.batch_size)

    def on_step(step, loss):
        rate = float(setup.schedule(step))
        known = loss if math.isfinite(loss) else None  # JSON has no NaN
        record = {"kind": "step", "step": step, "loss": known, "learning_rate": rate}
        setup.folder.append_metrics(record)
        bar.set_postfix(loss=f"{loss:.4f}", refresh=False)
        bar.update()

    def validate(state, step):
        confusion, loss = _evaluate(setup, state, "validation", step)
        return scores(confusion).overall_accuracy, -loss

    quiet = True if rank() > 0 else None  # None: a bar on a terminal only
    with tqdm(total=setup.num_steps, unit="step", desc="training", disable=quiet) as bar:
        return fit(
            setup.replicas,
            setup.state,
            split.train,
            setup.num_steps,
            setup.config.seed,
            validate if len(split.validation) else None,
            max(epoch, setup.num_steps // VALIDATIONS),
            on_step,
            rebalancing,
        )


def _evaluate(setup: Setup, state: TrainState, name: str, step: int) -> tuple[np.ndarray, float]:
    """Confusion matrix, int [C, C], and mean loss over a set of the split; also into the metrics.

    Raises:
        InputError: if the loss is not finite, as after a last update that went astray.
    """
    ids = getattr(setup.split, name)
    classes, losses = predict(setup.replicas, state, ids)
    loss = float(np.mean(losses, dtype=np.float64))
    if not math.isfinite(loss):
        raise InputError(
            f"the loss over {len(ids)} pixels is {loss}: training has diverged; "
            f"lower --learning_rate"
        )
    confusion = confusion_matrix(setup.scene.labels.flat[ids], classes, setup.scene.num_classes)
    measured = scores(confusion)
    setup.folder.append_metrics(
        {
            "kind": "evaluation",
            "set": name,
            "step": step,
            "loss": loss,
            "overall_accuracy": measured.overall_accuracy,
            "average_accuracy": measured.average_accuracy,
            "kappa": measured.kappa,
        }
    )
    return confusion, loss


def _predict_scene(setup: Setup, state: TrainState) -> np.ndarray:
    """Class indexes of all pixels, int32 [rows, columns]."""
    ids = np.arange(setup.scene.labels.size, dtype=np.int32)
    quiet = True if rank() > 0 else None
    with tqdm(total=len(ids), unit="pixel", desc="map", disable=quiet) as bar:
        classes, _ = predict(setup.replicas, state, ids, bar.update)
    return classes.reshape(setup.scene.labels.shape)


def _named_arrays(state: TrainState) -> dict[str, np.ndarray]:
    tree = {"params": state.params, "batch_stats": state.batch_stats}
    return traverse_util.flatten_dict(tree, sep="/")


def main(argv: list[str]) -> None:
    """Runs what the flags say."""
    logging.set_verbosity(logging.WARNING)  # JAX tells of each kind of device that it lacks
    try:
        run(config_from_flags())
    except InputError as error:
        if jax.distributed.is_initialized():
            # A normal exit would wait for the other processes, and they for this one.
            print(f"error: [{rank()}] {error}", file=sys.stderr, flush=True)
            os._exit(2)
        fail(error)


if __name__ == "__main__":
    define_flags()
    app.run(main, flags_parser=parse_flags)
