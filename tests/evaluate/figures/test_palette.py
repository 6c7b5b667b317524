import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb

from hsi_jax.errors import InputError
from hsi_jax.evaluate.figures.palette import (
    UNLABELLED_COLOUR,
    class_colours,
    hex_colours,
    rgb_colours,
)

# Machado et al., 2009, "A physiologically-based model for simulation of color vision deficiency",
# severity 1.0; the matrices act on linear light.
VISION = {
    "normal": np.eye(3),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
}


def oklab(colours, vision):
    """Björn Ottosson's OKLab of sRGB colours as seen with `vision`."""
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ vision.T, 0, 1)
    to_cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    to_lab = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return np.cbrt(seen @ to_cones.T) @ to_lab.T


# A distance of about 0.02 is just visible between two fields side by side.
@pytest.mark.parametrize(
    ("vision", "min_distance"), [("normal", 0.11), ("deuteranopia", 0.05), ("protanopia", 0.05)]
)
def test_colours_are_told_apart(vision, min_distance):
    colours = np.vstack([class_colours(24), UNLABELLED_COLOUR, np.ones(3)])
    lab = oklab(colours, VISION[vision])
    distance = np.linalg.norm(lab[:, None] - lab[None], axis=-1)
    assert distance[~np.eye(len(lab), dtype=bool)].min() > min_distance


def test_neighbours_among_many_classes_are_told_apart():
    lab = oklab(class_colours(45), VISION["normal"])
    assert np.linalg.norm(np.diff(lab, axis=0), axis=-1).min() > 0.1


@pytest.mark.parametrize("num_classes", [1, 2, 16, 23, 24])
def test_a_class_keeps_its_colour_however_many_there_are(num_classes):
    assert (class_colours(num_classes) == class_colours(24)[:num_classes]).all()


@pytest.mark.parametrize("num_classes", [1, 24, 25, 100])
def test_every_class_has_a_colour_of_its_own(num_classes):
    colours = class_colours(num_classes)
    assert colours.shape == (num_classes, 3)
    assert colours.min() >= 0
    assert colours.max() <= 1
    assert len({tuple(np.round(colour * 255)) for colour in colours}) == num_classes


@pytest.mark.parametrize("num_classes", [1, 24, 25, 100])
def test_colours_are_those_that_matplotlib_reads_and_writes(num_classes):
    colours, written = class_colours(num_classes), hex_colours(num_classes)
    assert written == tuple(to_hex(colour) for colour in colours)
    assert rgb_colours(written).tolist() == [list(to_rgb(colour)) for colour in written]
    assert np.abs(rgb_colours(written) - colours).max() <= 0.5 / 255
    if num_classes <= 24:
        assert (rgb_colours(written) == colours).all()


def test_unlabelled_pixels_have_the_colour_that_matplotlib_reads():
    assert to_rgb("#1a1a1a") == UNLABELLED_COLOUR


def test_no_colours_are_an_empty_table():
    assert rgb_colours([]).shape == (0, 3)


@pytest.mark.parametrize("bad", ["", "red", "#12345", "#1234567", "#12345g", "123456", "#12 456"])
def test_other_words_than_rrggbb_are_refused(bad):
    with pytest.raises(InputError, match=f"`colours`.*'{bad}'"):
        rgb_colours(["#123456", bad])


@pytest.mark.parametrize("colours", [class_colours, hex_colours])
def test_no_class_is_refused(colours):
    with pytest.raises(InputError, match="`num_classes` is 0"):
        colours(0)


def test_a_free_class_has_a_colour_that_nobody_chose():
    own = hex_colours(3)
    assert hex_colours(3, ("", "", "")) == hex_colours(3, ()) == own
    assert hex_colours(3, ("", own[0], "#123456")) == (own[1], own[0], "#123456")
    assert hex_colours(3, own[::-1]) == own[::-1]
