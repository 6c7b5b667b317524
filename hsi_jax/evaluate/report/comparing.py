"""What differs between several runs: options, and the maps of two runs of the same scene."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hsi_jax.errors import InputError
from hsi_jax.evaluate.figures.palette import rgb_colours
from hsi_jax.evaluate.report.maps import MAX_SIDE, draw_layer, read_maps
from hsi_jax.evaluate.run_files import RunFiles

_PLACES = ("workdir", "overwrite", "resume", "process_id", "coordinator")
# What two runs say of a pixel, and its colour. The first four are of pixels that test both runs.
_KINDS = ("both correct", "only the first correct", "only the second correct", "both wrong")
_ELSEWHERE = "other pixels with different classes"
_COLOURS = ("#bdbdbd", "#0072b2", "#e69f00", "#d7191c", "#cc79a7")


@dataclass(frozen=True)
class MapComparison:
    """The maps of two runs against each other.

    Attributes:
        first: place of a run among those compared, from 0.
        second: place of another one.
        picture: of the pixels by their kind, as a data URI; transparent elsewhere.
        rows: of the picture.
        columns: of the picture.
        every: the picture shows every n-th row and column; counts are of all pixels.
        kinds: name, colour and number of pixels of each kind.
    """

    first: int
    second: int
    picture: str
    rows: int
    columns: int
    every: int
    kinds: tuple[tuple[str, str, int], ...]


def compare_maps(runs: Sequence[RunFiles]) -> list[MapComparison]:
    """The map of the first run with a map against each other one of the same scene."""
    maps = {}
    for place, run in enumerate(runs):
        if run.prediction is not None and run.class_names:
            try:
                maps[place] = read_maps(run)
            except InputError:  # the run's own part of the page says so
                continue
    if len(maps) < 2:
        return []
    first, *others = maps
    return [
        _compare(first, second, maps[first], maps[second])
        for second in others
        if np.array_equal(maps[first]["truth"], maps[second]["truth"])
    ]


def _compare(
    first: int, second: int, one: dict[str, np.ndarray], other: dict[str, np.ndarray]
) -> MapComparison:
    right, also = (maps["prediction"] == maps["truth"] for maps in (one, other))
    kinds = np.select([right & also, right, also], [0, 1, 2], 3)
    differ = np.where(one["prediction"] != other["prediction"], 4, -1)
    kinds = np.where(one["test"] & other["test"], kinds, differ)
    counts = np.bincount(kinds.ravel() + 1, minlength=6)[1:].tolist()
    every = math.ceil(max(kinds.shape) / MAX_SIDE)
    shown = kinds[::every, ::every]
    return MapComparison(
        first,
        second,
        draw_layer(shown, rgb_colours(_COLOURS)),
        shown.shape[0],
        shown.shape[1],
        every,
        tuple(zip((*_KINDS, _ELSEWHERE), _COLOURS, counts, strict=True)),
    )


def differing_options(runs: Sequence[RunFiles]) -> list[tuple[str, list]]:
    """The options that differ between the runs, with their values; None if unset."""
    names = dict.fromkeys(name for run in runs for name in run.config)
    rows = [(name, [run.config.get(name) for run in runs]) for name in names if name not in _PLACES]
    return [(name, values) for name, values in rows if any(v != values[0] for v in values)]


def distinct_names(runs: Sequence[RunFiles]) -> list[str]:
    """The names of the folders; their paths where two have the same name."""
    names = [run.path.resolve().name or str(run.path.resolve()) for run in runs]
    return [
        name if names.count(name) == 1 else str(run.path)
        for name, run in zip(names, runs, strict=True)
    ]
