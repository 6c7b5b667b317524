"""The figures of a run in one table: each is drawn once, for its files and for the page.

The map and the gallery are drawn elsewhere, because they show the scene or the images, which the
folder of a run does not hold.
"""

import re
import warnings
from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from hsi_jax.errors import InputError, StorageError
from hsi_jax.evaluate.figures.confusion import draw_confusion
from hsi_jax.evaluate.figures.curves import draw_curves
from hsi_jax.evaluate.figures.lettering import captions
from hsi_jax.evaluate.figures.reconstruction import draw_band_errors, draw_reconstruction
from hsi_jax.evaluate.figures.reliability import draw_reliability
from hsi_jax.evaluate.figures.shares import draw_shares
from hsi_jax.evaluate.figures.spectra import draw_spectra
from hsi_jax.evaluate.figures.timeline import draw_timeline
from hsi_jax.evaluate.measures.utilisation import process_names
from hsi_jax.evaluate.run_files import RunFiles
from hsi_jax.run.figure_file import FIGURE_NAMES
from hsi_jax.run.records import Evaluation, Reconstruction, Step
from hsi_jax.run.summary import Summary

Draw = Callable[[RunFiles], Figure | None]

# By the name of the file. A function returns None for a run that has nothing to be drawn.
FIGURES: dict[str, Draw] = {}


def register(name: str, function: Draw) -> None:
    """Adds a figure: from now on every run writes it as a file, and every page shows it.

    Args:
        name: of the file, without a suffix; on the page, its heading.
        function: draws it from the files of a run; returns None where the run lacks what it needs.

    Raises:
        InputError: if the name is taken, or is not lower-case letters, digits, hyphens and
            underscores.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_-]*", name):
        raise InputError(f"`name`={name!r}: give lower-case letters, digits, hyphens, underscores")
    if name in FIGURES or name in ("map", "gallery"):
        raise InputError(f"`name`={name!r} is the name of another figure; choose one of its own")
    FIGURES[name] = function
    FIGURE_NAMES.add(name)


def draw_figure(name: str, run: RunFiles) -> Figure | None:
    """Draws a figure of the table; None where the run has nothing to be drawn.

    Raises:
        InputError: if no figure has this name, or the files of the run do not fit it.
    """
    if name not in FIGURES:
        raise InputError(f"`name`={name!r} is no figure; give one of {', '.join(FIGURES)}")
    return FIGURES[name](run)


def use_figures(run: RunFiles, use: Callable[[str, Figure], object]) -> list[str]:
    """Draws all figures of a run and hands each to a function, such as one that writes files.

    Args:
        run: whose figures are drawn.
        use: takes the name and the figure.

    Returns:
        A sentence about each figure that could not be drawn.

    Raises:
        StorageError: if `use` cannot write.
    """
    problems = []
    for name in FIGURES:
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                figure = draw_figure(name, run)
                if figure is not None:
                    use(name, figure)
        except StorageError:
            raise
        except Exception as error:  # of a damaged run or a figure from outside: others go on
            text = " ".join(str(error).split())[:200]
            problems.append(f"The figure {name} cannot be drawn: {text or type(error).__name__}.")
    return problems


def _draw_curves(run: RunFiles) -> Figure | None:
    if run.summary and not run.summary.steps:  # a baseline, which is fitted at once
        return None
    if not any(isinstance(record, Step | Evaluation | Reconstruction) for record in run.records):
        return None
    known = run.summary or run.pretraining
    return draw_curves(run.records, known.best_step if known else None)


def _draw_confusion(run: RunFiles) -> Figure | None:
    if not run.summary or not run.class_names or not np.any(run.summary.confusion_matrix):
        return None
    names = captions(run.class_names, run.class_ids)
    return draw_confusion(np.array(run.summary.confusion_matrix), names)


def _draw_reliability(run: RunFiles) -> Figure | None:
    known = isinstance(run.summary, Summary) and run.summary.calibration
    return draw_reliability(known) if known else None


def _draw_spectra(run: RunFiles) -> Figure | None:
    if run.spectra is None or not run.class_names:
        return None
    if not {"mean", "deviation"} <= run.spectra.keys():
        raise InputError("spectra.npz lacks means or deviations")
    return draw_spectra(
        run.spectra["mean"],
        run.spectra["deviation"],
        captions(run.class_names, run.class_ids),
        colours=run.colours,
        wavelengths=run.spectra.get("wavelengths"),
    )


def _draw_shares(run: RunFiles) -> Figure | None:
    return draw_shares(run.facts) if run.facts and run.facts.steps else None


def _draw_timeline(run: RunFiles) -> Figure | None:
    if not run.facts or not run.facts.steps or not run.facts.timeline:
        return None
    return draw_timeline(run.facts.timeline, process_names(run.facts), "Timed steps, measured")


def _draw_reconstruction(run: RunFiles) -> Figure | None:
    arrays = run.reconstruction
    if arrays is None:
        return None
    if not {"patches", "hidden", "made"} <= arrays.keys():
        raise InputError("reconstruction.npz lacks patches")
    shown = (arrays[name] for name in ("patches", "hidden", "made"))
    return draw_reconstruction(*shown, wavelengths=arrays.get("wavelengths"))


def _draw_band_errors(run: RunFiles) -> Figure | None:
    if run.pretraining is None:
        return None
    found, arrays = run.pretraining.reconstruction, run.reconstruction or {}
    return draw_band_errors(found.per_band, found.per_band_of_mean, arrays.get("wavelengths"))


register("curves", _draw_curves)
register("confusion", _draw_confusion)
register("reliability", _draw_reliability)
register("spectra", _draw_spectra)
register("reconstruction", _draw_reconstruction)
register("band_errors", _draw_band_errors)
register("shares", _draw_shares)
register("timeline", _draw_timeline)
