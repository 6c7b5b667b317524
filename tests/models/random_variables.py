"""Variables of a network, without compiling how it makes its first ones."""

import jax
import numpy as np


def random_variables(module, *inputs):
    """As large as at first, but no scale is 0; drawn by NumPy, which need not compile."""
    shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), *inputs))
    rng = np.random.default_rng(1)

    def draw(path, shape):
        noise = rng.normal(size=shape.shape)
        if path[-1].key == "kernel":
            return (noise * np.sqrt(2 / np.prod(shape.shape[:-1]))).astype(shape.dtype)
        return (0.1 * noise + (path[-1].key in ("scale", "var"))).astype(shape.dtype)

    return jax.tree_util.tree_map_with_path(draw, shapes)
