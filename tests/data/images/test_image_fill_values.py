"""Values of images that look like "no data" are named."""

import numpy as np
import pytest

from hsi_jax.data import ImageSet
from hsi_jax.data.images.image_set import name_fill_values

PIXELS = np.random.default_rng(0).integers(100, 200, (6, 8, 8, 3))


def image_set(pixels):
    labels = np.arange(len(pixels), dtype=np.int32) % 2
    return ImageSet(
        "it", labels, ("a", "b"), pixels.shape[1:], pixels.__getitem__, "it", dtype=pixels.dtype
    )


@pytest.mark.parametrize(
    ("dtype", "value", "bands"),
    [("float32", -9999, slice(None)), ("int16", -9999, slice(None)), ("float32", 1e6, 1)],
)
def test_a_value_far_outside_is_named(dtype, value, bands):
    pixels = PIXELS.astype(dtype)
    assert name_fill_values(image_set(pixels), np.arange(6)) == ""
    pixels[4, 2:5, 2:5, bands] = value
    assert f"{value:.0f}" in name_fill_values(image_set(pixels), np.arange(6))
    assert name_fill_values(image_set(pixels), np.arange(4)) == ""  # only training images count


def test_images_of_8_bits_have_no_such_value():
    pixels = np.random.default_rng(0).integers(3, 5, (4, 4, 4, 3)).astype(np.uint8)
    pixels[1, 1] = 255
    assert name_fill_values(image_set(pixels), np.arange(4)) == ""
