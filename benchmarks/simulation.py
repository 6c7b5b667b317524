"""The simulation's model against processes of this machine.

    python -m benchmarks.simulation [--repeats 3] [--steps 30]

It is `python -m experiments.simulate --check` with as many repeats and steps as you like; see
`hsi_jax.simulation.check`.
"""

import argparse

from benchmarks.measure import first_line
from hsi_jax.simulation.check import REPEATS, STEPS, check


def main() -> None:
    """Prints the machine, and a table for each repeat."""
    parser = argparse.ArgumentParser(description=first_line(__doc__))
    parser.add_argument("--repeats", type=int, default=REPEATS, help="rounds of all processes")
    parser.add_argument("--steps", type=int, default=STEPS, help="timed steps of each scheme")
    arguments = parser.parse_args()
    for name in ("repeats", "steps"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name}={getattr(arguments, name)}: give a whole number >= 1")
    check(arguments.repeats, arguments.steps)


if __name__ == "__main__":
    main()
