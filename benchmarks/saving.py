"""What checkpoints cost: the same training with and without them, in turn.

python -m benchmarks.saving --cores 0,1
"""

import tempfile
import time
from pathlib import Path

import jax
import numpy as np
import optax

from benchmarks.measure import parse_arguments
from hsi_jax import data, hetero, train
from hsi_jax.models import find_model

STEPS, SAVE_EVERY = 60, (10, 30)


def main() -> None:
    """Prints the time of a step with checkpoints by that without, and that of one save."""
    arguments = parse_arguments(__doc__.splitlines()[0])
    hetero.emulate_devices(2)
    scene = data.synthetic_scene()
    split = data.random_split(scene.labels, seed=0, fraction=0.1)
    cube = data.Preprocessing.fit(scene.cube, split.train, 30).transform(scene.cube)
    profile = hetero.parse_profile("1:1")
    plan = hetero.make_plan("balanced", profile, batch_size=128, microbatch_size=16)
    replicas = train.Replicas(profile, plan, train.Patches.of_scene(cube, scene.labels, 11))
    module = find_model("cnn2d")(scene.num_classes)
    state = train.create_state(module, optax.adam(1e-3), (11, 11, 30), seed=0)

    seconds = {every: [] for every in (0, *SAVE_EVERY)}
    with tempfile.TemporaryDirectory() as folder:
        for repeat in range(arguments.repeats + 1):  # the first one only warms up
            for every, times in seconds.items():
                checkpoints = train.Checkpoints(Path(folder) / f"{repeat}-{every}", keep=2)
                times.append(_step_seconds(replicas, state, split.train, checkpoints, every))
    count = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    base = np.array(seconds[0][1:])
    print(f"cnn2d, {count:,} parameters and Adam, {STEPS} steps of {1e3 * np.median(base):.0f} ms")
    for every in SAVE_EVERY:
        ratio = np.median(np.array(seconds[every][1:]) / base)
        saved = every * (ratio - 1) * np.median(base)
        print(
            f"a checkpoint every {every} steps: {ratio:.3f} x the time, {1e3 * saved:.0f} ms each"
        )


def _step_seconds(replicas, state, ids, checkpoints, every) -> float:
    """Wall time of a step after the first, with all saving that it waits for."""
    moments = []
    save = checkpoints.save if every else None
    train.fit(
        replicas,
        state,
        ids,
        STEPS,
        seed=0,
        on_step=lambda step, loss, seconds: moments.append(time.perf_counter()),
        save=save,
        save_every=every,
    )
    checkpoints.wait()
    return (time.perf_counter() - moments[0]) / (STEPS - 1)


if __name__ == "__main__":
    main()
