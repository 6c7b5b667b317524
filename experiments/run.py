"""Trains and evaluates one classifier: `python -m experiments.run --help`."""

import dataclasses
import math
from datetime import datetime

import numpy as np
from absl import app, logging
from flax import traverse_util
from tqdm import tqdm

from experiments import report
from experiments.config import Config
from experiments.dataset import load_dataset, make_patches, make_split
from experiments.flags import config_from_flags, define_flags, fail, parse_flags
from hsi_jax.data.sampler import steps_for_epochs
from hsi_jax.data.scene import Scene
from hsi_jax.data.split import Split
from hsi_jax.errors import InputError
from hsi_jax.evaluate.metrics import confusion_matrix, scores
from hsi_jax.hetero import emulate_devices, make_plan, parse_profile
from hsi_jax.models import find_model, parse_options
from hsi_jax.train import (
    Fit,
    Replicas,
    RunFolder,
    TrainState,
    create_state,
    fit,
    make_optimizer,
    make_schedule,
    predict,
)

VALIDATIONS = 100  # at most, however short the epochs are


def run(config: Config) -> dict:
    """Does one run and returns its summary, which its folder holds as summary.json.

    Raises:
        InputError: on a mistake of the user's, before training; or where training diverges.
    """
    profile = parse_profile(config.profile)
    emulate_devices(len(profile))
    folder = RunFolder(config.workdir or _new_workdir(config), config.overwrite)
    scene = load_dataset(config)
    split = make_split(config, scene)
    patches = make_patches(config, scene, split.train)
    plan = make_plan(config.scheme, profile, config.batch_size, config.microbatch_size)
    replicas = Replicas(profile, plan, patches)
    state, schedule, num_steps = _start(config, scene, split, patches)

    folder.start(dataclasses.asdict(config))
    print(report.describe_start(config, scene, split, patches, state, num_steps))
    fitted = _train(folder, replicas, state, scene, split, schedule, num_steps, config.seed)
    confusion, test_loss = _measure(replicas, fitted.state, scene, split.test)
    record = {"set": "test", "step": fitted.best_step, "loss": test_loss}
    folder.append_metrics({"kind": "evaluation", **record, **_headline(scores(confusion))})
    summary = report.summarise(config, scene, split, replicas, fitted, confusion, test_loss)
    folder.write_json("summary.json", summary)
    folder.write_arrays("parameters.npz", **_named_arrays(fitted.state))
    print(report.describe_end(summary))
    prediction = _predict_scene(replicas, fitted.state, scene)
    report.write_prediction(folder, scene, split, prediction)
    report.draw(folder, scene, split, replicas, fitted, confusion, prediction)
    print(f"Results: {folder.path}")
    return summary


def _start(config: Config, scene: Scene, split: Split, patches) -> tuple:
    """The first state, the learning rate by step, and the number of steps."""
    num_steps = config.steps or steps_for_epochs(len(split.train), config.batch_size, config.epochs)
    schedule = make_schedule(config.schedule, config.learning_rate, num_steps)
    optimizer = make_optimizer(config.optimizer, schedule, config.momentum, config.weight_decay)
    options = parse_options(config.model, config.model_options)
    module = find_model(config.model)(num_classes=scene.num_classes, **options)
    patch_shape = (patches.patch_size, patches.patch_size, patches.cube.shape[-1])
    return create_state(module, optimizer, patch_shape, config.seed), schedule, num_steps


def _train(
    folder: RunFolder,
    replicas: Replicas,
    state: TrainState,
    scene: Scene,
    split: Split,
    schedule,
    num_steps: int,
    seed: int,
) -> Fit:
    """Trains with a progress bar; every step and validation goes to metrics.jsonl at once."""
    epoch = -(-len(split.train) // replicas.plan.batch_size)

    def on_step(step, loss):
        rate = float(schedule(step))
        known = loss if math.isfinite(loss) else None  # JSON has no NaN
        folder.append_metrics({"kind": "step", "step": step, "loss": known, "learning_rate": rate})
        bar.set_postfix(loss=f"{loss:.4f}", refresh=False)
        bar.update()

    def validate(state, step):
        confusion, loss = _measure(replicas, state, scene, split.validation)
        headline = _headline(scores(confusion))
        record = {"set": "validation", "step": step, "loss": loss}
        folder.append_metrics({"kind": "evaluation", **record, **headline})
        return headline["overall_accuracy"], -loss

    with tqdm(total=num_steps, unit="step", desc="training", disable=None) as bar:
        return fit(
            replicas,
            state,
            split.train,
            num_steps,
            seed,
            validate if len(split.validation) else None,
            max(epoch, num_steps // VALIDATIONS),
            on_step,
        )


def _measure(replicas, state, scene: Scene, ids) -> tuple[np.ndarray, float]:
    """Confusion matrix, int [C, C], and mean loss over the given pixels.

    Raises:
        InputError: if the loss is not finite, as after a last update that went astray.
    """
    classes, losses = predict(replicas, state, ids)
    loss = float(np.mean(losses, dtype=np.float64))
    if not math.isfinite(loss):
        raise InputError(
            f"the loss over {len(ids)} pixels is {loss}: training has diverged; "
            f"lower --learning_rate"
        )
    return confusion_matrix(scene.labels.ravel()[ids], classes, scene.num_classes), loss


def _headline(measured) -> dict:
    return {
        "overall_accuracy": measured.overall_accuracy,
        "average_accuracy": measured.average_accuracy,
        "kappa": measured.kappa,
    }


def _predict_scene(replicas, state, scene: Scene) -> np.ndarray:
    """Class indexes of all pixels, int32 [rows, columns]."""
    ids = np.arange(scene.labels.size, dtype=np.int32)
    with tqdm(total=len(ids), unit="pixel", desc="map", disable=None) as bar:
        classes, _ = predict(replicas, state, ids, bar.update)
    return classes.reshape(scene.labels.shape)


def _named_arrays(state: TrainState) -> dict[str, np.ndarray]:
    tree = {"params": state.params, "batch_stats": state.batch_stats}
    return traverse_util.flatten_dict(tree, sep="/")


def _new_workdir(config: Config) -> str:
    return f"runs/{config.dataset}-{config.model}-{datetime.now():%Y%m%d-%H%M%S}"


def main(argv: list[str]) -> None:
    """Runs what the flags say."""
    logging.set_verbosity(logging.WARNING)  # JAX tells of each kind of device that it lacks
    try:
        run(config_from_flags())
    except InputError as error:
        fail(error)


if __name__ == "__main__":
    define_flags()
    app.run(main, flags_parser=parse_flags)
