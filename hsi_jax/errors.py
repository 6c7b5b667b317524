"""Errors by kind, and how their messages name arguments.

A message names the argument, the problem and the remedy. An argument stands between backquotes, as
in "`patch_size`=4: give an odd number"; a command line prints its flag instead (`name_flags`).
"""

import re
from collections.abc import Mapping


class HsiJaxError(Exception):
    """Any error that this library explains to its user; the command line prints one line of it."""


class InputError(HsiJaxError, ValueError):
    """A value given by the user cannot be used."""


class InputWarning(UserWarning):
    """A value given by the user can be used, but is probably not what is meant."""


class DivergenceError(HsiJaxError, ArithmeticError):
    """The training has diverged: a loss, gradient or statistic is not finite."""


class DriftError(HsiJaxError, ArithmeticError):
    """The devices no longer hold the same state."""


class AuditError(HsiJaxError, ArithmeticError):
    """A device computes otherwise than devices that are like it."""


class StorageError(HsiJaxError):
    """Results cannot be written, for example because the disk is full."""


class LostWorkerError(HsiJaxError, RuntimeError):
    """A process of the run has failed or was killed."""


# Control characters, by which a terminal is steered, marks that turn the direction of writing, line
# breaks that few programs know, and halves of surrogate pairs. Line breaks and tabs stay.
_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str) -> str:
    """A text that may hold foreign names, as it may reach a terminal or a page.

    Characters that steer a terminal or turn the direction of writing stand as their escape, such
    as "\\x1b".
    """
    return _STEERING.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def name_flags(message: str, flags: Mapping[str, str]) -> str:
    """A message that can be printed, in which arguments are called by their flags.

    Args:
        message: in which arguments stand between backquotes.
        flags: the flag of each argument; any other name loses its backquotes.
    """

    def flag(match: re.Match) -> str:
        name = match[1]
        return f"--{flags[name]}" if name in flags else name

    return printable(re.sub(r"`(\w+)`", flag, message))
