"""Values that float32 cannot tell apart."""

import numpy as np
import pytest

from hsi_jax.data import Scene
from hsi_jax.data.scene.float32_values import check_precision
from hsi_jax.errors import InputError

VALUES = np.random.default_rng(0).integers(400, 3000, (6, 7, 4))
ALL = np.ones((6, 7), bool)


@pytest.mark.parametrize("dtype", ["u1", "i2", "f2", "f4"])
def test_types_that_float32_holds_are_not_looked_at(dtype):
    assert check_precision(VALUES.astype(dtype), ALL, "it", np.arange(4)) == ()


@pytest.mark.parametrize(
    ("cube", "spoilt"),
    [
        (VALUES, False),
        (VALUES * 1e-30, False),
        (VALUES.astype("f8") + 1e8, False),
        (VALUES.astype("f8") + 1e14, True),
        (VALUES + 2**60, True),
        (np.uint64(2**63) + VALUES.astype("u8"), True),
    ],
)
def test_values_that_become_one_are_refused(cube, spoilt):
    levels = [len(np.unique(band)) for band in cube.reshape(-1, 4).astype(np.float32).T]
    assert (max(levels) < 8) == spoilt
    if not spoilt:
        assert check_precision(cube, ALL, "it", np.arange(4)) == ()
        return
    with pytest.raises(InputError, match="subtract"):
        Scene.from_arrays("it", cube)


def test_one_such_band_is_named():
    cube = VALUES.astype(float)
    cube[..., 2] += 1e14
    (said,) = check_precision(cube, ALL, "it", np.array([0, 1, 7, 9]))
    assert "bands 7 " in said
    has_data = ALL.copy()
    has_data[0, 0] = False
    odd = VALUES.astype(float)
    odd[0, 0] = 1e20  # does not count
    assert check_precision(odd, has_data, "it", np.arange(4)) == ()
