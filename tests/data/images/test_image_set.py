from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_jax.data.images.decoded_cache import DecodedCache
from hsi_jax.data.images.image_set import ImageSet, channel_statistics
from hsi_jax.data.splits.split import random_split
from hsi_jax.data.splits.validation import hold_out
from hsi_jax.errors import InputError

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 4, 5, 3), dtype=np.uint8)
LABELS = np.repeat(np.arange(2, dtype=np.int32), 10)


def image_set(
    pixels: Sequence[np.ndarray] | np.ndarray = PIXELS, labels=LABELS, reads=None, names=("a", "b")
):
    def read_image(i):
        if reads is not None:
            reads.append(i)
        return pixels[i]

    shape, dtype = pixels[0].shape, pixels[0].dtype
    return ImageSet("it", labels, names, shape, read_image, "it", dtype=dtype)


def test_images_come_in_the_order_asked_for():
    images = image_set()
    ids = np.array([7, 0, 7, 19])
    np.testing.assert_array_equal(images.read(ids), PIXELS[ids])
    assert images.read(ids[:0]).shape == (0, 4, 5, 3)
    assert (len(images), images.num_classes) == (20, 2)


def test_an_image_of_another_size_is_refused():
    pixels = [*PIXELS[:3], PIXELS[3, :2]]
    with pytest.raises(InputError, match=r"3 of it.*\(2, 5, 3\).*image_size"):
        image_set(pixels).read(np.arange(4))


def test_classes_without_images_are_refused():
    with pytest.raises(InputError, match="b, d"):
        image_set(labels=LABELS * 2, names=("a", "b", "c", "d"))
    with pytest.raises(InputError, match="two"):
        image_set(labels=LABELS * 0, names=("a",))


def test_statistics_are_those_of_all_pixels():
    ids = np.array([1, 4, 5, 17])
    mean, deviation = channel_statistics(image_set(), ids)
    pixels = PIXELS[ids].reshape(-1, 3).astype(float)
    np.testing.assert_allclose(mean, pixels.mean(0), rtol=1e-14)
    np.testing.assert_allclose(deviation, pixels.std(0), rtol=1e-12)


def test_statistics_do_not_depend_on_order_or_chunks(monkeypatch):
    ids = np.arange(20)
    expected = channel_statistics(image_set(), ids)
    monkeypatch.setattr("hsi_jax.data.images.image_set._CHUNK", 3)
    np.testing.assert_array_equal(channel_statistics(image_set(), ids[::-1]), expected)


OTHERS = {
    "uint16": np.random.default_rng(1).integers(0, 65536, (20, 4, 5, 13), dtype=np.uint16),
    "int16": np.random.default_rng(1).integers(-9999, 9999, (20, 4, 5, 2), dtype=np.int16),
    "uint32": np.random.default_rng(1).integers(0, 2**32, (20, 4, 5, 4), dtype=np.uint32),
    "float32": np.random.default_rng(1).normal(1e5, 1, (20, 4, 5, 5)).astype(np.float32),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_statistics_of_any_bands_and_type(kind, monkeypatch):
    ids = np.array([1, 4, 5, 17])
    images = image_set(OTHERS[kind])
    mean, deviation = channel_statistics(images, ids)
    pixels = OTHERS[kind][ids].reshape(-1, images.shape[-1]).astype(float)
    np.testing.assert_allclose(mean, pixels.mean(0), rtol=1e-14)
    np.testing.assert_allclose(deviation, pixels.std(0), rtol=1e-9)
    monkeypatch.setattr("hsi_jax.data.images.image_set._CHUNK", 3)
    np.testing.assert_array_equal(channel_statistics(images, ids[::-1]), (mean, deviation))


def test_a_constant_real_band_is_only_centred():
    pixels = np.full((20, 4, 5, 2), 0.1, np.float32)
    pixels[..., 1] = OTHERS["float32"][..., 1]
    mean, deviation = channel_statistics(image_set(pixels), np.arange(20))
    assert mean[0] == pytest.approx(0.1)
    assert deviation[0] == 1


@pytest.mark.filterwarnings("ignore:invalid value")
def test_statistics_of_what_is_not_finite_are_refused():
    pixels = OTHERS["float32"].copy()
    pixels[3, 1, 2, 4] = np.nan
    with pytest.raises(InputError, match="finite"):
        channel_statistics(image_set(pixels), np.arange(20))


@pytest.mark.parametrize("kind", OTHERS)
def test_the_cache_keeps_bands_and_type(kind):
    pixels = OTHERS[kind]
    cache = DecodedCache(image_set(pixels), 3 * pixels[0].nbytes)
    for _ in range(2):
        found = cache.read(np.arange(20))
        assert found.dtype == cache.dtype == pixels.dtype
        np.testing.assert_array_equal(found, pixels)
    assert len(cache) == 3


def test_an_image_of_another_type_is_refused():
    pixels = [*PIXELS[:3], PIXELS[3].astype(np.uint16)]
    with pytest.raises(InputError, match="uint16"):
        image_set(pixels).read(np.arange(4))


def test_statistics_of_a_sample():
    reads = []
    ids = np.arange(5, 20)
    first = channel_statistics(image_set(reads=reads), ids, sample=4, seed=1)
    assert len(set(reads)) == 4
    assert set(reads) <= set(ids.tolist())
    np.testing.assert_array_equal(channel_statistics(image_set(), ids, sample=4, seed=1), first)
    assert np.any(np.not_equal(channel_statistics(image_set(), ids, sample=4, seed=2), first))
    everything = channel_statistics(image_set(), ids)
    np.testing.assert_array_equal(channel_statistics(image_set(), ids, sample=15), everything)


def test_a_constant_channel_is_only_centred():
    pixels = PIXELS.copy()
    pixels[..., 1] = 7
    mean, deviation = channel_statistics(image_set(pixels), np.arange(20))
    assert (mean[1], deviation[1]) == (7, 1)


def test_statistics_of_nothing_are_refused():
    with pytest.raises(InputError, match="training images"):
        channel_statistics(image_set(), np.arange(0))
    with pytest.raises(InputError, match="sample"):
        channel_statistics(image_set(), np.arange(3), sample=0)


def test_splits_work_on_labels_of_images():
    """60/20/20: a fifth tests, a quarter of the rest validates; stratified."""
    labels = np.repeat(np.arange(3, dtype=np.int32), [100, 50, 20])
    split = hold_out(random_split(labels, 0, train_fraction=0.8), labels, 0.25, 0)
    for ids, counts in zip(
        (split.train, split.validation, split.test),
        ([60, 30, 12], [20, 10, 4], [20, 10, 4]),
        strict=True,
    ):
        assert np.bincount(labels[ids]).tolist() == counts
    everything = np.concatenate([split.train, split.validation, split.test])
    np.testing.assert_array_equal(np.sort(everything), np.arange(170))
    again = random_split(labels, 0, train_fraction=0.8)
    np.testing.assert_array_equal(np.sort(again.test), split.test)
    assert np.any(random_split(labels, 1, train_fraction=0.8).test != split.test)


@given(
    capacity=st.integers(0, 22),
    asked=st.lists(st.lists(st.integers(0, 19), max_size=8), max_size=6),
)
def test_the_cache_gives_what_the_set_gives_and_keeps_the_first(capacity, asked):
    reads = []
    cache = DecodedCache(image_set(reads=reads), capacity * 60 + 59)
    kept, expected_reads = [], []
    for ids in asked:
        expected_reads += [i for i in ids if i not in kept]
        np.testing.assert_array_equal(cache.read(np.array(ids, int)), PIXELS[ids])
        kept += [i for i in dict.fromkeys(ids) if i not in kept]
        kept = kept[: min(capacity, 20)]
    assert reads == expected_reads
    assert len(cache) == len(kept)


def test_an_epoch_reads_only_what_did_not_fit():
    reads = []
    cache = DecodedCache(image_set(reads=reads), 15 * 60)
    order = np.random.default_rng(0)
    for _ in range(3):
        for batch in np.split(order.permutation(20), 5):
            cache.read(batch)
    assert len(reads) == 20 + 5 + 5


@pytest.mark.parametrize("capacity", [0, 1, 13, 20])
def test_threads_share_a_cache(capacity):
    cache = DecodedCache(image_set(), capacity * 60)
    orders = [np.random.default_rng(k).permutation(20) for k in range(40)]
    with ThreadPoolExecutor(8) as pool:
        for order, read in zip(orders, pool.map(cache.read, orders), strict=True):
            np.testing.assert_array_equal(read, PIXELS[order])
    assert len(cache) == capacity
    np.testing.assert_array_equal(cache.read(np.arange(20)), PIXELS)


def test_a_negative_cache_is_refused():
    with pytest.raises(InputError, match="max_bytes"):
        DecodedCache(image_set(), -1)
