"""Colours of classes, the same in maps, legends and plots."""

import re
from collections.abc import Sequence

import numpy as np

from hsi_jax.errors import InputError

# The first seven are the colours of Okabe and Ito (https://jfly.uni-koeln.de/color/), which
# colour-blind people can tell apart. Each of the others has the largest distance in OKLab from all
# colours before it, from white and from UNLABELLED_COLOUR. Distances as seen with protanopia or
# deuteranopia (Machado et al., 2009) count double.
# fmt: off
_COLOURS = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#d55e00", "#56b4e9", "#960069",
    "#4b00b4", "#4b5a00", "#00f0c3", "#8769ff", "#d2c3ff", "#875a5a", "#692d2d", "#c32db4",
    "#87c369", "#1e4b5a", "#ffc396", "#c3002d", "#ff3c78", "#3c4be1", "#ff96a5", "#96f0ff",
)
# fmt: on
_BRIGHTNESS = (1, 0.72, 0.45)  # of the rainbow
UNLABELLED_COLOUR = (26 / 255, 26 / 255, 26 / 255)


def class_colours(num_classes: int) -> np.ndarray:
    """Gives each class a colour of its own.

    The first 24 colours are easy to tell apart, and a class has the same colour whatever the
    number of classes. More than 24 classes are spread evenly over a rainbow instead, bright, dimmer
    and dark in turn, so that neighbours differ.

    Args:
        num_classes: C, at least 1.

    Returns:
        float64 [C, 3]: red, green and blue in 0..1.

    Raises:
        InputError: if `num_classes` is below 1.
    """
    if num_classes < 1:
        raise InputError(f"`num_classes` is {num_classes}; give at least one class to colour")
    if num_classes <= len(_COLOURS):
        return rgb_colours(_COLOURS[:num_classes])
    import matplotlib  # here, because up to 24 classes do without it

    rainbow = matplotlib.colormaps["gist_rainbow"](np.linspace(0, 1, num_classes))[:, :3]
    return rainbow * np.resize(_BRIGHTNESS, num_classes)[:, None]


def hex_colours(num_classes: int, chosen: Sequence[str] = ()) -> tuple[str, ...]:
    """The colours of `class_colours` as C strings "#rrggbb", rounded to 8 bits a channel.

    Args:
        num_classes: C.
        chosen: by the user, "" for a class whose colour is free; none if all are.

    Raises:
        InputError: if `num_classes` is below 1.
    """
    levels = np.rint(255 * class_colours(num_classes)).astype(np.uint8)
    own = [f"#{level.tobytes().hex()}" for level in levels]
    free = iter([colour for colour in own if colour not in chosen])
    return tuple(colour or next(free) for colour in chosen) if any(chosen) else tuple(own)


def rgb_colours(colours: Sequence[str]) -> np.ndarray:
    """The numbers of C colours written as "#rrggbb", such as those of `hex_colours`.

    Returns:
        float64 [C, 3]: red, green and blue in 0..1.

    Raises:
        InputError: if a colour is not written so.
    """
    for colour in colours:
        if not re.fullmatch("#[0-9a-fA-F]{6}", colour):
            raise InputError(f"`colours` holds {colour!r}; write a colour as #rrggbb")
    return np.array([list(bytes.fromhex(colour[1:])) for colour in colours]).reshape(-1, 3) / 255
