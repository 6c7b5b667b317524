from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsi_jax.errors import InputError
from hsi_jax.train.augmentation import (
    AUGMENTATIONS,
    DROPPED,
    NOISE,
    Preparation,
    augment,
    check_augmentation,
    parse_augmentation,
)

MOVES = ("flip", "rotate", "crop")  # which mix no pixels


def coded(height, width, bands=2):
    """An image whose values tell their place."""
    return np.arange(height * width * bands, dtype=np.float32).reshape(height, width, bands)


def keys_of(ids):
    return jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(7), jnp.asarray(ids))


@cache
def compiled(names):
    return jax.jit(partial(augment, names=names))


def outcomes(image, names, count):
    """The distinct images that many keys make, as bytes, with how often each came."""
    images = np.broadcast_to(image, (count, *image.shape))
    results = np.asarray(compiled(names)(images, keys_of(range(count))))
    assert results.shape == images.shape
    assert results.dtype == images.dtype
    found, counts = np.unique(results.reshape(count, -1), axis=0, return_counts=True)
    return dict(zip((row.tobytes() for row in found), counts, strict=True))


def flips(image):
    return [image[::a, ::b] for a in (1, -1) for b in (1, -1)]


def turns(image):
    return [np.rot90(image, turn) for turn in range(4)]


def crops(image):
    border = max(1, min(image.shape[:2]) // 8)
    sides = ((border, border), (border, border), (0, 0))
    padded = np.pad(image, sides, mode="reflect")
    height, width, _ = image.shape
    corners = [(r, c) for r in range(2 * border + 1) for c in range(2 * border + 1)]
    return [padded[r : r + height, c : c + width] for r, c in corners]


def dihedral(image):
    """The eight symmetries of the square, in numpy's words."""
    return [np.rot90(side, turn) for side in (image, image[::-1]) for turn in range(4)]


def as_bytes(images):
    return {np.ascontiguousarray(image).tobytes() for image in images}


@pytest.mark.parametrize(
    ("names", "expected", "shape"),
    [
        (("flip",), flips, (4, 6)),
        (("rotate",), turns, (5, 5)),
        (("flip", "rotate"), dihedral, (4, 4)),
        (("crop",), crops, (5, 7)),
        (("crop",), crops, (17, 16)),
    ],
)
def test_every_legal_outcome_occurs_equally_often_and_no_other(names, expected, shape):
    image = coded(*shape)
    legal = as_bytes(expected(image))
    count = 100 * len(legal)
    found = outcomes(image, names, count)
    assert set(found) == legal
    # Six standard deviations about the mean of 100.
    assert all(40 < often < 160 for often in found.values())


def test_all_three_together_make_crops_of_the_eight():
    image = coded(3, 3, 1)
    legal = as_bytes(crop for turned in dihedral(image) for crop in crops(turned))
    assert set(outcomes(image, MOVES, 50 * len(legal))) == legal


def test_noise_is_normal_and_not_the_same_in_two_pixels():
    images = np.ones((500, 3, 3, 4), np.float32)
    noise = (np.asarray(compiled(("noise",))(images, keys_of(range(500)))) - 1) / NOISE
    flat = noise.reshape(500, -1)
    assert np.abs(flat.mean()) < 6 / np.sqrt(flat.size)
    assert np.abs(flat.std() - 1) < 6 / np.sqrt(2 * flat.size)
    correlation = np.corrcoef(flat.T) - np.eye(flat.shape[1])
    assert np.abs(correlation).max() < 6 / np.sqrt(500)


def test_bands_are_dropped_in_the_whole_patch_one_in_ten():
    images = np.ones((500, 3, 3, 8), np.float32)
    changed = np.asarray(compiled(("bands",))(images, keys_of(range(500))))
    assert set(np.unique(changed)) == {0, 1}
    assert (changed == changed[:, :1, :1]).all()
    dropped = 1 - changed[:, 0, 0]
    deviation = np.sqrt(DROPPED * (1 - DROPPED) / dropped.size)
    assert abs(dropped.mean() - DROPPED) < 6 * deviation
    assert (dropped.mean(axis=0) > 0).all()


@pytest.mark.slow
def test_a_key_gives_the_same_bits_whatever_the_batch():
    images = np.random.default_rng(0).normal(size=(12, 6, 6, 3)).astype(np.float32)
    keys = keys_of(range(12))
    names = tuple(AUGMENTATIONS)
    whole = np.asarray(compiled(names)(images, keys))
    assert (whole != images).any(axis=(1, 2, 3)).sum() > 6
    for ids in ([0], [11, 3], [5, 4, 3, 2, 1, 0, 7]):
        part = compiled(names)(images[np.array(ids)], keys[np.array(ids)])
        np.testing.assert_array_equal(part, whole[np.array(ids)])

    def change(index, out):
        rows = jax.lax.dynamic_slice_in_dim(jnp.asarray(images), 4 * index, 4)
        changed = augment(rows, jax.lax.dynamic_slice_in_dim(keys, 4 * index, 4), names)
        return jax.lax.dynamic_update_slice_in_dim(out, changed, 4 * index, 0)

    loop = jax.jit(lambda count: jax.lax.fori_loop(0, count, change, jnp.zeros_like(images)))
    np.testing.assert_array_equal(loop(3), whole)


def test_what_one_draws_does_not_depend_on_the_others():
    images = np.broadcast_to(coded(8, 8), (64, 8, 8, 2))
    flipped = np.asarray(compiled(("flip",))(images, keys_of(range(64))))
    both = compiled(("flip", "crop"))(images, keys_of(range(64)))
    np.testing.assert_array_equal(both, compiled(("crop",))(flipped, keys_of(range(64))))


@pytest.mark.slow
@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 4), st.integers(0, 2**31 - 1))
@settings(max_examples=15)
def test_any_shape(height, width, bands, seed):
    names = ("flip", "crop") if height != width else MOVES
    image = coded(height, width, bands)
    out = np.asarray(augment(image[None], jax.random.key(seed)[None], names))[0]
    sides = dihedral(image) if height == width else flips(image)
    assert out.tobytes() in as_bytes(crop for side in sides for crop in crops(side))


def test_no_augmentation_changes_nothing():
    images = coded(4, 4)[None]
    np.testing.assert_array_equal(augment(images, keys_of([1]), ()), images)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ()),
        ("flip", ("flip",)),
        (" crop, flip,", ("flip", "crop")),
        ("flip,rotate,crop,flip", ("flip", "rotate", "crop")),
    ],
)
def test_names_are_read(text, names):
    assert parse_augmentation(text) == names


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(InputError, match=r"augment.*mixup"):
        parse_augmentation("flip,mixup")


def test_oblong_images_are_not_rotated():
    with pytest.raises(InputError, match="images of 4 x 6 pixels cannot be rotated"):
        check_augmentation(("rotate",), 4, 6)
    with pytest.raises(InputError, match="cannot be rotated"):
        augment(coded(4, 6)[None], keys_of([0]), ("rotate",))
    check_augmentation(("flip", "crop"), 4, 6)


IMAGES = np.random.default_rng(0).integers(0, 256, (16, 6, 6, 3), np.uint8)
MEAN, DEVIATION = (10.0, 20.0, 30.0), (1.0, 2.0, 4.0)


@pytest.mark.parametrize("sample_keys", [None, keys_of(range(16))])
def test_channels_are_normalised_apart(sample_keys):
    prepared = Preparation(MEAN, DEVIATION)(IMAGES, sample_keys)
    assert prepared.dtype == np.float32
    expected = (IMAGES.astype(np.float64) - MEAN) / DEVIATION
    np.testing.assert_allclose(prepared, expected, rtol=1e-6)


def test_augmentation_needs_keys_and_comes_after():
    prepare = Preparation(MEAN, DEVIATION, ("flip",))
    plain = np.asarray(prepare(IMAGES, None))
    assert np.array_equal(plain, Preparation(MEAN, DEVIATION)(IMAGES, None))
    changed = np.asarray(prepare(IMAGES, keys_of(range(16))))
    same = [np.array_equal(a, b) for a, b in zip(changed, plain, strict=True)]
    assert 0 < sum(same) < 16
    for a, b in zip(changed, plain, strict=True):
        assert np.array_equal(np.sort(a, axis=None), np.sort(b, axis=None))


def test_equal_preparations_are_equal():
    """Or each would compile the step anew."""
    assert Preparation(MEAN, DEVIATION, ("flip",)) == Preparation(MEAN, DEVIATION, ("flip",))
    assert hash(Preparation(MEAN, DEVIATION)) == hash(Preparation(MEAN, DEVIATION))
    assert Preparation(MEAN, DEVIATION) != Preparation(DEVIATION, MEAN)
