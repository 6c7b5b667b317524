"""Time of a training step: devices that loop over their own share against padding to the largest.

Run with ``python -m benchmarks.step_time [--repeats 7] [--cores 0]``. Padding every device to the
largest share is the habit of SPMD code, whose shapes must be equal; here shares are data. The
devices are emulated and share the cores, so that the total work, more than the slowest device,
decides the time: these ratios show what padding costs in work, not what a real machine would gain.
"""

from collections.abc import Callable

import jax
import numpy as np
import optax

from benchmarks.measure import interleave, parse_arguments
from hsi_jax.cluster import emulate_devices
from hsi_jax.hetero import Plan, Work, deal, make_plan, parse_profile
from hsi_jax.models import find_model
from hsi_jax.train import Patches, Replicas, create_state
from hsi_jax.train.replicas import fetch
from hsi_jax.train.step import train_step

# Profiles with batch sizes that they divide exactly.
BATCH_SIZES = {"2:1:1": 128, "8:1:1:1": 176}
MICROBATCH_SIZE = 16
SCENE = (64, 64, 30)  # rows, columns, bands
PATCH_SIZE = 11
NUM_CLASSES = 9


def main() -> None:
    """Prints times and their ratios, a row for each profile."""
    arguments = parse_arguments(__doc__)
    emulate_devices(4)
    print(
        f"cnn2d, {PATCH_SIZE}x{PATCH_SIZE}x{SCENE[2]}, microbatches of {MICROBATCH_SIZE}, "
        f"{arguments.repeats} interleaved repeats; ratio = padded / looped\n"
        f"The emulated devices share the cores: total work, not the slowest device, decides.\n\n"
        f"{'profile':8}  {'shares':12}  {'looped ms':>9}  {'padded ms':>9}  {'work':>5}  "
        f"{'ratio: min':>10}  {'median':>6}"
    )
    for text, batch_size in BATCH_SIZES.items():
        plan = make_plan("balanced", parse_profile(text), batch_size, MICROBATCH_SIZE)
        work = deal(random_ids(batch_size), plan)
        calls = make_steps(text, plan, {"looped": work, "padded": pad_to_largest(work, plan)})
        times = interleave(calls, arguments.repeats)
        ratio = times["padded"] / times["looped"]
        work_ratio = len(plan.shares) * max(plan.shares) / plan.microbatches
        print(
            f"{text:8}  {plan.shares!s:12}  {1e3 * np.median(times['looped']):9.0f}  "
            f"{1e3 * np.median(times['padded']):9.0f}  {work_ratio:5.2f}  {ratio.min():10.2f}  "
            f"{np.median(ratio):6.2f}"
        )


def random_ids(batch_size: int) -> np.ndarray:
    """Sample ids, int32 [batch_size]."""
    return np.random.default_rng(0).integers(0, SCENE[0] * SCENE[1], batch_size).astype(np.int32)


def pad_to_largest(work: Work, plan: Plan) -> Work:
    """The same work with every device looping as often as the one with the largest share."""
    # The extra microbatches are not masked, because batch normalisation without a single sample
    # is 0 / 0. So the loss is not that of the batch, but computing it takes the same time.
    largest = max(plan.shares)
    mask = work.mask.copy()
    for device, share in enumerate(plan.shares):
        mask[device, share:largest] = 1
    return work.replace(mask=mask, count=np.full_like(work.count, largest))


def make_steps(profile: str, plan: Plan, works: dict[str, Work]) -> dict[str, Callable[[], None]]:
    """Calls that run one training step each, all by the same compiled program."""
    rng = np.random.default_rng(0)
    cube = rng.normal(size=SCENE).astype(np.float32)
    labels = rng.integers(0, NUM_CLASSES, SCENE[:2]).astype(np.int32)
    module = find_model("cnn2d")(num_classes=NUM_CLASSES)
    state = create_state(module, optax.sgd(0.01), (PATCH_SIZE, PATCH_SIZE, SCENE[2]), seed=0)
    patches = Patches.of_scene(cube, labels, PATCH_SIZE)
    replicas = Replicas(len(parse_profile(profile)), patches)
    live = replicas.replicate(state)
    step = replicas.parallel(train_step)

    def run(work):
        # Waiting for each step keeps emulated devices from running out of threads.
        _, loss = jax.block_until_ready(step(live, *replicas.ready(work)))
        if not np.isfinite(fetch(loss)):
            raise FloatingPointError("the loss of the benchmark is not finite")

    return {name: lambda work=work: run(work) for name, work in works.items()}


if __name__ == "__main__":
    main()
