"""How much of an accuracy is neighbours: a study over the distance of training from test pixels."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hsi_jax.comparison.leakage_report import report_leakage
from hsi_jax.comparison.models import choose_models
from hsi_jax.comparison.one_run import ComparisonRun, Platform
from hsi_jax.comparison.options import MODELS_HELP, SEEDS_HELP, parse_seeds
from hsi_jax.comparison.plan import DEFAULT_PROFILE, SET_HERE, model_runs
from hsi_jax.comparison.work import check_finished, claimed, do_missing
from hsi_jax.data.splits.guard import guard_splits
from hsi_jax.errors import InputError
from hsi_jax.hetero import parse_profile
from hsi_jax.options import check_options, option, with_values
from hsi_jax.run.figure_file import FIGURE_CHOICES, parse_figure_formats
from hsi_jax.session.flags import parse_run, refuse_flags
from hsi_jax.session.options import RunOptions

SPLIT_FLAGS = (
    *("protocol", "split", "train_fraction", "train_per_class", "small_classes"),
    *("block_size", "guard"),
)


@dataclass(frozen=True)
class LeakageOptions:
    """The options of a study; what follows -- goes to the runs.

    Raises:
        InputError: on a value that cannot be used.
    """

    models: tuple[str, ...] = option(("cnn2d",), MODELS_HELP, kind=tuple, heading="Study")
    guards: tuple[str, ...] = option(
        ("0", "1", "2", "4", "8"),
        "distances in pixels, between commas",
        kind=tuple,
        heading="Study",
    )
    seeds: tuple[str, ...] = option(("0", "1", "2"), SEEDS_HELP, kind=tuple, heading="Study")
    train_fraction: float = option(
        0.1, "part of each class that trains", above=0, below=1, heading="Study"
    )
    test_fraction: float = option(
        0.1, "part of each class that is wanted to test", above=0, below=1, heading="Study"
    )
    block_size: int = option(4, "side of the blocks of test pixels", at_least=1, heading="Study")
    profile: str = option(
        DEFAULT_PROFILE, "emulated devices, such as 2:1:1", path=True, heading="Study"
    )
    workdir: str | None = option(
        None, "folder of all runs and of the table", kind=str, path=True, heading="Study"
    )
    figures: str = option("png", f"formats of the picture, {FIGURE_CHOICES}", heading="Study")

    def __post_init__(self):
        check_options(self)
        parse_figure_formats(self.figures)
        parse_seeds(self.seeds)
        if not self.workdir:
            raise InputError("`workdir` is missing; see --help")
        if len(self.distances) < 2:
            raise InputError(
                f"`guards`={','.join(self.guards)}: give two or more different whole numbers "
                f"between commas"
            )

    @property
    def distances(self) -> tuple[int, ...]:
        """The guards, increasing; none where one of them is no number or is there twice."""
        if not all(text.strip().isdecimal() for text in self.guards):
            return ()
        distances = sorted(int(text) for text in self.guards)
        return tuple(distances) if len(set(distances)) == len(distances) else ()


def study(asked: LeakageOptions, run_flags: Sequence[str]) -> dict[str, str]:
    """Does the runs that are not done yet and writes the table and the picture.

    Returns:
        By the name of each run, why it has no result, or "".

    Raises:
        InputError: on a value that cannot be used, or if the folder holds something else.
        KeyboardInterrupt: on Ctrl-C; what is finished is kept.
    """
    platform = Platform(
        profile=parse_profile(asked.profile),
        emulated=True,
        slowdowns=(),
        run_flags=run_flags,
        workdir=Path(asked.workdir or "").absolute(),
        torch_python="",
    )
    refuse_flags(run_flags, (*SET_HERE, *SPLIT_FLAGS, "model", "profile"))
    options = parse_run([*run_flags, *choose_models(asked.models)[0].flags], SET_HERE)
    if options.data.is_image_set:
        raise InputError(
            f"`dataset`={options.data.dataset}: images have no neighbours; give a scene"
        )
    settings = {
        "platform": platform.profile.to_json(),
        "largest guard": max(asked.distances),
        **{
            name: getattr(asked, name) for name in ("train_fraction", "test_fraction", "block_size")
        },
    }
    with claimed(platform.workdir, "leakage.json", settings):
        tested = write_splits(asked, options, platform.workdir / "splits")
        runs = plan_guards(asked, platform)
        every = [run for own in runs.values() for run in own]
        every.sort(key=lambda run: run.options.recipe.seed)  # an early end leaves whole seeds
        check_finished(every, platform.workdir, frozenset({"split"}))
        problems = do_missing(every, platform)
        title = f"{options.data.dataset}, {asked.train_fraction:.0%} of each class train, {tested}"
        formats = parse_figure_formats(asked.figures)
        report_leakage(runs, problems, platform, title=title, figures=formats)
    return problems


def plan_guards(asked: LeakageOptions, platform: Platform) -> dict[int, list[ComparisonRun]]:
    """The runs of each guard; all are checked."""
    from hsi_jax.session.resolve import resolve  # here, because --help does without JAX

    runs: dict[int, list[ComparisonRun]] = {}
    for guard in asked.distances:
        for seed in parse_seeds(asked.seeds):
            split = platform.workdir / "splits" / split_name(guard, seed)
            own = (f"--profile={asked.profile}", f"--split={split}")
            models = choose_models(asked.models)
            for run in model_runs(
                models, platform.run_flags, own=own, refused=SET_HERE, protocol=f"guard{guard}"
            ):
                options = with_values(run.options, seed=seed)
                resolve(options, in_cluster=False)
                runs.setdefault(guard, []).append(dataclasses.replace(run, options=options))
    return runs


def split_name(guard: int, seed: int) -> str:
    """The file of a split."""
    return f"guard{guard}-seed{seed}.npz"


def write_splits(asked: LeakageOptions, options: RunOptions, folder: Path) -> str:
    """Writes the splits of all guards and seeds; says how many pixels train and test."""
    from hsi_jax.session.loading import open_scene  # here, because --help does without JAX

    scene = open_scene(options)
    labels = scene.require_labels()
    folder.mkdir(exist_ok=True)
    trained, tested = set(), []
    for seed in parse_seeds(asked.seeds):
        splits = guard_splits(
            labels,
            seed,
            guards=asked.distances,
            block_size=asked.block_size,
            test_fraction=asked.test_fraction,
            train_fraction=asked.train_fraction,
            class_names=scene.class_names,
        )
        for guard, split in splits.items():
            maps = {}
            for name in ("train", "test"):
                maps[name] = np.zeros(labels.shape, bool)
                maps[name].ravel()[getattr(split, name)] = True
            np.savez_compressed(folder / split_name(guard, seed), **maps)
        trained |= {len(split.train) for split in splits.values()}
        tested.append(len(splits[asked.distances[0]].test))
    between = f"{min(tested)} to {max(tested)}" if min(tested) < max(tested) else str(tested[0])
    return f"{max(trained)} pixels; {between} pixels of a seed test"
