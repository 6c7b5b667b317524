"""Disturbs runs in every way we know, and compares their ends bit for bit with an undisturbed run.

    python -m tests.field.faults --kills=20

Every run is `experiments.launch` with real processes over gloo. Linux only. The full disk is a
small tmpfs where we may mount one, and otherwise a limit on the size of files.
"""

import argparse
import contextlib
import json
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.launched import STEPS, Launched, copy_result, result, steps_logged
from benchmarks.measure import first_line
from hsi_jax.launch.measured_processes import describe_machine

KILLS_PER_RUN = 5
WITHIN_SECONDS = 10  # of a start, a kill that is not to hit the saving
NO_ROOM = "could not be saved|cannot be written"


@dataclass
class Tally:
    """The outcome of the faults of one kind."""

    injected: int = 0
    survived: int = 0
    lost_steps: int = 0
    wrong_results: int = 0


def kill_one(launched: Launched, rng: random.Random, saving: bool) -> int | None:
    """Kills a process at a random moment, or process 0 while it saves; returns the steps so far."""
    if not launched.wait_until(launched.workers):
        return None
    if saving:
        launched.wait_until(launched.saves)
        time.sleep(rng.uniform(0, 0.05))
    else:
        moment = time.monotonic() + rng.uniform(0, WITHIN_SECONDS)
        launched.wait_until(lambda: time.monotonic() > moment)
    workers = launched.workers()
    if not workers:
        return None
    victim = workers[0] if saving else rng.choice(workers)
    logged = steps_logged(launched.workdir)
    with contextlib.suppress(psutil.NoSuchProcess):
        victim.send_signal(signal.SIGKILL)
        return logged
    return None


def kill_now(launched: Launched) -> bool:
    """Kills process 0; whether there was one."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for first in launched.workers()[:1]:
            first.send_signal(signal.SIGKILL)
            return True
    return False


def damage_newest(launched: Launched, rng: random.Random) -> str:
    """Flips a bit of a file of the newest checkpoint, or cuts it short."""
    files = [p for p in launched.sound()[-1].rglob("*") if p.is_file() and p.stat().st_size]
    path = rng.choice(files)
    data = bytearray(path.read_bytes())
    if rng.random() < 0.5:
        bit = rng.randrange(8 * len(data))
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        return "flip"
    path.write_bytes(data[: rng.randrange(len(data))])
    return "cut"


def lost_steps(outputs: list[str], logged: list[int]) -> int:
    """Steps that were taken twice: those logged at each fault, minus those that were resumed.

    Args:
        outputs: printed after each fault.
        logged: steps in metrics.jsonl at each fault; a start that was killed before it resumed has
            left the file as it was.
    """
    lost = 0
    for output, steps in zip(outputs, logged, strict=False):
        resumed = re.search(r"Resuming after step (\d+)", output)
        lost += steps - int(resumed[1]) if resumed else 0
    return lost


def kills(
    folder: Path, rng: random.Random, count: int, *, elastic: bool, first_saving: bool = False
) -> tuple[int, int, int]:
    """Kills processes of one run, every other one while it saves.

    Returns:
        The faults, the steps lost and the launcher's exit code.
    """
    profile = ":".join("1" * (count + 1)) if elastic else "1:1"
    flags = (f"--max_restarts={count}", *["--elastic"] * elastic)
    launched = Launched(folder, *flags, profile=profile)
    logged = []
    for number in range(count):
        starts = launched.output().count("Restart ")
        launched.wait_until(lambda starts=starts, n=number: starts >= n)
        steps = kill_one(launched, rng, saving=number % 2 == 1 - first_saving)
        if steps is None:
            break
        logged.append(steps)
        launched.wait_until(lambda n=number: launched.output().count("Restart ") > n)
    code = launched.finish()
    return len(logged), lost_steps(launched.restarts(), logged), code


def damages(folder: Path, rng: random.Random) -> tuple[int, int, int]:
    """Damages the newest checkpoint just after a process was killed."""
    launched = Launched(folder, "--max_restarts=1")
    launched.wait_until(lambda: len(launched.sound()) >= 2)
    logged = steps_logged(folder)
    if not kill_now(launched):
        return 0, 0, launched.finish()
    launched.wait_until(lambda: "Restart " in launched.output())
    damage_newest(launched, rng)
    code = launched.finish()
    named = "is damaged" in launched.output()
    return 1, lost_steps(launched.restarts(), [logged]), code if named else 1


def terminations(folder: Path, rng: random.Random) -> tuple[int, int, int]:
    """Ends a run by SIGTERM in the middle of its steps and resumes it with other devices."""
    launched = Launched(folder)
    target = rng.randrange(5, STEPS // 2)
    launched.wait_until(lambda: steps_logged(folder) >= target)
    launched.process.send_signal(signal.SIGTERM)
    code = launched.finish()
    if code != 128 + signal.SIGTERM:
        return 1, 0, code or 1
    logged = steps_logged(folder)
    launched = Launched(folder, profile="2:1:1", resume=True)
    code = launched.finish()
    return 1, lost_steps([launched.output()], [logged]), code


def full_disk(folder: Path, rng: random.Random) -> tuple[int, int, int]:
    """Fills the disk until a run has noticed, makes room again, and kills a process."""
    folder.mkdir()
    with small_disk(folder) as fill:
        run = folder / "run"
        launched = Launched(run, "--max_restarts=1")
        launched.wait_until(lambda: launched.sound())
        release = fill(launched)
        told = launched.wait_until(lambda: re.search(NO_ROOM, launched.output()))
        time.sleep(rng.uniform(0, 0.5))
        logged = steps_logged(run)
        release()
        kill_now(launched)
        code = launched.finish()
        lost = lost_steps(launched.restarts(), [logged])
        copy_result(run, folder.with_name(f"{folder.name}-result"))
    return 1, lost, code if told else code or 1


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Callable[[Launched], Callable[[], object]]]:
    """A disk that can be filled, by a function that returns another one to make room again."""
    command = ("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder))
    if subprocess.run(command, capture_output=True, check=False).returncode:
        yield _limit_files
        return

    def fill(launched):
        with contextlib.suppress(OSError), open(folder / "filler", "wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        return (folder / "filler").unlink

    try:
        yield fill
    finally:
        subprocess.run(("umount", str(folder)), check=True)


def _limit_files(launched: Launched) -> Callable[[], object]:
    first = launched.workers()[0]
    before = first.rlimit(psutil.RLIMIT_FSIZE)
    first.rlimit(psutil.RLIMIT_FSIZE, (1024, before[1]))
    return lambda: first.rlimit(psutil.RLIMIT_FSIZE, before)


def main() -> None:
    """Prints a line for each kind of fault; ends with code 1 if any run ended in other bits."""
    parser = argparse.ArgumentParser(description=first_line(__doc__))
    parser.add_argument("--kills", type=int, default=20, help="kill -9, half of them while saving")
    parser.add_argument("--others", type=int, default=4, help="faults of each other kind")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    print(describe_machine(pinned=False))

    tallies = defaultdict(Tally)
    with tempfile.TemporaryDirectory(prefix="hsi_jax-faults-") as place:
        quiet = Launched(Path(place) / "quiet")
        if quiet.finish():
            sys.exit(quiet.output())
        expected = result(Path(place) / "quiet")
        for number, (kind, disturb) in enumerate(plan(arguments, tallies, rng)):
            folder = Path(place) / f"run{number}"
            injected, lost, code = disturb(folder)
            copy = folder.with_name(f"{folder.name}-result")
            _count(tallies[kind], injected, lost, code)
            if code == 0:
                same = result(copy if copy.exists() else folder) == expected
                tallies[kind].wrong_results += not same
            print(json.dumps({"kind": kind, "faults": injected, "lost": lost, "code": code}))
    _print_table(tallies)
    sys.exit(any(t.wrong_results or t.survived < t.injected for t in tallies.values()))


def plan(
    arguments: argparse.Namespace, tallies: Mapping[str, Tally], rng: random.Random
) -> Iterator[tuple[str, Callable[[Path], tuple[int, int, int]]]]:
    """The runs to disturb, each with the kind of its faults; the tallies are those so far."""
    killed = tallies["kill -9"]
    for _ in range(arguments.kills):  # a run may end before it is hit
        left = arguments.kills - killed.injected
        if not left:
            break
        count = min(KILLS_PER_RUN, left)
        yield "kill -9", lambda f, n=count: kills(f, rng, n, elastic=False)
    yield "kill -9, elastic", lambda f: kills(f, rng, 2, elastic=True)
    for kind, disturb in (
        ("kill, damaged checkpoint", damages),
        ("SIGTERM, other devices", terminations),
        ("full disk, then kill", full_disk),
    ):
        for _ in range(arguments.others):
            yield kind, lambda f, d=disturb: d(f, rng)


def _count(tally: Tally, injected: int, lost: int, code: int) -> None:
    tally.injected += injected
    tally.survived += injected * (code == 0)
    tally.lost_steps += lost


def _print_table(tallies: dict[str, Tally]) -> None:
    print(f"{'fault':<28}{'injected':>10}{'survived':>10}{'steps redone':>14}{'wrong results':>15}")
    for kind, t in tallies.items():
        numbers = f"{t.injected:>10}{t.survived:>10}{t.lost_steps:>14}{t.wrong_results:>15}"
        print(f"{kind:<28}{numbers}")


if __name__ == "__main__":
    main()
