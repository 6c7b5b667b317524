"""Exact sums against float32 sums: what adding one microbatch's gradients to them takes.

Run with ``python -m benchmarks.exact_sums [--repeats 30] [--cores 0]``. The gradients are those of
the cnn2d, half a million numbers, made by one product so that there is little else to do. The time
of a term is the difference between sums of many and of few terms.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.measure import interleave, parse_arguments
from hsi_jax.hetero.exact import exact_sum

SHAPES = ((3, 3, 30, 64), (3, 3, 64, 64), (3, 3, 64, 128), (3200, 128), (128, 9), (128,), (9,))
FEW, MANY = 2, 12  # terms


def main() -> None:
    """Prints milliseconds a term of both sums."""
    arguments = parse_arguments(__doc__)
    rng = np.random.default_rng(0)
    grads = [jnp.asarray(rng.normal(size=shape) * 1e-3, jnp.float32) for shape in SHAPES]
    calls = {}
    for name, add in {"float32": float_sum, "exact": partial(exact_sum, max_terms=MANY)}.items():
        summed = jax.jit(partial(sum_terms, add))
        for count in (FEW, MANY):
            calls[name, count] = partial(summed, grads, jnp.int32(count))
    times = interleave(calls, arguments.repeats)
    print(f"{sum(grad.size for grad in grads):,} numbers, {arguments.repeats} repeats in turn\n")
    for name in ("float32", "exact"):
        seconds = (times[name, MANY] - times[name, FEW]) / (MANY - FEW)
        low, middle, high = 1e3 * np.quantile(seconds, (0.25, 0.5, 0.75))
        print(f"{name:8} {middle:.2f} ms a term (half of them {low:.2f} to {high:.2f})")


def sum_terms(add: Any, grads: list[jax.Array], count: jax.Array) -> list[jax.Array]:
    """The sum of so many terms, no two of which are equal."""
    return add(lambda index: [grad * (1 + 1e-3 * index) for grad in grads], count)


def float_sum(term: Any, count: jax.Array) -> list[jax.Array]:
    """The sum in the order of the terms, rounded each time."""
    zeros = jax.tree.map(jnp.zeros_like, term(jnp.int32(0)))
    return lax.fori_loop(0, count, lambda i, sums: jax.tree.map(jnp.add, sums, term(i)), zeros)


if __name__ == "__main__":
    main()
