import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_jax.errors import InputError
from hsi_jax.evaluate.gallery import COLUMNS, choose_examples, draw_gallery

IMAGES = np.random.default_rng(0).integers(0, 256, (COLUMNS + 1, 8, 8, 3), np.uint8)


def test_every_kind_of_mistake_is_shown_before_any_twice():
    truth = np.array([0, 0, 0, 1, 2, 0, 1])
    prediction = np.array([1, 1, 2, 0, 2, 1, 1])
    # (0, 1) three times, (0, 2) and (1, 0) once; 4 and 6 are right.
    assert choose_examples(truth, prediction).tolist() == [0, 2, 3, 1, 5, 6, 4]
    assert choose_examples(truth, prediction, 4).tolist() == [0, 2, 3, 1]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=40), st.integers(0, 30))
def test_no_image_is_shown_twice_and_wrong_ones_come_first(pairs, most):
    truth, prediction = np.array(pairs, int).reshape(-1, 2).T
    chosen = choose_examples(truth, prediction, most)
    assert len(chosen) == min(most, len(pairs))
    assert len(set(chosen.tolist())) == len(chosen)
    wrong = (truth != prediction)[chosen].tolist()
    assert wrong == sorted(wrong, reverse=True)
    assert sum(wrong) == min(most, int((truth != prediction).sum()))


@pytest.mark.parametrize("count", [1, COLUMNS - 1, COLUMNS, COLUMNS + 1])
def test_captions_name_the_class_and_the_mistake(count):
    truth, prediction = np.zeros(count, int), np.arange(count) % 2
    figure = draw_gallery(IMAGES[:count], truth, prediction, ["wood", "lake"], "title")
    captions = [axis.get_title() for axis in figure.axes if axis.get_title()]
    assert captions == [("wood", "wood\ntaken for lake")[n % 2] for n in range(count)]
    shown = [axis.images[0].get_array() for axis in figure.axes if axis.images]
    assert all(np.array_equal(a, b) for a, b in zip(shown, IMAGES[:count], strict=True))


def test_other_channels_are_shown_in_gray():
    figure = draw_gallery(IMAGES[:1, ..., :2], [0], [0], ["a"])
    assert figure.axes[0].images[0].get_array().shape == (8, 8)


@pytest.mark.parametrize("sizes", [(0, 0, 0), (2, 1, 2), (1, 1, 2)])
def test_lengths_must_agree(sizes):
    images, truth, prediction = sizes
    with pytest.raises(InputError, match="give as many of each, at least one"):
        draw_gallery(IMAGES[:images], np.zeros(truth, int), np.zeros(prediction, int), ["a"])
