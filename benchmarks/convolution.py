"""Convolutions inside a loop on CPU: `hsi_jax.kernels.convolution.convolve` against lax's own.

Run with ``python -m benchmarks.convolution [--repeats 7] [--cores 0]``. A layer's value and both
its gradients are computed for several microbatches, once in a ``fori_loop``, as the training step
does, and once each in a program of its own (entry), where XLA:CPU optimises lax's convolution.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax

from benchmarks.measure import interleave, parse_arguments
from hsi_jax.kernels.convolution import convolve

MICROBATCHES = 4

# Input [batch, *spatial, channels], window, features and padding, as in the models.
LAYERS = {
    "1-D 16x200x1, 23 -> 20": ((16, 200, 1), (23,), 20, "VALID"),
    "2-D 16x11x11x30, 3x3 -> 64": ((16, 11, 11, 30), (3, 3), 64, "SAME"),
    "2-D 4x64x64x64, 3x3 -> 64": ((4, 64, 64, 64), (3, 3), 64, "SAME"),
    "2-D 4x32x32x128, 3x3 -> 128": ((4, 32, 32, 128), (3, 3), 128, "SAME"),
    "2-D 4x8x8x512, 3x3 -> 512": ((4, 8, 8, 512), (3, 3), 512, "SAME"),
    "2-D 16x16x16x256, 1x1 -> 64": ((16, 16, 16, 256), (1, 1), 64, "SAME"),
    "3-D 8x24x11x11x8, 5x3x3 -> 16": ((8, 24, 11, 11, 8), (5, 3, 3), 16, "VALID"),
    "3-D 16x97x7x7x24, 7x1x1 -> 24": ((16, 97, 7, 7, 24), (7, 1, 1), 24, "SAME"),
    "3-D 16x97x7x7x24, 97x1x1 -> 128": ((16, 97, 7, 7, 24), (97, 1, 1), 128, "VALID"),
}


def main() -> None:
    """Prints times and their ratios, a row for each layer and place."""
    arguments = parse_arguments(__doc__)
    print(
        f"{MICROBATCHES} microbatches, {arguments.repeats} interleaved repeats; ratio = lax / "
        f"convolve, above 1 where convolve is faster\n\n{'layer':32}  {'where':5}  {'lax ms':>8}  "
        f"{'convolve ms':>11}  {'ratio: min':>10}  {'median':>6}"
    )
    for layer, sizes in LAYERS.items():
        for where, make in {"entry": make_entry, "loop": make_loop}.items():
            calls = {
                "lax": make(lax.conv_general_dilated, sizes),
                "convolve": make(convolve, sizes),
            }
            times = interleave(calls, arguments.repeats)
            ratio = times["lax"] / times["convolve"]
            print(
                f"{layer:32}  {where:5}  {1e3 * np.median(times['lax']):8.2f}  "
                f"{1e3 * np.median(times['convolve']):11.2f}  {ratio.min():10.2f}  "
                f"{np.median(ratio):6.2f}"
            )


def make_loop(conv, sizes):
    """All microbatches in one program, one after the other, gradients summed."""
    gradients, params, microbatches = make_layer(conv, sizes)

    @jax.jit
    def run(params, microbatches, count):
        def add(index, sums):
            return jax.tree.map(jnp.add, sums, gradients(params, microbatches[index]))

        zeros = jax.tree.map(jnp.zeros_like, (jnp.float32(0), (params, microbatches[0])))
        return lax.fori_loop(0, count, add, zeros)

    return partial(run, params, microbatches, MICROBATCHES)


def make_entry(conv, sizes):
    """Each microbatch in a call of its own."""
    gradients, params, microbatches = make_layer(conv, sizes)
    run = jax.jit(gradients)
    return lambda: [run(params, microbatch) for microbatch in microbatches]


def make_layer(conv, sizes):
    """The value and both gradients of a layer, its parameters and its microbatches."""
    shape, window, features, padding = sizes
    layer = nn.Conv(features, window, padding=padding, conv_general_dilated=conv)
    rng = np.random.default_rng(0)
    microbatches = jnp.asarray(rng.normal(size=(MICROBATCHES, *shape)), jnp.float32)
    params = layer.init(jax.random.key(0), microbatches[0])

    def loss(params, inputs):
        outputs: Any = layer.apply(params, inputs)
        return jnp.sum(jnp.square(outputs))

    return jax.value_and_grad(loss, argnums=(0, 1)), params, microbatches


if __name__ == "__main__":
    main()
