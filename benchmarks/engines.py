"""What a step costs by the engines for several processes, where none is lost.

    python -m benchmarks.engines --repeats=5

Two processes, each pinned to a core (`experiments.launch`), train the default model: over MPI,
which survives losses; by `jax.distributed` with the sums of hosts; and with those of one program.
The engines take turns; each time is the median over the steps of a run. Linux, Open MPI 5.
"""

import argparse
import contextlib
import io
import statistics
from pathlib import Path

from benchmarks.measure import first_line
from hsi_jax.commands.launch import parse
from hsi_jax.json_file import read_json
from hsi_jax.launch.launching import launch
from hsi_jax.launch.measured_processes import describe_machine
from hsi_jax.temporary import temporary_folder

ENGINES = {
    "mpi": ("--engine=mpi",),
    "jax, host": ("--engine=jax", "--reduce=host"),
    "jax, device": ("--engine=jax", "--reduce=device"),
}


def main() -> None:
    """Prints the times, and their ratios within each round."""
    parser = argparse.ArgumentParser(description=first_line(__doc__))
    parser.add_argument("--repeats", type=int, default=5, help="rounds of all engines in turn")
    parser.add_argument("--steps", type=int, default=200, help="of each run")
    parser.add_argument("--flags", default="", help="further ones of experiments.run")
    arguments = parser.parse_args()
    print(describe_machine(pinned=False))
    times: dict[str, list[float]] = {name: [] for name in ENGINES}
    with temporary_folder() as folder:
        for number in range(arguments.repeats):
            for name, flags in ENGINES.items():
                own = (f"--steps={arguments.steps}", *flags, *arguments.flags.split())
                times[name].append(step_ms(folder / f"{name}{number}", own))
                print(f"round {number + 1}: {name:<12} {times[name][-1]:8.2f} ms", flush=True)
    for name in list(ENGINES)[1:]:
        ratios = [mpi / other for mpi, other in zip(times["mpi"], times[name], strict=True)]
        print(
            f"mpi / {name:<12} median {statistics.median(ratios):.3f}, "
            f"{min(ratios):.3f} to {max(ratios):.3f}"
        )


def step_ms(workdir: Path, flags: tuple[str, ...]) -> float:
    """Median time of a step of a run, ms."""
    shares = ("--profile=1:1", "--figures=none", f"--workdir={workdir}")
    with contextlib.redirect_stdout(io.StringIO()):
        launch(parse(["launch", "--profile=1:1", "--", *shares, *flags]))
    return read_json(workdir / "summary.json")["step_time_ms_median"]


if __name__ == "__main__":
    main()
