"""Whether a run may go on from the checkpoints of an earlier one: only if it is the same run."""

import json
from collections.abc import Mapping
from pathlib import Path

from hsi_jax.errors import InputError
from hsi_jax.hetero import SCHEMES
from hsi_jax.options import declared, defaults, values
from hsi_jax.run import RunFolder
from hsi_jax.session.options import RunOptions


def resumable_folder(options: RunOptions) -> RunFolder:
    """The folder of the run that is to be resumed; changes nothing.

    Raises:
        InputError: if it holds none, or a run of another configuration.
    """
    folder = RunFolder.of_run(options.output.workdir)
    check_same_run(folder.read_config(), options)
    return folder


def check_same_run(earlier: Mapping[str, object], options: RunOptions) -> None:
    """Checks that the run would end with the same bits as the earlier one, or only goes on longer.

    Args:
        earlier: its configuration as a dictionary; what an older version lacked is the default.
        options: that of the run to come.

    Raises:
        InputError: naming each field that differs and matters.
    """
    before, now = _with_defaults(earlier), values(options)
    differing = differing_options(earlier, options)
    # Exact schemes give the gradient of the whole batch, whoever computes it.
    if all(
        str(name) in SCHEMES and SCHEMES[str(name)].exact
        for name in (before["scheme"], now["scheme"])
    ):
        differing = [name for name in differing if name != "scheme"]
    length = {"steps", "epochs"} & set(differing)
    if "schedule" not in differing and now["schedule"] == "constant":  # more of the same
        differing = [name for name in differing if name not in length]
    if not differing:
        return
    words = ", ".join(f"`{name}`={now[name]} (it was {before[name]})" for name in differing)
    why = ""
    if length:
        why = (
            f"; `schedule`={now['schedule']} spans all steps, so another length is another run "
            f"(with `schedule`=constant it may change)"
        )
    raise InputError(
        f"`resume`: the run in `workdir`={options.output.workdir} would become another one by "
        f"{words}{why}; give the values it was started with, or another `workdir` without `resume`"
    )


def differing_options(earlier: Mapping[str, object], options: RunOptions) -> list[str]:
    """The options that matter for the result and differ between two runs.

    Args:
        earlier: the configuration of the one, as a dictionary; what an older version lacked is the
            default.
        options: that of the other.
    """
    now = json.loads(json.dumps(values(options)))
    before = _with_defaults(earlier)
    traits = {field.name: field.metadata for field, _, _ in declared(RunOptions)}

    def fixed(name: str, value: object) -> object:
        """What may not change: the value, or the name of a file, which may lie elsewhere."""
        is_path = name in traits and traits[name]["path"]
        return Path(value).name if is_path and isinstance(value, str) else value

    if now["kernels"] == "auto":  # those that the run began with
        del before["kernels"], now["kernels"]

    return [
        name
        for name in sorted(before.keys() | now.keys())
        if not (name in traits and traits[name]["may_change"])
        and fixed(name, before[name]) != fixed(name, now.get(name, before[name]))
    ]


def _with_defaults(earlier: Mapping[str, object]) -> dict[str, object]:
    return defaults(RunOptions) | dict(earlier)
