"""Wavelengths in nanometres, whatever the unit in a file."""

from collections.abc import Sequence

import numpy as np

# In nanometres; other units, such as "Index" or "GHz", are no lengths.
_UNITS = {
    "nanometers": 1.0,
    "nanometres": 1.0,
    "nanometer": 1.0,
    "nm": 1.0,
    "micrometers": 1e3,
    "micrometres": 1e3,
    "micrometer": 1e3,
    "microns": 1e3,
    "um": 1e3,
    "µm": 1e3,
    "μm": 1e3,
    "angstroms": 0.1,
    "millimeters": 1e6,
    "mm": 1e6,
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
    """
    try:
        numbers = np.array([float(value) for value in values])
    except ValueError:
        return None
    if not (np.isfinite(numbers) & (numbers > 0)).all():
        return None
    name = (unit or "unknown").strip().lower()
    if name in ("", "unknown"):
        name = "um" if numbers.max() <= _LONGEST_MICROMETRES else "nm"
    return numbers * _UNITS[name] if name in _UNITS else None
