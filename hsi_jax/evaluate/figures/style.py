"""How pictures look: sizes in which they are printed, and axes and legends in one style."""

from matplotlib.axes import Axes

COLUMN = 85 / 25.4  # width of a printed column, inches
PAGE = 180 / 25.4  # width of two columns, inches
TEXT, SMALL, TINY = 8, 7, 6  # points; nothing is smaller

# Of Okabe and Ito, as those of `palette`: colour-blind people can tell them apart.
BLUE, ORANGE, RED, GREEN = "#0072b2", "#e69f00", "#d55e00", "#009e73"


def style_axes(axes: Axes, title: str = "", x_label: str = "", y_label: str = "") -> None:
    """Sets title and labels in their sizes, and a light grid behind the data."""
    axes.set_title(title, fontsize=TEXT)
    axes.set_xlabel(x_label, fontsize=TEXT)
    axes.set_ylabel(y_label, fontsize=TEXT)
    axes.tick_params(which="both", labelsize=SMALL)
    axes.grid(color="0.92")
    axes.set_axisbelow(True)


def set_legend_below(axes: Axes) -> None:
    """Sets the legend below the panel, where it hides no curve."""
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2, fontsize=SMALL, frameon=False
    )


def list_devices(axes: Axes, names: list[str]) -> None:
    """Names the rows of a panel of horizontal bars, the first device on top."""
    axes.set_yticks(range(len(names)), names, fontsize=SMALL)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(labelsize=SMALL)


def list_categories(axes: Axes, names: list[str]) -> None:
    """Names the columns of a panel; long names break at their underscores."""
    axes.set_xticks(range(len(names)), [n.replace("_", "\n") for n in names], fontsize=SMALL)
    axes.grid(visible=False, axis="x")
