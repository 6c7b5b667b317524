import numpy as np
import pytest

from hsi_jax.errors import InputError
from hsi_jax.evaluate.palette import UNLABELLED, class_colours

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


# 0.02 is about the least difference that is seen between two fields side by side.
@pytest.mark.parametrize(
    ("vision", "least"), [("normal", 0.11), ("deuteranopia", 0.05), ("protanopia", 0.05)]
)
def test_colours_are_told_apart(vision, least):
    colours = np.vstack([class_colours(24), UNLABELLED, np.ones(3)])
    lab = oklab(colours, VISION[vision])
    distance = np.linalg.norm(lab[:, None] - lab[None], axis=-1)
    assert distance[~np.eye(len(lab), dtype=bool)].min() > least


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


def test_no_class_is_refused():
    with pytest.raises(InputError, match="num_classes is 0"):
        class_colours(0)
