"""How the next process takes over what the first one writes, when that is lost.

Every process that may have to keeps a folder of its own with all that the first one has written
before the training's end: config.json, profile.json and metrics.jsonl, of which only the measured
times differ. It has seen the end of all that the lost one has: a step, or a validation, ends in all
processes or in none. So its own files take the place of those that the lost one may have left
incomplete. Checkpoints are completed by `hsi_jax.session.resume.Saver`; what is written at the
run's end is written anew, by `hsi_jax.cluster.exchange.by_first`.
"""

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from hsi_jax.cluster.exchange import can_survive, is_first, on_first, rank
from hsi_jax.cluster.processes import broadcast
from hsi_jax.run import RunFolder
from hsi_jax.run.lock import locked

_log = logging.getLogger(__name__)


def tell_place(path: Path) -> None:
    """Tells the others, in the first process, where the run's folder is."""
    if can_survive():
        broadcast(os.fsencode(os.path.abspath(path)))


@contextlib.contextmanager
def ready_to_take_over(nowhere: Path) -> Iterator[RunFolder]:
    """A folder, `nowhere` at first, that becomes the run's when this process becomes the first.

    The lock of the run's folder is taken with it: the kernel has taken it from the lost process.
    """
    folder = RunFolder(nowhere)
    with contextlib.ExitStack() as locks:
        if can_survive():
            place = Path(os.fsdecode(broadcast(b"")))

            def take_over() -> None:
                found = place.is_dir()
                locks.enter_context(locked(place))
                folder.move_to(place)
                _log.warning("%s", _describe(place, found))

            on_first(take_over)
        yield folder


def share_records(folder: RunFolder) -> None:
    """Gives the records of a resumed run to those who may have to take over."""
    if can_survive():
        records = broadcast(folder.read_lines())
        if not is_first():
            folder.write_lines(records)


def _describe(place: Path, found: bool) -> str:
    line = f"The first process was lost; process {rank()} writes to {place} from now on"
    return f"{line}." if found else f"{line}, which is not there: the earlier files are elsewhere."
