"""From the command line to the runs of a comparison."""

import dataclasses
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from experiments.flags import config_from_flags, parse_flags, parse_own_flags
from experiments.peer import PEERS
from experiments.slowdown import parse_slowdown
from experiments.trial import Platform, Trial
from hsi_jax.errors import InputError
from hsi_jax.hetero import SCHEMES
from hsi_jax.hetero.profile import parse_profile

EMULATED = ("even", "uniform", "speed", "balanced")
MEASURED = (*EMULATED, "adaptive", *PEERS)
SET_HERE = ("scheme", "seed", "workdir", "overwrite", "time_devices")
SET_BY_PLATFORM = ("coordinator", "num_processes", "process_id")

_USAGE = """\
Trains by several schemes and seeds with the same data, split and first parameters, and compares.

  python -m experiments.compare --profile=2:1:1 --schemes=even,balanced --seeds=0,1,2
      --workdir=results -- --dataset=salinas_a --data_dir=DIR
  python -m experiments.compare --emulated --profile=16:1:1:1 --seeds=0,1,2,3,4
      --workdir=accuracy -- --batch_size=76 --microbatch_size=4

What follows -- are flags of experiments.run. The processes are really uneven, as those of
experiments.launch; with --emulated only accuracies are compared, and no time is. Called again, it
does what is missing. The folder gets table.md and table.csv (means over seeds), runs.csv,
accuracy.png, step_time.png and timeline-SCHEME.png.
"""


def parse(argv: list[str]) -> tuple[list[Trial], Platform, float]:
    """The arguments of `compare` that a command line asks for; all runs are checked.

    Raises:
        InputError: on a value that cannot be used.
        SystemExit: after --help; or, with one line on stderr, on a flag that is unknown.
    """
    own = _own_flags()
    run_flags = parse_own_flags(own, argv, help_text)
    for name in ("profile", "workdir"):
        if not own[name].value:
            raise InputError(f"--{name} is missing; see --help")
    if not 0 < own.target_accuracy <= 1:
        raise InputError(
            f"--target_accuracy={own.target_accuracy:g}: give a fraction above 0, at most 1"
        )
    profile = parse_profile(own.profile)
    if own.emulated and own.slowdown:
        raise InputError("--slowdown needs real processes; leave out --emulated")
    platform = Platform(
        profile,
        own.emulated,
        [parse_slowdown(text, len(profile)) for text in own.slowdown],
        run_flags,
        Path(own.workdir),
        own.torch_python,
    )
    return _make_trials(own, platform), platform, own.target_accuracy


def _make_trials(own: flags.FlagValues, platform: Platform) -> list[Trial]:
    """All schemes of a seed, then those of the next, so that an early end leaves whole seeds."""
    parse_flags(["experiments.run", *platform.run_flags])
    taken = (*SET_HERE, *SET_BY_PLATFORM, *(("profile",) if platform.emulated else ()))
    for name in taken:
        if flags.FLAGS[name].present:
            raise InputError(f"--{name} after --: it is set for each run; leave it out")
    if not platform.emulated:
        flags.FLAGS.coordinator = "127.0.0.1:0"
        flags.FLAGS.num_processes = len(platform.profile)
        flags.FLAGS.process_id = 0
    config = config_from_flags()
    if config.microbatch_size == "auto":
        raise InputError(
            "--microbatch_size=auto could choose another size, with other results, for each run; "
            "choose it once with experiments.run and give its number"
        )
    possible = EMULATED if platform.emulated else MEASURED
    trials = []
    for seed in _parse_seeds(own.seeds):
        for scheme in own.schemes or possible:
            if scheme not in possible:
                raise InputError(f"--schemes={scheme}: choose from {', '.join(possible)}")
            given = {"seed": seed, "scheme": scheme if scheme in SCHEMES else "even"}
            if platform.emulated:
                given["profile"] = own.profile
            trials.append(Trial(scheme, dataclasses.replace(config, **given)))
    if config.model_name != "cnn2d" and any(trial.scheme in PEERS for trial in trials):
        raise InputError(
            f"--model={config.model_name}: the PyTorch peers are of cnn2d; give --schemes without "
            f"{', '.join(PEERS)}"
        )
    return trials


def _parse_seeds(texts: Sequence[str]) -> list[int]:
    try:
        seeds = [int(text) for text in texts]
    except ValueError:
        seeds = []
    if not seeds or len(set(seeds)) < len(seeds):
        raise InputError(f"--seeds={','.join(texts)}: give different whole numbers between commas")
    return seeds


def _own_flags() -> flags.FlagValues:
    own = flags.FlagValues()
    text, names, yes = flags.DEFINE_string, flags.DEFINE_list, flags.DEFINE_bool
    text("profile", None, "speeds such as 2:1:1, a preset or a .json file", flag_values=own)
    names("schemes", [], f"some of {', '.join(MEASURED)}; default all", flag_values=own)
    names("seeds", ["0", "1", "2"], "seeds of the runs, between commas", flag_values=own)
    text("workdir", None, "folder of all runs and of the tables", flag_values=own)
    flags.DEFINE_float(
        "target_accuracy", 0.95, "OA on validation pixels to be timed", flag_values=own
    )
    yes("emulated", False, "emulate the devices: compare accuracies, no times", flag_values=own)
    flags.DEFINE_multi_string(
        "slowdown", [], "rank:factor:at_step[:until], as of experiments.launch", flag_values=own
    )
    text("torch_python", sys.executable, "a Python that has PyTorch, Horovod", flag_values=own)
    return own


OWN = (
    *("profile", "schemes", "seeds", "workdir", "target_accuracy", "emulated", "slowdown"),
    "torch_python",
)


def help_text() -> str:
    """How to use the program, and its flags."""
    own = _own_flags()
    described = (
        textwrap.fill(
            own[name].help, 98, initial_indent=f"{f'  --{name}':<20}", subsequent_indent=" " * 20
        )
        for name in OWN
    )
    return "\n".join([_USAGE, *described])
