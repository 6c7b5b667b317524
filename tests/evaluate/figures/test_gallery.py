import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_jax.errors import InputError
from hsi_jax.evaluate.figures.gallery import COLUMNS, choose_examples, displayed, draw_gallery

IMAGES = np.random.default_rng(0).integers(0, 256, (COLUMNS + 1, 8, 8, 3), np.uint8)


def test_every_confusion_is_shown_before_any_twice():
    truth = np.array([0, 0, 0, 1, 2, 0, 1])
    prediction = np.array([1, 1, 2, 0, 2, 1, 1])
    # (0, 1) three times, (0, 2) and (1, 0) once; 4 and 6 are correct.
    assert choose_examples(truth, prediction).tolist() == [0, 2, 3, 1, 5, 6, 4]
    assert choose_examples(truth, prediction, 4).tolist() == [0, 2, 3, 1]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=40), st.integers(0, 30))
def test_no_image_is_shown_twice_and_wrong_ones_come_first(pairs, max_examples):
    truth, prediction = np.array(pairs, int).reshape(-1, 2).T
    chosen = choose_examples(truth, prediction, max_examples)
    assert len(chosen) == min(max_examples, len(pairs))
    assert len(set(chosen.tolist())) == len(chosen)
    wrong = (truth != prediction)[chosen].tolist()
    assert wrong == sorted(wrong, reverse=True)
    assert sum(wrong) == min(max_examples, int((truth != prediction).sum()))


@pytest.mark.parametrize("count", [1, COLUMNS - 1, COLUMNS, COLUMNS + 1])
def test_captions_name_the_class_and_the_mistake(count):
    truth, prediction = np.zeros(count, int), np.arange(count) % 2
    names = ["wood", "lake"]
    figure = draw_gallery(IMAGES[:count], truth, prediction, class_names=names, title="title")
    captions = [axis.get_title() for axis in figure.axes if axis.get_title()]
    assert captions == [("wood", "wood\ntaken for\nlake")[n % 2] for n in range(count)]
    shown = [np.asarray(axis.images[0].get_array()) for axis in figure.axes if axis.images]
    assert all(np.array_equal(a, b) for a, b in zip(shown, IMAGES[:count], strict=True))


def test_two_bands_are_shown_in_grey():
    zero = np.zeros(1, int)
    figure = draw_gallery(IMAGES[:1, ..., :2], zero, zero, class_names=["a"])
    shown = np.asarray(figure.axes[0].images[0].get_array())
    assert (shown == IMAGES[0, ..., 0]).all()


@pytest.mark.parametrize(
    ("count", "bands"), [(4, (0, 1, 2)), (13, (3, 2, 1)), (12, (3, 2, 1)), (5, (4, 2, 0))]
)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_three_bands_of_many_are_shown_and_named(count, bands, dtype):
    images = np.zeros((2, 10, 10, count), dtype)
    images[0] = np.arange(100).reshape(10, 10, 1)
    shown, line = displayed(images)
    assert (shown.dtype, shown.shape) == (np.uint8, (2, 10, 10, 3))
    assert f"bands {', '.join(str(band + 1) for band in bands)} of {count}" in line
    images[..., bands[1]] = 0
    dark, _ = displayed(images)
    assert (dark[..., 1] == 0).all()
    np.testing.assert_array_equal(dark[..., ::2], shown[..., ::2])


def test_what_is_not_of_8_bits_is_stretched_over_all_images():
    images = np.linspace(-1, 1, 2 * 50 * 50).reshape(2, 50, 50, 1).astype(np.float32)
    shown, line = displayed(images)
    assert (line, shown.min(), shown.max()) == ("", 0, 255)
    expected = np.clip((images[..., 0] + 0.96) / 1.92, 0, 1) * 255
    assert abs(shown - expected).max() < 1.01
    assert (displayed(np.full((1, 3, 3, 1), 7.0))[0] == 0).all()


@pytest.mark.parametrize("sizes", [(0, 0, 0), (2, 1, 2), (1, 1, 2)])
def test_lengths_must_agree(sizes):
    images, truth, prediction = sizes
    truth, prediction = np.zeros(truth, int), np.zeros(prediction, int)
    with pytest.raises(InputError, match="`images`"):
        draw_gallery(IMAGES[:images], truth, prediction, class_names=["a"])
