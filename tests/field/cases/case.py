"""What a case is: an input or an environment, and what a user may expect of it."""

import re
import signal
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hsi_jax.command_line import with_flags
from hsi_jax.errors import HsiJaxError

SECONDS = 60  # that a case of reading may take
RIGHT, REFUSED, WRONG, LEFT_OUT = "right", "refused", "WRONG", "left out"


class Mistake(Exception):
    """A result that is not what a user expects."""


class NotHere(Exception):
    """What a case needs is not on this machine."""


class _Hangs(BaseException):
    """The time is over; no reader may take it for a damaged file."""


@dataclass(frozen=True)
class Case:
    """One input or environment.

    Attributes:
        name: what it is, in words.
        try_it: does it in an empty folder, and says what came out; raises HsiJaxError where it is
            refused, Mistake where the result is wrong.
        refused: words that the message of the refusal must have, as a regular expression; "" if it
            is to be done right.
        apart: whether it starts processes of its own.
    """

    name: str
    try_it: Callable[[Path], str]
    refused: str = ""
    apart: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Attributes:
        case: of which it is.
        verdict: RIGHT, REFUSED, WRONG or LEFT_OUT.
        said: the accuracy, the message, or what is wrong, in one line.
    """

    case: Case
    verdict: str
    said: str


def judge(case: Case) -> Outcome:
    """Tries a case in a folder of its own."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        try:
            with _limited(0 if case.apart else SECONDS):
                said = case.try_it(Path(folder))
        except HsiJaxError as error:
            return _of_refusal(case, with_flags(str(error)))
        except NotHere as reason:
            return Outcome(case, LEFT_OUT, str(reason))
        except Mistake as mistake:
            return Outcome(case, WRONG, str(mistake))
        except _Hangs:
            return Outcome(case, WRONG, f"takes more than {SECONDS} s")
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(place.filename).name}:{place.lineno}"
            return Outcome(case, WRONG, f"traceback: {type(error).__name__}: {error} ({where})")
    if case.refused:
        return Outcome(case, WRONG, f"is to be refused with {case.refused!r}, but {said}")
    return Outcome(case, RIGHT, said)


def _of_refusal(case: Case, message: str) -> Outcome:
    if not case.refused:
        return Outcome(case, WRONG, f"is refused: {message}")
    if not re.search(case.refused, message):
        return Outcome(case, WRONG, f"does not say {case.refused!r}: {message}")
    return Outcome(case, REFUSED, message)


@contextmanager
def _limited(seconds: int) -> Iterator[None]:
    """Ends what takes longer, in the main thread only; 0 for no limit."""
    if not seconds:
        yield
        return

    def end(*_) -> None:
        raise _Hangs

    earlier = signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, earlier)
