"""Colours of classes: one order for maps, legends and plots."""

import matplotlib
import numpy as np
from matplotlib.colors import to_rgb

from hsi_jax.errors import InputError

UNLABELLED = to_rgb("#1a1a1a")

# First seven colours of Okabe and Ito (https://jfly.uni-koeln.de/color/), made to be told apart by
# the colour-blind. Each next one lies farthest, in OKLab, from all before it, from white and from
# UNLABELLED, where a distance as seen with protanopia or deuteranopia (Machado et al., 2009)
# counts double.
# fmt: off
_COLOURS = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#d55e00", "#56b4e9", "#960069",
    "#4b00b4", "#4b5a00", "#00f0c3", "#8769ff", "#d2c3ff", "#875a5a", "#692d2d", "#c32db4",
    "#87c369", "#1e4b5a", "#ffc396", "#c3002d", "#ff3c78", "#3c4be1", "#ff96a5", "#96f0ff",
)
# fmt: on


def class_colours(num_classes: int) -> np.ndarray:
    """Gives each class a colour of its own.

    Up to 24 classes the colours are chosen for being told apart and do not depend on how many
    classes there are. More than that are spread evenly over a rainbow, where neighbours look alike.

    Args:
        num_classes: C, at least 1.

    Returns:
        float64 [C, 3]: red, green and blue in 0..1. Unlabelled pixels are `UNLABELLED` instead.

    Raises:
        InputError: `num_classes` is below 1.
    """
    if num_classes < 1:
        raise InputError(f"num_classes is {num_classes}; give at least one class to colour")
    if num_classes <= len(_COLOURS):
        return np.array([to_rgb(colour) for colour in _COLOURS[:num_classes]])
    return matplotlib.colormaps["gist_rainbow"](np.linspace(0, 1, num_classes))[:, :3]
