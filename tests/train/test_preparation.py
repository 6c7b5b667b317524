import jax
import numpy as np
import pytest

from hsi_jax.train.preparation import Preparation

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 6, 6, 3), np.uint8)
MEAN, DEVIATION = (10.0, 20.0, 30.0), (1.0, 2.0, 4.0)


def keys(count):
    return jax.vmap(jax.random.key)(np.arange(count, dtype=np.uint32))


@pytest.mark.parametrize("sample_keys", [None, keys(5)])
def test_channels_are_normalised_apart(sample_keys):
    prepared = Preparation(MEAN, DEVIATION)(IMAGES, sample_keys)
    assert prepared.dtype == np.float32
    expected = (IMAGES.astype(np.float64) - MEAN) / DEVIATION
    np.testing.assert_allclose(prepared, expected, rtol=1e-6)


def test_augmentation_needs_keys_and_comes_after():
    prepare = Preparation(MEAN, DEVIATION, ("flip",))
    plain = np.asarray(prepare(IMAGES, None))
    assert np.array_equal(plain, Preparation(MEAN, DEVIATION)(IMAGES, None))
    changed = np.asarray(prepare(IMAGES, keys(5)))
    same = [np.array_equal(a, b) for a, b in zip(changed, plain, strict=True)]
    assert 0 < sum(same) < 5
    for a, b in zip(changed, plain, strict=True):
        assert np.array_equal(np.sort(a, axis=None), np.sort(b, axis=None))


def test_equal_preparations_are_equal():
    """Or each would compile the step anew."""
    assert Preparation(MEAN, DEVIATION, ("flip",)) == Preparation(MEAN, DEVIATION, ("flip",))
    assert hash(Preparation(MEAN, DEVIATION)) == hash(Preparation(MEAN, DEVIATION))
    assert Preparation(MEAN, DEVIATION) != Preparation(DEVIATION, MEAN)
