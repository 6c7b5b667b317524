"""A process that becomes slower while it trains."""

import math
from dataclasses import dataclass

from hsi_jax.errors import InputError


@dataclass(frozen=True)
class Slowdown:
    """A process made slower by a factor >= 1 while `at_step` <= step < `until`."""

    rank: int
    factor: float
    at_step: int
    until: float = math.inf

    def factor_at(self, step: int) -> float:
        """The factor at a step; 1 before and after the slowdown."""
        return self.factor if self.at_step <= step < self.until else 1.0


def parse_slowdown(text: str, num_processes: int) -> Slowdown:
    """Reads "rank:factor:at_step[:until]".

    Raises:
        InputError: if it cannot be used; the message names the wrong part.
    """
    try:
        rank, factor, *steps = text.split(":")
        slowdown = Slowdown(int(rank), float(factor), *map(int, steps))
    except (TypeError, ValueError):
        raise InputError(
            f"`slowdown`={text}: give rank:factor:at_step or rank:factor:at_step:until, "
            f"such as 1:3:100:200"
        ) from None
    if not 0 <= slowdown.rank < num_processes:
        raise InputError(
            f"`slowdown`={text}: no rank {slowdown.rank}; give 0 to {num_processes - 1}"
        )
    if not 1 <= slowdown.factor < math.inf:
        raise InputError(f"`slowdown`={text}: factor {slowdown.factor:g}; give one of at least 1")
    if not 0 <= slowdown.at_step < slowdown.until:
        raise InputError(f"`slowdown`={text}: give steps of at least 0, the second one later")
    return slowdown
