"""The charts of a run: its curves, its spectra and how shares and times changed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from hsi_jax.errors import InputError
from hsi_jax.evaluate.report.chart import Chart, Series, draw_chart
from hsi_jax.evaluate.report.reading import RunFiles
from hsi_jax.run.records import Evaluation, Record, Step
from hsi_jax.run.summary import Summary

_MEASURES = (("overall_accuracy", "OA"), ("average_accuracy", "AA"), ("kappa", "kappa"))

_Row = TypeVar("_Row", Step, Evaluation)


@dataclass(frozen=True)
class Spectrum:
    """The spectrum of a class: an SVG path of its mean, and one of mean ± deviation."""

    name: str
    colour: str
    mean: str
    band: str


@dataclass(frozen=True)
class Spectra:
    """The spectra of all classes on the same axes; places are in per cent."""

    x_label: str
    x_ends: tuple[str, str]
    y_ends: tuple[str, str]
    classes: tuple[Spectrum, ...]


def curves(records: Sequence[Record], best_step: int | None) -> list[Chart]:
    """The charts of loss, learning rate and accuracies; of a repeated step the last record."""
    steps = _by_step(r for r in records if isinstance(r, Step))
    found = [r for r in records if isinstance(r, Evaluation)]
    validation = _by_step(r for r in found if r.set == "validation")
    test = _by_step(r for r in found if r.set == "test")
    test = [r for r in test if r.step == best_step] or test[-1:]
    loss = [
        _series("training loss", steps, "loss", 0),
        _series("validation loss", validation, "loss", 1),
        _series("test loss", test, "loss", 2, points=True),
    ]
    accuracy = [
        *(_series(f"validation {n}", validation, key, i) for i, (key, n) in enumerate(_MEASURES)),
        *(_series(f"test {n}", test, key, i, points=True) for i, (key, n) in enumerate(_MEASURES)),
    ]
    charts = [
        draw_chart("Loss", loss, x_label="step", y_label="mean over the samples", rule=best_step),
        draw_chart("Accuracies", accuracy, x_label="step", y_label="fraction of 1", rule=best_step),
    ]
    return [chart for chart in charts if chart]


def reliability(summary: Summary) -> list[Chart]:
    """The chart of accuracy over confidence; none where the run tells no calibration."""
    if summary.calibration is None:
        return []
    used = [one for one in summary.calibration.bins if one.samples]
    x = np.array([one.confidence for one in used], float)
    y = np.array([one.accuracy for one in used], float)
    series = [
        Series("as confident as right", np.array([0.0, 100.0]), np.array([0.0, 1.0]), 1),
        Series("test samples, by bins", 100 * x, y, 0),
    ]
    chart = draw_chart(
        "Reliability",
        series,
        x_label="confidence (%)",
        y_label="fraction that is right",
        from_zero=True,
    )
    return [chart] if chart else []


def history(summary: Summary) -> list[Chart]:
    """The charts of shares and of measured times while training; none where there are no such."""
    rows = summary.rebalancing
    devices = len(summary.device_names)
    if not rows or any(len(r.shares) != devices or len(r.device_seconds) != devices for r in rows):
        return []
    x = np.array([row.step for row in rows], float)
    shares = np.array([row.shares for row in rows], float)
    times = 1e3 * np.array([row.device_seconds for row in rows], float)
    charts = []
    for title, values, label in (
        ("Shares while training", shares, "microbatches in a step"),
        ("Measured time of own work", times, "measured ms in a step"),
    ):
        series = [
            Series(name, x, values[:, device], style=device, stepped=values is shares)
            for device, name in enumerate(summary.device_names)
        ]
        charts.append(draw_chart(title, series, x_label="step", y_label=label, from_zero=True))
    return [chart for chart in charts if chart]


def class_spectra_of(run: RunFiles) -> Spectra:
    """The spectra of a run that has some.

    Raises:
        InputError: if they do not fit the classes of the run.
    """
    arrays = run.spectra or {}
    mean, deviation = arrays.get("mean"), arrays.get("deviation")
    classes = len(run.class_names)
    if mean is None or deviation is None or mean.shape != deviation.shape:
        raise InputError("spectra.npz lacks means or deviations")
    if mean.dtype.kind != "f" or deviation.dtype.kind != "f" or mean.ndim != 2:
        raise InputError("spectra.npz holds no numbers of classes and bands")
    if len(mean) != classes or mean.shape[1] < 2:
        raise InputError(f"spectra.npz has spectra of shape {mean.shape} for {classes} classes")
    bands = mean.shape[1]
    x, label = np.arange(1, bands + 1, dtype=float), "band"
    wavelengths = arrays.get("wavelengths")
    if wavelengths is not None and _are_wavelengths(wavelengths, bands):
        x, label = wavelengths.astype(float), "wavelength (nm)"
    order = np.argsort(x, kind="stable")
    x, mean, deviation = x[order], mean[:, order].astype(float), deviation[:, order].astype(float)
    around = np.stack([mean - deviation, mean + deviation])
    around = around[:, np.isfinite(around).all(axis=(0, 2))]
    if not around.size:
        raise InputError("spectra.npz holds no finite spectrum")
    low, high = around.min(), around.max()
    across = 100 * (x - x[0]) / (x[-1] - x[0])
    scale = 100 / (high - low if high > low else 1)
    drawn = []
    for name, colour, m, d in zip(run.class_names, run.colours, mean, deviation, strict=True):
        lower, upper, middle = (100 - scale * (v - low) for v in (m - d, m + d, m))
        if not np.isfinite([lower, upper]).all():
            drawn.append(Spectrum(name, colour, "", ""))
            continue
        band = _path(across, upper) + _path(across[::-1], lower[::-1]).replace("M", "L", 1) + "Z"
        drawn.append(Spectrum(name, colour, _path(across, middle), band))
    ends = f"{x[0]:,.6g}", f"{x[-1]:,.6g}"
    return Spectra(label, ends, (f"{low:,.4g}", f"{high:,.4g}"), tuple(drawn))


def _are_wavelengths(values: np.ndarray, bands: int) -> bool:
    numbers = values.shape == (bands,) and values.dtype.kind in "iuf"
    return numbers and bool(np.isfinite(values).all()) and np.ptp(values) > 0


def _path(x: np.ndarray, y: np.ndarray) -> str:
    return "M" + "L".join(f"{a:.2f} {b:.2f}" for a, b in zip(x, y, strict=True))


def _series(name: str, rows: Sequence, key: str, style: int, points: bool = False) -> Series:
    x = np.array([row.step for row in rows], float)
    y = np.array([getattr(row, key) for row in rows], float)  # None becomes nan
    return Series(name, x, y, style, points)


def _by_step(rows: Iterable[_Row]) -> list[_Row]:
    latest = {row.step: row for row in rows}
    return [latest[step] for step in sorted(latest)]
