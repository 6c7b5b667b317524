"""Wavelengths in nanometres, whatever the unit in a file."""

import warnings
from collections.abc import Sequence

import numpy as np

from hsi_jax.errors import InputWarning

# In nanometres.
_UNITS = {
    "nanometers": 1.0,
    "nanometres": 1.0,
    "nanometer": 1.0,
    "nanometre": 1.0,
    "nm": 1.0,
    "micrometers": 1e3,
    "micrometres": 1e3,
    "micrometer": 1e3,
    "micrometre": 1e3,
    "microns": 1e3,
    "micron": 1e3,
    "um": 1e3,
    "µm": 1e3,
    "μm": 1e3,
    "angstroms": 0.1,
    "angstrom": 0.1,
    "millimeters": 1e6,
    "millimetres": 1e6,
    "mm": 1e6,
    "centimeters": 1e7,
    "cm": 1e7,
    "meters": 1e9,
    "metres": 1e9,
    "meter": 1e9,
    "metre": 1e9,
    "m": 1e9,
}
# Such numbers divide: waves in a centimetre, and oscillations in a second.
_INVERSE_UNITS = {
    "wavenumber": 1e7,
    "wavenumbers": 1e7,
    "cm-1": 1e7,
    "1/cm": 1e7,
    "mhz": 2.99792458e11,
    "ghz": 2.99792458e8,
    "thz": 2.99792458e5,
}
_LONGEST_MICROMETRES = 50.0  # a larger number without a unit is in nanometres


def to_nanometres(
    values: Sequence[str] | Sequence[float] | np.ndarray, unit: str | None
) -> np.ndarray | None:
    """Wavelengths in nanometres.

    Args:
        values: numbers, or their texts.
        unit: "Nanometers", "um", ...; None, "" or "Unknown" lets the values decide: micrometres
            if none is above 50.

    Returns:
        float64, or None if the values are no positive numbers or the unit is no length.

    Warns:
        InputWarning: if they are dropped, and why.
    """
    try:
        numbers = np.array([float(value) for value in values])
    except ValueError:
        return _drop("they are not all numbers")
    if not (np.isfinite(numbers) & (numbers > 0)).all():
        return _drop("they are not all positive numbers")
    name = (unit or "unknown").strip().lower()
    if name in ("", "unknown"):
        name = "um" if numbers.max() <= _LONGEST_MICROMETRES else "nm"
    if name in _INVERSE_UNITS:
        return _INVERSE_UNITS[name] / numbers
    return numbers * _UNITS[name] if name in _UNITS else _drop(f"{unit} is no unit of length")


def _drop(reason: str) -> None:
    warnings.warn(
        f"the wavelengths of the file are left out: {reason}; bands are then identified by their "
        f"names or by their order",
        InputWarning,
        stacklevel=3,
    )
