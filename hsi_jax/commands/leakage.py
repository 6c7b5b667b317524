"""How much of an accuracy is neighbours: `python -m experiments.leakage --help`."""

import dataclasses
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hsi_jax.command_line import define_flags, fail, help_text, parse_command
from hsi_jax.comparison.leakage_report import report_leakage
from hsi_jax.comparison.models import choose_models
from hsi_jax.comparison.one_run import ComparisonRun, Platform
from hsi_jax.comparison.options import MODELS_HELP, SEEDS_HELP, parse_seeds
from hsi_jax.comparison.plan import DEFAULT_PROFILE, SET_HERE, model_runs
from hsi_jax.comparison.work import check_finished, claimed, do_missing
from hsi_jax.errors import HsiJaxError, InputError
from hsi_jax.hetero import parse_profile
from hsi_jax.options import check_options, option
from hsi_jax.run.figure_file import FIGURE_CHOICES, parse_figure_formats
from hsi_jax.session.config import Config
from hsi_jax.session.flags import parse_run, refuse_flags

SPLIT_FLAGS = (
    *("protocol", "split", "train_fraction", "train_per_class", "small_classes"),
    *("block_size", "guard"),
)

USAGE = """\
Tests models on the same pixels while the training pixels keep a growing distance from them.

  python -m experiments.leakage --models=svm,cnn2d --guards=0,1,2,4,8 --seeds=0..4 --workdir=W
      -- --dataset=salinas_a --data_dir=DIR

The test pixels of a seed are those of small blocks. The training pixels are drawn from all pixels
whose distance to every test pixel (rows or columns, the larger) is larger than the guard; their
number in each class is always the same. So what changes with the guard is how near they are. What
follows -- are flags of experiments.run. Called again, it does what is missing. The folder gets
leakage.md, leakage.csv, leakage.png and the splits.
"""


@dataclass(frozen=True)
class LeakageOptions:
    """The options of a study; what follows -- goes to the runs.

    Raises:
        InputError: on a value that cannot be used.
    """

    models: tuple[str, ...] = option("Study", ("cnn2d",), MODELS_HELP, kind=tuple)
    guards: tuple[str, ...] = option(
        "Study", ("0", "1", "2", "4", "8"), "distances in pixels, between commas", kind=tuple
    )
    seeds: tuple[str, ...] = option("Study", ("0", "1", "2"), SEEDS_HELP, kind=tuple)
    train_fraction: float = option("Study", 0.1, "part of each class that trains", above=0, below=1)
    test_fraction: float = option(
        "Study", 0.1, "part of each class that is wanted to test", above=0, below=1
    )
    block_size: int = option("Study", 4, "side of the blocks of test pixels", at_least=1)
    profile: str = option("Study", DEFAULT_PROFILE, "emulated devices, such as 2:1:1", path=True)
    workdir: str | None = option(
        "Study", None, "folder of all runs and of the table", kind=str, path=True
    )
    figures: str = option("Study", "png", f"formats of the picture, {FIGURE_CHOICES}")

    def __post_init__(self):
        check_options(self)
        parse_figure_formats(self.figures)
        parse_seeds(self.seeds)
        if not self.workdir:
            raise InputError("--workdir is missing; see --help")
        if len(self.distances) < 2:
            raise InputError(
                f"--guards={','.join(self.guards)}: give two or more different whole numbers "
                f"between commas"
            )

    @property
    def distances(self) -> tuple[int, ...]:
        """The guards, increasing; none where one of them is no number or is there twice."""
        if not all(text.strip().isdecimal() for text in self.guards):
            return ()
        distances = sorted(int(text) for text in self.guards)
        return tuple(distances) if len(set(distances)) == len(distances) else ()


def study(options: LeakageOptions, run_flags: Sequence[str]) -> dict[str, str]:
    """Does the runs that are not done yet and writes the table and the picture.

    Returns:
        By the name of each run, why it has no result, or "".

    Raises:
        InputError: on a value that cannot be used, or if the folder holds something else.
        KeyboardInterrupt: on Ctrl-C; what is finished is kept.
    """
    platform = Platform(
        profile=parse_profile(options.profile),
        emulated=True,
        slowdowns=(),
        run_flags=run_flags,
        workdir=Path(options.workdir or "").absolute(),
        torch_python="",
    )
    refuse_flags(run_flags, (*SET_HERE, *SPLIT_FLAGS, "model", "profile"))
    config = parse_run([*run_flags, *choose_models(options.models)[0].flags], SET_HERE)
    if config.is_image_set:
        raise InputError(f"--dataset={config.dataset}: images have no neighbours; give a scene")
    settings = {
        "platform": platform.profile.to_json(),
        "largest guard": max(options.distances),
        **{
            name: getattr(options, name)
            for name in ("train_fraction", "test_fraction", "block_size")
        },
    }
    with claimed(platform.workdir, "leakage.json", settings):
        tested = write_splits(options, config, platform.workdir / "splits")
        runs = plan(options, platform)
        every = [run for own in runs.values() for run in own]
        every.sort(key=lambda run: run.config.seed)  # an early end leaves whole seeds
        check_finished(every, platform.workdir, frozenset({"split"}))
        problems = do_missing(every, platform)
        title = f"{config.dataset}, {options.train_fraction:.0%} of each class train, {tested}"
        report_leakage(runs, problems, platform, title, parse_figure_formats(options.figures))
    return problems


def plan(options: LeakageOptions, platform: Platform) -> dict[int, list[ComparisonRun]]:
    """The runs of each guard; all are checked."""
    from hsi_jax.session.resolve import resolve  # here, because --help does without JAX

    runs: dict[int, list[ComparisonRun]] = {}
    for guard in options.distances:
        for seed in parse_seeds(options.seeds):
            split = platform.workdir / "splits" / split_name(guard, seed)
            own = (f"--profile={options.profile}", f"--split={split}")
            models = choose_models(options.models)
            for run in model_runs(models, platform.run_flags, own, SET_HERE, f"guard{guard}"):
                config = dataclasses.replace(run.config, seed=seed)
                resolve(config, in_cluster=False)
                runs.setdefault(guard, []).append(dataclasses.replace(run, config=config))
    return runs


def split_name(guard: int, seed: int) -> str:
    """The file of a split."""
    return f"guard{guard}-seed{seed}.npz"


def write_splits(options: LeakageOptions, config: Config, folder: Path) -> str:
    """Writes the splits of all guards and seeds; says how many pixels train and test."""
    import numpy as np

    from hsi_jax.data.splits.guard import guard_splits
    from hsi_jax.session.loading import open_scene  # here, because --help does without JAX

    scene = open_scene(config)
    labels = scene.require_labels()
    folder.mkdir(exist_ok=True)
    trained, tested = set(), []
    for seed in parse_seeds(options.seeds):
        splits = guard_splits(
            labels,
            seed,
            guards=options.distances,
            block_size=options.block_size,
            test_fraction=options.test_fraction,
            train_fraction=options.train_fraction,
            class_names=scene.class_names,
        )
        for guard, split in splits.items():
            maps = {}
            for name in ("train", "test"):
                maps[name] = np.zeros(labels.shape, bool)
                maps[name].ravel()[getattr(split, name)] = True
            np.savez_compressed(folder / split_name(guard, seed), **maps)
        trained |= {len(split.train) for split in splits.values()}
        tested.append(len(splits[options.distances[0]].test))
    between = f"{min(tested)} to {max(tested)}" if min(tested) < max(tested) else str(tested[0])
    return f"{max(trained)} pixels; {between} pixels of a seed test"


def leakage_help() -> str:
    """How to use the program, and its flags."""
    return help_text(USAGE, LeakageOptions)


def main(argv: list[str]) -> None:
    """Does what the flags say, prints the table and ends with 1 if a run failed."""
    define_flags(Config)
    try:
        options, run_flags = parse_command(argv, LeakageOptions, leakage_help)
        problems = study(options, run_flags)
    except HsiJaxError as error:
        fail(error)
    except KeyboardInterrupt:
        print("error: interrupted; called again, it does what is missing", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    print((Path(options.workdir or "") / "leakage.md").read_text(encoding="utf-8"), end="")
    if any(problems.values()):
        sys.exit(1)
