"""The options of a comparison: what is compared, on which devices and with which seeds."""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from hsi_jax.comparison.peer import PEERS
from hsi_jax.errors import InputError
from hsi_jax.hetero import SCHEMES
from hsi_jax.options import check_options, option
from hsi_jax.run.figure_file import FIGURE_CHOICES, parse_figure_formats

# The simplest schemes first, as tables show them.
OURS = tuple(SCHEMES)[::-1]
EMULATED = tuple(name for name in OURS if not SCHEMES[name].retimed)
MEASURED = (*EMULATED, *(name for name in OURS if SCHEMES[name].retimed), *PEERS)

TARGET = 0.95
MAX_SEEDS = 10_000  # of a range
MODELS_HELP = (
    "networks and baselines to compare instead of schemes; NAME.flags is a file with --model and "
    "other flags of its own, here or of hsi_jax/presets"
)
SEEDS_HELP = "seeds of the runs, such as 0,1,2 or 0..9"


@dataclass(frozen=True)
class CompareOptions:
    """The options of a comparison; what follows -- goes to the runs.

    Raises:
        InputError: on a value that cannot be used.
    """

    models: tuple[str, ...] = option((), MODELS_HELP, kind=tuple, heading="Compare")
    protocols: tuple[str, ...] = option(
        (),
        "names of --protocol of experiments.run, each with a table of its own",
        kind=tuple,
        heading="Compare",
    )
    profile: str | None = option(
        None,
        "speeds such as 2:1:1, a preset or a .json file; with `models` the default is 1",
        kind=str,
        path=True,
        heading="Compare",
    )
    schemes: tuple[str, ...] = option(
        (), f"some of {', '.join(MEASURED)}; default all", kind=tuple, heading="Compare"
    )
    seeds: tuple[str, ...] = option(("0", "1", "2"), SEEDS_HELP, kind=tuple, heading="Compare")
    workdir: str | None = option(
        None, "folder of all runs and of the tables", kind=str, path=True, heading="Compare"
    )
    target_accuracy: float = option(
        TARGET, "OA on validation pixels to be timed", above=0, at_most=1, heading="Compare"
    )
    emulated: bool = option(
        False,
        "emulate the devices: compare accuracies, no times; always so with `models`",
        heading="Compare",
    )
    slowdown: tuple[str, ...] = option(
        (), "rank:factor:at_step[:until], as of experiments.launch", kind=list, heading="Compare"
    )
    figures: str = option("png", f"formats of the pictures, {FIGURE_CHOICES}", heading="Compare")
    torch_python: str = option(
        sys.executable, "a Python that has PyTorch, Horovod", path=True, heading="Compare"
    )

    def __post_init__(self):
        check_options(self)
        parse_figure_formats(self.figures)
        if self.models:
            self._check_models()
        elif not self.profile:
            raise InputError("`profile` is missing; see --help")
        if not self.workdir:
            raise InputError("`workdir` is missing; see --help")
        if self.emulated and self.slowdown:
            raise InputError("`slowdown` needs real processes; leave out `emulated`")
        for scheme in self.schemes:
            if scheme not in self.possible_schemes:
                names = ", ".join(self.possible_schemes)
                raise InputError(f"`schemes`={scheme}: choose from {names}")
        if len(set(self.protocols)) < len(self.protocols):
            raise InputError(f"`protocols`={','.join(self.protocols)}: give different names")
        parse_seeds(self.seeds)

    def _check_models(self):
        if self.schemes:
            raise InputError(
                "`models` and `schemes` exclude each other; give one model of all schemes after "
                "--, or the one `scheme` of all models"
            )
        if self.slowdown or self.target_accuracy != TARGET:
            given = "slowdown" if self.slowdown else "target_accuracy"
            raise InputError(f"`{given}` goes with `schemes`; leave it out")

    @property
    def possible_schemes(self) -> tuple[str, ...]:
        """The schemes that can be compared on such devices."""
        return EMULATED if self.emulated else MEASURED


def parse_seeds(texts: Sequence[str]) -> tuple[int, ...]:
    """Seeds such as 0, 1, 2 or 0..9, whose ends both belong to it.

    Raises:
        InputError: if one is no such number or range, or is there twice.
    """
    seeds = [seed for text in texts for seed in _range(text)]
    if not texts or not all(map(_range, texts)) or len(seeds) > len(set(seeds)):
        raise InputError(
            f"`seeds`={','.join(texts)}: give different whole numbers between commas, such as "
            f"0,1,2, or a range such as 0..9"
        )
    return tuple(seeds)


def _range(text: str) -> range:
    """The seeds of one text; none where it is not understood."""
    found = re.fullmatch(r"(\d{1,10})(?:\.\.(\d{1,10}))?", text.strip())
    if not found:
        return range(0)
    first = int(found[1])
    seeds = range(first, int(found[2] or first) + 1)
    return seeds if len(seeds) <= MAX_SEEDS else range(0)
