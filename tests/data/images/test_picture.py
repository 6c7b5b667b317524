import io

import numpy as np
import pytest
from PIL import Image

from hsi_jax.data.images.picture import as_png, is_picture, picture_facts, read_picture
from hsi_jax.errors import InputError

COLOUR = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)


def test_names_of_pictures():
    assert is_picture("a/b.JPG")
    assert is_picture("b.tif")
    assert is_picture("b.npy")
    assert not any(map(is_picture, ("a/.b.jpg", "b.txt", "jpg", "b.npz")))


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "BMP"])
def test_formats_without_loss_give_the_pixels(encode, tmp_path, file_format):
    data = encode(COLOUR, file_format)
    np.testing.assert_array_equal(read_picture(data, "it"), COLOUR)
    (tmp_path / "p").write_bytes(data)
    np.testing.assert_array_equal(read_picture(tmp_path / "p", "it"), COLOUR)
    assert picture_facts(data, "it").shape == COLOUR.shape
    np.testing.assert_array_equal(read_picture(as_png(COLOUR), "it"), COLOUR)


def test_grey_is_one_channel_or_three_alike(encode):
    grey = COLOUR[..., 0]
    data = encode(grey)
    assert picture_facts(data, "it").shape == (5, 7, 1)
    np.testing.assert_array_equal(read_picture(data, "it", 1)[..., 0], grey)
    np.testing.assert_array_equal(read_picture(data, "it", 3), np.repeat(grey[..., None], 3, 2))
    np.testing.assert_array_equal(read_picture(as_png(grey[..., None]), "it", 1)[..., 0], grey)
    with pytest.raises(InputError, match="grey"):
        read_picture(encode(COLOUR), "it", 1)


def test_a_palette_is_resolved():
    stream = io.BytesIO()
    two = np.where(COLOUR[..., :1] > 50, [250, 10, 0], [0, 20, 255]).astype(np.uint8)
    Image.fromarray(two).quantize(4).save(stream, "PNG")
    np.testing.assert_array_equal(read_picture(stream.getvalue(), "it"), two)


def test_opacity_must_say_nothing(encode):
    opaque = np.dstack([COLOUR, np.full((5, 7), 255, np.uint8)])
    np.testing.assert_array_equal(read_picture(encode(opaque), "it"), COLOUR)
    np.testing.assert_array_equal(read_picture(encode(opaque), "it", 4), opaque)
    opaque[2, 3, 3] = 254
    with pytest.raises(InputError, match="it has transparent"):
        read_picture(encode(opaque), "it")


@pytest.mark.parametrize("keep", [0, 20, -30])
def test_damage_is_named(encode, keep):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    with pytest.raises(InputError, match="it cannot be read"):
        read_picture(encode(noise)[:keep], "it")
    with pytest.raises(InputError, match="it cannot be read"):
        picture_facts(b"no picture", "it")


def test_resizing_keeps_a_constant_and_the_mean(encode):
    assert read_picture(encode(np.full((5, 7, 3), 9, np.uint8)), "it", 3, (4, 6)).shape == (4, 6, 3)
    checks = np.kron(np.indices((8, 8)).sum(0) % 2, np.ones((1, 1))).astype(np.uint8) * 200
    small = read_picture(encode(checks), "it", 1, (4, 4))
    # Shrinking averages; picking every second pixel would give 0 or 200.
    assert abs(small.astype(int)[1:-1, 1:-1] - 100).max() <= 1
