"""The cost of checkpoints: the same training with and without them, in turn.

python -m benchmarks.saving --cores 0,1
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import optax

from benchmarks.measure import parse_arguments
from hsi_jax import cluster, data, hetero, train
from hsi_jax.models import find_model
from hsi_jax.run import Checkpoints

STEPS, SAVE_EVERY = 60, (10, 30)


def main() -> None:
    """Prints the time of a step with checkpoints by that without, and that of one save."""
    arguments = parse_arguments(__doc__)
    cluster.emulate_devices(2)
    scene = data.synthetic_scene()
    assert scene.labels is not None  # a synthetic scene has them
    split = data.random_split(scene.labels, seed=0, train_fraction=0.1)
    cube = data.Preprocessing.fit(scene.cube, split.train, 30).transform(scene.cube)
    profile = hetero.parse_profile("1:1")
    plan = hetero.make_plan("balanced", profile, batch_size=128, microbatch_size=16)
    patches = train.Patches.of_scene(cube, scene.labels, 11)
    replicas = train.Replicas(len(profile), patches)
    module = find_model("cnn2d")(scene.num_classes)
    state = train.create_state(module, optax.adam(1e-3), (11, 11, 30), seed=0)

    seconds = {every: [] for every in (0, *SAVE_EVERY)}
    with tempfile.TemporaryDirectory() as folder:
        for repeat in range(arguments.repeats + 1):  # the first one only warms up
            for every, times in seconds.items():
                checkpoints = Checkpoints(Path(folder) / f"{repeat}-{every}", keep=2)

                def fit(every, hooks):
                    course = train.Course.shuffled(split.train, 128, STEPS, save_every=every)
                    train.fit(replicas, state, course, plan=plan, hooks=hooks)

                times.append(_step_seconds(fit, checkpoints, every))
    count = train.count_parameters(state)
    base = np.array(seconds[0][1:])
    print(f"cnn2d, {count:,} parameters and Adam, {STEPS} steps of {1e3 * np.median(base):.0f} ms")
    for every in SAVE_EVERY:
        ratio = np.median(np.array(seconds[every][1:]) / base)
        saved = every * (ratio - 1) * np.median(base)
        print(
            f"a checkpoint every {every} steps: {ratio:.3f} x the time, {1e3 * saved:.0f} ms each"
        )


class _Saving(train.Hook):
    """Notes the moment of each step, and saves."""

    def __init__(self, checkpoints: Checkpoints, every: int):
        self.moments: list[float] = []
        self._checkpoints = checkpoints if every else None

    def on_step(self, step, loss, seconds):
        self.moments.append(time.perf_counter())

    def on_save(self, progress):
        if self._checkpoints:
            self._checkpoints.save(progress)


def _step_seconds(fit: Callable, checkpoints: Checkpoints, every: int) -> float:
    """Wall time of a step after the first, with all saving that it waits for."""
    saving = _Saving(checkpoints, every)
    fit(every, [saving])
    checkpoints.wait()
    return (time.perf_counter() - saving.moments[0]) / (STEPS - 1)


if __name__ == "__main__":
    main()
