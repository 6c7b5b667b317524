"""The runs of a comparison: every scheme or model, with every protocol and seed."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from hsi_jax.comparison.models import ModelChoice, choose_models
from hsi_jax.comparison.one_run import ComparisonRun, Platform
from hsi_jax.comparison.options import CompareOptions, parse_seeds
from hsi_jax.comparison.peer import PEERS, check_peer_programs
from hsi_jax.errors import InputError
from hsi_jax.hetero import SCHEMES, parse_profile
from hsi_jax.launch.slowdown import parse_slowdown
from hsi_jax.models import find_trait
from hsi_jax.options import with_values
from hsi_jax.session.flags import parse_run, refuse_flags
from hsi_jax.session.options import RunOptions
from hsi_jax.train.recipe import Recipe

SET_HERE = (
    *("seed", "workdir", "overwrite", "resume", "time_devices"),
    *("coordinator", "num_processes", "process_id"),
)
DEFAULT_PROFILE = "1"  # where models are compared


def plan_platform(asked: CompareOptions, run_flags: Sequence[str]) -> Platform:
    """What the runs have in common.

    Raises:
        InputError: on a profile or a slowdown that cannot be used.
    """
    profile = parse_profile(asked.profile or DEFAULT_PROFILE)
    return Platform(
        profile=profile,
        emulated=asked.emulated or bool(asked.models),
        slowdowns=[parse_slowdown(text, len(profile)) for text in asked.slowdown],
        run_flags=run_flags,
        workdir=Path(asked.workdir or ""),
        torch_python=asked.torch_python,
    )


def plan_runs(asked: CompareOptions, run_flags: Sequence[str]) -> list[ComparisonRun]:
    """All runs of a seed, then those of the next, so that an early end leaves whole seeds.

    Raises:
        InputError: on a value that cannot be used, in any of the runs.
        SystemExit: with one line on stderr, on a flag that is unknown.
    """
    plan = _plan_models if asked.models else _plan_schemes
    runs = [run for name in asked.protocols or ("",) for run in plan(asked, run_flags, name)]
    if any(run.options.recipe.microbatch_size == "auto" for run in runs):
        raise InputError(
            "`microbatch_size`=auto could choose another size, with other results, for each run; "
            "choose it once with experiments.run and give its number"
        )
    from hsi_jax.session.resolve import resolve  # here, because --help does without JAX

    emulated = asked.emulated or bool(asked.models)
    if any(run.options.learning.pretrains for run in runs):
        raise InputError("`task`=pretrain has no accuracy to compare; compare what starts from it")
    runs = [
        dataclasses.replace(run, options=resolve(run.options, in_cluster=not emulated).options)
        for run in runs
    ]
    return with_seeds(runs, parse_seeds(asked.seeds))


def with_seeds(runs: Sequence[ComparisonRun], seeds: Sequence[int]) -> list[ComparisonRun]:
    """The runs with each of the seeds."""
    return [
        dataclasses.replace(run, options=with_values(run.options, seed=seed))
        for seed in seeds
        for run in runs
    ]


def _plan_schemes(
    asked: CompareOptions, run_flags: Sequence[str], protocol: str
) -> list[ComparisonRun]:
    set_here = (*SET_HERE, "scheme", *(["profile"] if asked.emulated else []))
    own = (f"--protocol={protocol}",) if protocol else ()
    options = parse_run([*run_flags, *own], set_here)
    if not find_trait(options.model_name, "trained_by_gradient"):
        raise InputError(
            f"`model`={options.model_name} is not trained by steps, so there are no schemes to "
            f"compare; give it as one of `models`"
        )
    schemes = asked.schemes or asked.possible_schemes
    _check_peers(options, schemes)
    if asked.emulated:
        own = (*own, f"--profile={asked.profile}")
        options = with_values(options, profile=asked.profile)
    runs = []
    for scheme in schemes:
        ours = scheme if scheme in SCHEMES else "even"
        flags = (*own, f"--scheme={scheme}")
        of_scheme = with_values(options, scheme=ours)
        runs.append(ComparisonRun(scheme, of_scheme, flags, protocol, scheme in PEERS))
    return runs


def _check_peers(options: RunOptions, schemes: Sequence[str]) -> None:
    if not set(schemes) & set(PEERS):
        return
    others = f"give `schemes` without {', '.join(PEERS)}"
    check_peer_programs()
    if options.model_name != "cnn2d":
        raise InputError(f"`model`={options.model_name}: the PyTorch peers are of cnn2d; {others}")
    if options.split.as_published:
        raise InputError(f"`as_published`: the PyTorch peers choose by validation pixels; {others}")
    if options.recipe.loss != Recipe.loss:
        raise InputError(
            f"`loss`={options.recipe.loss}: the PyTorch peers have cross_entropy alone; {others}"
        )


def _plan_models(
    asked: CompareOptions, run_flags: Sequence[str], protocol: str
) -> list[ComparisonRun]:
    profile = f"--profile={asked.profile or DEFAULT_PROFILE}"
    own = (profile, *([f"--protocol={protocol}"] if protocol else []))
    refused = (*SET_HERE, "model", "profile", *(["protocol"] if asked.protocols else []))
    models = choose_models(asked.models)
    return model_runs(models, run_flags, own=own, refused=refused, protocol=protocol)


def model_runs(
    models: Sequence[ModelChoice],
    run_flags: Sequence[str],
    *,
    own: Sequence[str],
    refused: Sequence[str],
    protocol: str,
) -> list[ComparisonRun]:
    """A run of each model, without a seed.

    Args:
        models: to be run.
        run_flags: of all runs.
        own: further flags of these runs.
        refused: flags that must not be among `run_flags`.
        protocol: that folders and tables are called after.

    Raises:
        InputError: on a flag that must not be given, or a value that cannot be used.
    """
    refuse_flags(run_flags, refused)
    runs = []
    for model in models:
        refuse_flags(model.flags, set(refused) - {"model"})
        flags = (*model.flags, *own)
        options = parse_run([*run_flags, *flags], SET_HERE)
        runs.append(ComparisonRun(model.label, options, flags, protocol))
    return _with_one_guard(runs)


def _with_one_guard(runs: list[ComparisonRun]) -> list[ComparisonRun]:
    """The runs with a disjoint split for the largest patch of them, so that they test alike."""
    if any(
        run.options.split.split != "disjoint" or run.options.split.guard is not None for run in runs
    ):
        return runs
    guards = [run.options.guard for run in runs]
    if len(set(guards)) == 1:
        return runs
    guard = max(guards)
    return [
        dataclasses.replace(
            run,
            options=with_values(run.options, guard=guard),
            flags=(*run.flags, f"--guard={guard}"),
        )
        for run in runs
    ]
