"""What a pixel of a map is on the ground: its size in metres and the direction of north.

The scale bar is that of Matplotlib's axes_grid1. matplotlib-scalebar 0.9 makes its bar only while
it is drawn, so that the layout leaves no room for it below a map, and no test can find it: it fails
test_a_map_has_a_bar_of_its_length_and_an_arrow of tests/evaluate/maps/test_ground.py.
"""

import math
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch
from matplotlib.transforms import Affine2D, ScaledTranslation
from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

from hsi_jax.errors import InputError
from hsi_jax.evaluate.figures.style import SMALL
from hsi_jax.evaluate.maps.map_grid import metres_per_unit

_BAR_FRACTION = 0.4  # the scale bar is at most this part of the map's width


@dataclass(frozen=True)
class Ground:
    """A map's place on the ground.

    Attributes:
        column_m: width of a pixel, m.
        row_m: height of a pixel, m.
        north: direction of grid north in the picture, as it is drawn: (right, down), of length 1.
    """

    column_m: float
    row_m: float
    north: tuple[float, float]

    @classmethod
    def of(cls, transform: tuple[float, ...] | None, crs: str | None) -> "Ground | None":
        """Reads it from a georeference.

        Args:
            transform: affine (a, b, c, d, e, f), as of `Scene`, or None.
            crs: WKT or a code such as "EPSG:32616", or None.

        Returns:
            None if there is no georeference, or the system is not projected (or is a Mercator map,
            whose scale changes with latitude), or rasterio, which knows systems, is missing.

        Raises:
            InputError: if the transform has no area.
        """
        unit = None if crs is None else metres_per_unit(crs)
        if transform is None or unit is None:
            return None
        a, b, _, d, e, _ = transform
        if a * e == b * d:
            raise InputError(f"`transform`={tuple(transform)} gives a pixel no area; check it")
        column, row = unit * math.hypot(a, d), unit * math.hypot(b, e)
        right, down = np.linalg.solve([[a, b], [d, e]], [0.0, 1.0]) * [column, row]
        length = math.hypot(right, down)
        return cls(column, row, (right / length, down / length))

    def draw(self, axes: Axes, columns: int) -> None:
        """Draws a scale bar and an arrow to the north below a map with this number of columns."""
        length = nice_length(_BAR_FRACTION * columns * self.column_m)
        bar = AnchoredSizeBar(
            axes.transData,
            length / self.column_m,
            f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m",
            loc="upper left",
            bbox_to_anchor=(0, 0),
            bbox_transform=axes.transAxes,
            frameon=False,
            borderpad=0.4,
            pad=0,
            sep=3,
            fontproperties={"size": SMALL},
        )
        axes.add_artist(bar)
        self._draw_north(axes)

    def _draw_north(self, axes: Axes) -> None:
        """Draws it within 30 points of the map's lower right corner."""
        right, down = self.north
        direction, centre = np.array([right, -down]), np.array([-15, -17])
        tail, head = centre - 10 * direction, centre + 4 * direction
        points = (
            Affine2D().scale(1 / 72)
            + axes.figure.dpi_scale_trans
            + ScaledTranslation(1, 0, axes.transAxes)  # pyright: ignore[reportArgumentType]
        )
        arrow = FancyArrowPatch(
            (float(tail[0]), float(tail[1])),
            (float(head[0]), float(head[1])),
            transform=points,
            arrowstyle="-|>",
            mutation_scale=7,
            color="0.1",
            linewidth=0.8,
            shrinkA=0,
            shrinkB=0,
            clip_on=False,
        )
        axes.add_artist(arrow)
        style = {"fontsize": SMALL, "ha": "center", "va": "center", "clip_on": False}
        x, y = centre + 10 * direction
        axes.text(float(x), float(y), "N", transform=points, **style)


def nice_length(longest: float) -> float:
    """The greatest of 1, 2 or 5 times a power of ten that is not longer."""
    power = 10.0 ** math.floor(math.log10(longest))
    return max(step * power for step in (1, 2, 5) if step * power <= longest * (1 + 1e-9))
