"""Steps of one network of ours on the device at hand, for `benchmarks.accelerator`.

    python -m benchmarks.accelerator_steps NETWORK float32|tensorfloat32|bfloat16

The last line is JSON: samples per second by microbatch, in wall time; the flat batch (one
microbatch) and the loop over several are told apart by that; and the peak of memory, bytes.
"""

import json
import sys
import time

import jax
import numpy as np

from benchmarks.throughput_steps import NETWORKS, make_step

SECONDS = 1.0  # of each size
DIVISORS = (1, 2, 4, 8)  # microbatches of a batch


def main() -> None:
    """Measures the sizes in turn."""
    network, precision = sys.argv[1:]
    jax.config.update("jax_default_matmul_precision", precision)
    batch = NETWORKS[network][2]
    steps = {batch // n: make_step(network, batch // n) for n in DIVISORS if batch // n}
    rates = {size: [] for size in steps}
    for _ in range(3):
        for size, step in steps.items():
            end = time.perf_counter() + SECONDS / 3
            while time.perf_counter() < end or not rates[size]:
                start = time.perf_counter()
                step.run()
                rates[size].append(step.batch / (time.perf_counter() - start))
    median = {size: float(np.median(found)) for size, found in rates.items()}
    memory = (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    best = max(median, key=median.__getitem__)
    flat = median[batch]
    looped = max((rate for size, rate in median.items() if size < batch), default=flat)
    found = {"samples_per_second": median, "best_microbatch": best}
    print(json.dumps(found | {"loop_over_flat_time": flat / looped, "peak_bytes": memory}))


if __name__ == "__main__":
    main()
