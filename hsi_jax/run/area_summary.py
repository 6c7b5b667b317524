"""The part of summary.json about areas: how much of the map each class covers, and how surely."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ClassArea:
    """A class of the map; half widths are those of intervals of 95 %.

    Attributes:
        mapped: pixels of the map that have the class.
        tested: test pixels among them.
        pixels: its error-adjusted area.
        pixels_half_width: of `pixels`.
        users_accuracy: part of its area in the map that is the class; None where none is mapped.
        users_half_width: of `users_accuracy`.
        producers_accuracy: part of its area on the ground that is mapped as it; None where the
            class is in no test pixel.
        producers_half_width: of `producers_accuracy`.
    """

    mapped: int
    tested: int
    pixels: float
    pixels_half_width: float
    users_accuracy: float | None
    users_half_width: float | None
    producers_accuracy: float | None
    producers_half_width: float | None


@dataclass(frozen=True, kw_only=True)
class AreaSummary:
    """Areas of the classes of a run's map, adjusted by the errors of its test pixels.

    Attributes:
        classes: in the order of `class_names`; empty where `problem` says why.
        overall_accuracy: part of the map's area that is right; None where `problem` says why.
        overall_half_width: of its interval of 95 %.
        hectares_per_pixel: None where the size of a pixel is not known.
        probability_sample: whether the test pixels were drawn at random from the whole map, as the
            intervals suppose; None where the data do not say.
        caveats: what the intervals do not cover, a sentence each.
        problem: why there is no estimate, or "".
    """

    classes: tuple[ClassArea, ...] = ()
    overall_accuracy: float | None = None
    overall_half_width: float | None = None
    hectares_per_pixel: float | None = None
    probability_sample: bool | None = None
    caveats: tuple[str, ...] = ()
    problem: str = ""
