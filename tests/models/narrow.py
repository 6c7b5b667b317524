"""What makes the networks of tests compile quickly: narrow layers, and a compiler in a hurry."""

from functools import partial

import jax

# For tests of what a network computes: LLVM optimises nothing, which takes a third less time.
# Tests that compare the bits of training steps compile as users do.
quick_jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})

# Options of the networks for patches.
NARROW = {
    "ssrn": {"features": 4, "spectral_features": 6},
    "dbda": {"features": 4, "growth": 4},
    "spectralformer": {
        "width": 8,
        "depth": 3,
        "heads": 2,
        "head_width": 4,
        "hidden": 4,
    },
    "ssftt": {"features": 2, "flat_features": 6, "width": 8, "heads": 2, "hidden": 4},
    "gaht": {"groups": 2, "widths": (8, 8, 8), "heads": (2, 2, 2), "depths": (1, 1, 1)},
    "mamba": {"width": 8, "depth": 1, "groups": 2, "states": 4},
    "vit": {"width": 8, "depth": 1, "heads": 2},
}
