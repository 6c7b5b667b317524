"""Our training steps for `benchmarks.throughput`, which starts this program.

Its argument tells the kernels of the convolutions, xla or native. It reads requests from standard
input and answers each with a line of JSON:

- [network, samples, seconds]: whole training steps for so many seconds, at least one, in
  microbatches of so many samples; the seconds per sample of each step.
- ["parts", network, samples]: the parts of a step's time, and the arithmetic of a sample.
- ["product"]: GFLOP/s of a matrix product.
"""

import collections
import functools
import glob
import json
import math
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from flax import linen as nn

from hsi_jax.hetero import deal, make_plan, parse_profile
from hsi_jax.kernels import use_kernels
from hsi_jax.models import find_model
from hsi_jax.train import Patches, Replicas, create_state
from hsi_jax.train.replicas import fetch
from hsi_jax.train.step import train_step

NUM_CLASSES = 16
SIDE = 96  # of the scene of random numbers
LEARNING_RATE, MOMENTUM = 0.01, 0.9

# Side of the patches, bands, samples of a step and the model's options.
NETWORKS = {
    "cnn1d": (1, 200, 1024, {}),
    "cnn2d": (11, 30, 128, {}),
    "cnn3d": (5, 103, 128, {}),
    "hybridsn": (25, 30, 64, {}),
    "resnet20": (64, 3, 64, {"stem": "small"}),
    "resnet18": (64, 3, 16, {"stem": "small"}),
    "resnet50": (64, 3, 16, {"stem": "small"}),
}
PRODUCT = 1024  # rows and columns of the matrices
TRACED_STEPS = 3
SECONDS = 1.0  # for the time of a step

# Parts of a step by the names that JAX gives to its operations; the first that is found counts.
PARTS = {
    "convolutions": r"Conv_\d+",
    "normalisation": r"BatchNorm",
    "dense layers": r"Dense_\d+",
    "pooling": r"max_pool",
    "gather": r"gather|dynamic_slice",
    "activation and shortcuts": r"jvp\(",
    "accumulation and update": r"",
}


class Step(NamedTuple):
    """A training step of some samples, the program that it runs, and a sample's arithmetic."""

    run: Callable[[], float]
    batch: int
    program: Any
    gigaflops: float


def main() -> None:
    """Answers requests until standard input ends."""
    use_kernels(*sys.argv[1:])
    for line in sys.stdin:
        request = json.loads(line)
        answer = {"product": product_speed, "parts": parts}.get(request[0])
        print(json.dumps(answer(*request[1:]) if answer else times(*request)), flush=True)


def times(network: str, microbatch_size: int, seconds: float) -> list[float]:
    """Seconds of the core per sample, of each step."""
    step = make_step(network, microbatch_size)
    found, end = [], time.perf_counter() + seconds
    while not found or time.perf_counter() < end:
        start = time.process_time()
        step.run()
        found.append((time.process_time() - start) / step.batch)
    return found


def product_speed() -> float:
    """The best GFLOP/s of a product of two matrices."""
    matrix = np.random.default_rng(0).normal(size=(PRODUCT, PRODUCT)).astype(np.float32)
    matrix = jax.numpy.asarray(matrix)
    multiply = jax.jit(jax.numpy.dot)
    found = []
    for _ in range(20):
        start = time.process_time()
        jax.block_until_ready(multiply(matrix, matrix))
        found.append(time.process_time() - start)
    return 2e-9 * PRODUCT**3 / min(found)


def parts(network: str, microbatch_size: int) -> dict:
    """Where the time of a step goes, as shares, and the gigaflops of a sample's training."""
    step = make_step(network, microbatch_size)
    text = step.program.as_text()
    names = dict(re.findall(r'%?([\w.\-]+) = [^\n]*?op_name="([^"]*)"', text))
    taken = collections.Counter(dict.fromkeys(PARTS, 0.0))
    for operation, nanoseconds in traced(step):
        name = names.get(operation, "")
        part = next(part for part, pattern in PARTS.items() if re.search(pattern, name))
        taken[part] += nanoseconds
    seconds = np.median(times(network, microbatch_size, SECONDS)) * step.batch
    taken["outside the program"] = max(1e9 * seconds * TRACED_STEPS - sum(taken.values()), 0)
    total = sum(taken.values())
    return {
        "shares": {part: value / total for part, value in taken.most_common()},
        "gflop_per_sample": step.gigaflops,
    }


def traced(step: Step) -> Iterator[tuple[str, float]]:
    """The operations of some steps, each with its typical time, nanoseconds, for each call.

    The median of an operation's calls counts for each of them, because another program may stop
    this one in the middle.
    """
    calls = collections.defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            for _ in range(TRACED_STEPS):
                step.run()
        (file,) = glob.glob(f"{folder}/**/*.xplane.pb", recursive=True)
        for plane in jax.profiler.ProfileData.from_file(file).planes:
            for line in plane.lines:
                for event in line.events:
                    operation = dict(event.stats).get("hlo_op")
                    if operation and not str(operation).startswith(("while", "call")):
                        calls[operation].append(event.duration_ns)
    for operation, durations in calls.items():
        yield str(operation), float(np.median(durations)) * len(durations)


@functools.cache
def make_step(network: str, microbatch_size: int) -> Step:
    """A step that trains once and returns the loss."""
    side, bands, batch, options = NETWORKS[network]
    rng = np.random.default_rng(0)
    module = find_model(network)(num_classes=NUM_CLASSES, **options)
    optimizer = optax.sgd(LEARNING_RATE, MOMENTUM)
    cube = rng.normal(size=(SIDE, SIDE, bands)).astype(np.float32)
    labels = rng.integers(0, NUM_CLASSES, (SIDE, SIDE)).astype(np.int32)
    # Images are cut from a scene too, with a side that need not be odd.
    patches = Patches.of_scene(cube, labels, side // 2 * 2 + 1).replace(patch_size=side)
    plan = make_plan("balanced", parse_profile("1"), batch, microbatch_size)
    replicas = Replicas(1, patches)
    live = replicas.replicate(create_state(module, optimizer, (side, side, bands), seed=0))
    work = replicas.ready(deal(rng.integers(0, SIDE**2, batch).astype(np.int32), plan))
    run = replicas.parallel(train_step, donate=(0,)).lower(live, *work).compile()

    def step():
        nonlocal live
        live, loss = run(live, *work)
        return float(fetch(loss))

    for _ in range(2):
        step()
    return Step(step, batch, run, count_gigaflops(module, (side, side, bands)))


def count_gigaflops(module: nn.Module, shape: tuple[int, ...]) -> float:
    """Products and sums of the convolutions and dense layers, of training with one sample."""
    forward = []

    def count(call, args, kwargs, context):
        out = call(*args, **kwargs)
        if context.method_name == "__call__" and isinstance(context.module, nn.Conv | nn.Dense):
            kernel = context.module.variables["params"]["kernel"]
            forward.append(2e-9 * out.size * math.prod(kernel.shape[:-1]))
        return out

    with nn.intercept_methods(count):
        jax.eval_shape(module.init, jax.random.key(0), jax.numpy.zeros((1, *shape)))
    return 3 * sum(forward) - forward[0]  # nobody needs the gradient of the inputs


if __name__ == "__main__":
    main()
