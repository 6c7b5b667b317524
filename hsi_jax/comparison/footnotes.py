"""What a comparison of schemes says of shares and speeds, before its runs and under tables."""

from collections.abc import Mapping, Sequence

from hsi_jax.comparison.one_run import SPEEDS, ComparisonRun, Platform
from hsi_jax.comparison.peer import PEERS
from hsi_jax.hetero import SCHEMES, Device, Plan, Profile, make_plan
from hsi_jax.hetero.plan import plan_of_shares
from hsi_jax.json_file import read_json
from hsi_jax.run.summary import Outcome, Summary

TOLERANCE = 0.15  # relative, of a speed


def describe_biases(
    runs: Sequence[ComparisonRun], profile: Profile, outcomes: Mapping[str, Outcome] | None = None
) -> list[str]:
    """A line for each scheme by which samples count differently on different devices.

    Args:
        runs: all of them; the first one of each scheme is described.
        profile: as it was asked for.
        outcomes: by the name of the run; the shares of a finished run are those of its end.
    """
    lines = []
    for run in {run.method: run for run in reversed(runs)}.values():
        outcome = (outcomes or {}).get(run.name)
        of_run = outcome if isinstance(outcome, Summary) else None
        plan = _plan_of_outcome(of_run) if of_run else _plan_of_run(run, profile)
        if bias := plan.describe_bias(of_run.device_names if of_run else profile.names):
            lines.append(f"{run.method}: {bias}")
    return lines[::-1]


def _plan_of_run(run: ComparisonRun, profile: Profile) -> Plan:
    recipe = run.options.recipe
    if run.peer:  # they divide to the sample
        return make_plan(PEERS[run.method].scheme, profile, recipe.batch_size, 1)
    scheme, size = run.options.devices.scheme, recipe.microbatch_sizes[0]
    return make_plan(scheme, profile, recipe.batch_size, size)


def _plan_of_outcome(summary: Summary) -> Plan:
    devices = zip(summary.device_names, summary.speeds, strict=True)
    return plan_of_shares(
        summary.scheme,
        Profile(tuple(Device(name, speed) for name, speed in devices)),
        summary.shares,
        batch_size=summary.batch_size,
        microbatch_size=summary.microbatch_size,
    )


def realised_speeds(run: ComparisonRun, platform: Platform) -> list[float] | None:
    """Speeds of a run's processes by their CPU time, in the unit of the profile, if known."""
    kept = _kept_speeds(run, platform)
    return kept["realised"] if kept else None


def _kept_speeds(run: ComparisonRun, platform: Platform) -> dict | None:
    path = platform.workdir / "logs" / run.name / SPEEDS
    return read_json(path) if path.exists() else None


def describe_speeds(
    run: ComparisonRun, outcome: Outcome | None, platform: Platform
) -> tuple[str, bool]:
    """The speeds asked of a run's real processes and what became of them, in a line.

    Returns:
        The line, or ""; and whether a speed differs by more than `TOLERANCE` from that asked for,
        all scaled to the same sum.
    """
    kept, declared = _kept_speeds(run, platform), platform.profile.speeds
    if not kept:
        return "", False
    found = [("realised, by CPU time", kept["realised"], kept["asked"])]
    if (
        isinstance(outcome, Summary)
        and outcome.profile == "measured"
        and not SCHEMES.find(outcome.scheme).retimed
    ):
        found.append(("measured before training", outcome.speeds, declared))
    texts = [f"asked {_ratio(kept['asked'], kept['asked'])}"]
    differs = False
    for name, speeds, asked in found:
        if speeds and len(speeds) == len(asked):
            texts.append(f"{name} {_ratio(speeds, asked)}")
            differs |= _differs(speeds, asked)
    return f"{run.name}: speeds {'; '.join(texts)}", differs


def _scaled(speeds: Sequence[float], asked: Sequence[float]) -> list[float]:
    factor = sum(asked) / sum(speeds)
    return [factor * speed for speed in speeds]


def _ratio(speeds: Sequence[float], asked: Sequence[float]) -> str:
    return ":".join(f"{speed:.3g}" for speed in _scaled(speeds, asked))


def _differs(speeds: Sequence[float], asked: Sequence[float]) -> bool:
    pairs = zip(_scaled(speeds, asked), asked, strict=True)
    return any(abs(speed - wanted) > TOLERANCE * wanted for speed, wanted in pairs)


def footnotes(
    runs: Sequence[ComparisonRun], outcomes: Mapping[str, Outcome], platform: Platform
) -> str:
    """What stands under the tables: unequal weights of samples, and the speeds of processes."""
    finished = [run for run in runs if run.name in outcomes]
    biases = describe_biases(finished, platform.profile, outcomes)
    parts = []
    if biases:
        parts.append("Samples do not count alike, so the results differ from those of `balanced`:")
        parts += ["", *(f"- {line}" for line in biases), ""]
    told = [describe_speeds(run, outcomes[run.name], platform) for run in finished]
    if any(line for line, _ in told):
        parts += [f"Speeds, scaled to the same sum (more than {TOLERANCE:.0%} off is marked):", ""]
        parts += [f"- {'WARNING ' if off else ''}{line}" for line, off in told if line]
        parts.append("")
    return "\n".join(["", *parts]) if parts else ""
