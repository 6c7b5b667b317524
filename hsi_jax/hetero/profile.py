"""Heterogeneity profiles: what is known about the devices before work is divided."""

import math
import reprlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from hsi_jax.errors import InputError
from hsi_jax.json_file import read_json

PRESETS = {
    "uniform": (1, 1, 1, 1),  # four like devices: the homogeneous control
    "two_generations": (2, 2, 1, 1),  # a cluster extended once, by devices twice as fast
    "doubling": (8, 4, 2, 1),  # every device twice as fast as the next
    "straggler": (4, 4, 4, 1),  # three like devices and one slowed to a quarter
    "extreme": (16, 1, 1, 1),  # one accelerator beside three slow devices
}

MAX_NUMBER = 1e30  # a speed or fixed cost; products of such numbers are still finite
RELATIVE_TIME = "time of a microbatch at speed 1"


@dataclass(frozen=True)
class Device:
    """One device of a profile; its time for n microbatches is t(n) = fixed_cost + n / speed.

    Attributes:
        name: how reports call it.
        speed: microbatches per unit of time; only ratios matter where fixed costs are 0. 0 means
            that the device takes no part.
        fixed_cost: time that a step costs the device whatever its share, in the same unit.
        memory_cap: maximum of samples that the device may hold in one step, or None.
    """

    name: str
    speed: float
    fixed_cost: float = 0.0
    memory_cap: int | None = None

    def __post_init__(self):
        _check_text("name of a device", self.name)
        where = f"device {self.name!r}"
        _check_number(f"speed of {where}", self.speed)
        if 0 < self.speed < 1 / MAX_NUMBER:
            raise InputError(
                f"speed of {where} is {self.speed}; give 0, or {1 / MAX_NUMBER:g} and more"
            )
        _check_number(f"fixed_cost of {where}", self.fixed_cost)
        cap = self.memory_cap
        if cap is not None and (isinstance(cap, bool) or not isinstance(cap, int) or cap < 0):
            raise InputError(
                f"memory_cap of {where} is {reprlib.repr(cap)}; give a whole number of samples "
                f">= 0, or null"
            )

    def time(self, microbatches: int) -> float:
        """Modelled time of one step with that many microbatches; infinite where speed is 0."""
        if microbatches == 0:
            return self.fixed_cost
        return self.fixed_cost + microbatches / self.speed if self.speed else math.inf


@dataclass(frozen=True)
class Profile:
    """The devices of one machine, in the order of JAX's devices.

    Attributes:
        devices: one entry for each.
        name: what the user called it: the text that was parsed, or the path of its file.
        time_unit: unit of fixed costs and of 1 / speed.
    """

    devices: tuple[Device, ...]
    name: str = ""
    time_unit: str = RELATIVE_TIME

    def __post_init__(self):
        _check_text("time_unit", self.time_unit)
        if not self.devices:
            raise InputError("a profile has no devices; give at least one")
        if not any(device.speed for device in self.devices):
            raise InputError("all speeds of a profile are 0; give one above 0")

    def __len__(self) -> int:
        return len(self.devices)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the devices."""
        return tuple(device.name for device in self.devices)

    @property
    def speeds(self) -> tuple[float, ...]:
        """Speeds of the devices, in microbatches per unit of time."""
        return tuple(device.speed for device in self.devices)

    @property
    def uncapped(self) -> "Profile":
        """The same devices without memory caps: for work that is never held all at once."""
        return replace(self, devices=tuple(replace(d, memory_cap=None) for d in self.devices))

    def times(self, shares: Sequence[int]) -> tuple[float, ...]:
        """Modelled times of one step, [devices], for the given shares in microbatches."""
        return tuple(d.time(n) for d, n in zip(self.devices, shares, strict=True))

    def to_json(self) -> dict:
        """The dictionary that a profile file holds; `read_profile` takes it back."""
        devices = [asdict(device) for device in self.devices]
        return {"time_unit": self.time_unit, "devices": devices}


def parse_profile(text: str) -> Profile:
    """Makes a profile of a line of text.

    Args:
        text: speeds such as "4:2:1:1", the name of a preset, or the path of a JSON file
            `{"devices": [{"name", "speed", "fixed_cost", "memory_cap"}, ...]}` in which all but
            speed may be left out; `"time_unit"` beside the devices may name the unit.

    Raises:
        InputError: if it cannot be used; the message names the wrong part and what is allowed.
    """
    if text in PRESETS:
        return _from_speeds(PRESETS[text], text)
    if text.lower().endswith(".json"):
        return read_profile(text)
    try:
        return _from_speeds([float(part) for part in text.split(":")], text)
    except InputError as error:
        raise InputError(f"`profile`={text}: {error}") from None
    except ValueError:
        raise InputError(
            f"`profile`={text}: give speeds such as 4:2:1:1, a preset ({', '.join(PRESETS)}), or "
            f"the path of a .json file"
        ) from None


def read_profile(path: str | Path) -> Profile:
    """Reads a profile from a JSON file (see `parse_profile`).

    Raises:
        InputError: if it cannot be used; the message names the file and the wrong entry.
    """
    try:
        content = read_json(path)
    except InputError as error:
        raise InputError(f"`profile`: {error}") from None
    try:
        devices = [
            Device(**{"name": f"device {i}"} | entry) for i, entry in enumerate(content["devices"])
        ]
        return Profile(tuple(devices), str(path), content.get("time_unit", RELATIVE_TIME))
    except InputError as error:
        raise InputError(f"`profile`={path}: {error}") from None
    except (KeyError, TypeError) as error:
        raise InputError(
            f"`profile`={path}: the file is not of the form "
            f'{{"devices": [{{"name": "a", "speed": 4, "fixed_cost": 0, "memory_cap": null}}]}} '
            f"({error!r})"
        ) from None


def _from_speeds(speeds: Sequence[float], name: str) -> Profile:
    return Profile(tuple(Device(f"device {i}", float(s)) for i, s in enumerate(speeds)), name)


def _check_number(what: str, value: float) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value < math.inf:  # isfinite fails at an int beyond all floats
        raise InputError(f"{what} is {reprlib.repr(value)}; give a finite number >= 0")
    if value > MAX_NUMBER:
        raise InputError(f"{what} is {reprlib.repr(value)}; give at most {MAX_NUMBER:g}")


def _check_text(what: str, value: str) -> None:
    if not isinstance(value, str) or not value.isprintable():
        raise InputError(f"{what} is {reprlib.repr(value)}; give a line of text")
