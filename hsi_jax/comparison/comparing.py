"""A comparison of schemes or of models: the runs that are missing, then tables and pictures."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hsi_jax.comparison.model_report import report_models
from hsi_jax.comparison.one_run import ComparisonRun, Platform
from hsi_jax.comparison.peer import PEERS, find_version
from hsi_jax.comparison.reporting import Reporting
from hsi_jax.comparison.scheme_report import report_schemes
from hsi_jax.comparison.work import check_finished, claimed, do_missing
from hsi_jax.options import values

if TYPE_CHECKING:
    from hsi_jax.evaluate.tables.model_table import ModelResult
    from hsi_jax.evaluate.tables.scheme_table import Result


def compare(
    runs: Sequence[ComparisonRun], platform: Platform, reporting: Reporting, subject: str
) -> "Sequence[Result | ModelResult]":
    """Does the runs that are not done yet and writes tables and pictures.

    Args:
        runs: all of them, done or not.
        platform: where, and what they have in common.
        reporting: what tables and pictures show.
        subject: "schemes" or "models".

    Raises:
        InputError: if the folder holds a comparison on another platform or with other options, or
            if another process has it.
        KeyboardInterrupt: on Ctrl-C; what is finished is kept.
    """
    settings = shared_settings(runs, platform, subject)
    with claimed(platform.workdir, "compare.json", settings):
        check_finished(runs, platform.workdir)
        problems = do_missing(runs, platform, missing_modules(runs, platform.torch_python))
        report = report_schemes if subject == "schemes" else report_models
        return report(runs, problems, platform, reporting)


def missing_modules(runs: Sequence[ComparisonRun], python: str) -> dict[str, str]:
    """What to say of the schemes that cannot run because a module is not there."""
    needed = {run.method: PEERS[run.method].module for run in runs if run.peer}
    there = {module for module in set(needed.values()) if find_version(python, module)}
    return {s: f"{module} not installed" for s, module in needed.items() if module not in there}


def shared_settings(
    runs: Sequence[ComparisonRun], platform: Platform, subject: str
) -> dict[str, Any]:
    """What must be the same for runs to be compared; the options of models may differ."""
    settings = {
        "platform": platform.profile.to_json(),
        "emulated": platform.emulated,
        "slowdowns": [str(slowdown) for slowdown in platform.slowdowns],
    }
    if subject == "models" or any(run.protocol for run in runs):
        return settings | {"subject": subject}
    options = runs[0].options
    own = ("scheme", "seed", "workdir", "overwrite", "profile")
    shared = {k: v for k, v in values(options).items() if k not in own}
    profile = None if platform.emulated else options.devices.profile
    return settings | {"profile_of_runs": profile, "options": shared}
