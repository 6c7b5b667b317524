"""The command `hsi-jax`: `hsi-jax run ...`, `hsi-jax predict ...`, `hsi-jax --version`."""

import importlib
import sys
from collections.abc import Sequence

import hsi_jax
from hsi_jax.command_line import HELP
from hsi_jax.commands import environment, streams

COMMANDS = {
    "run": "trains and tests one classifier",
    "predict": "makes a map of a scene of any size with the model of a run",
    "export": "writes a trained model as ONNX or StableHLO, for other programs",
    "suggest": "names the pixels of a scene that are worth a label next",
    "launch": "runs one process for each device of this machine, at uneven speeds",
    "compare": "runs several schemes, or models, over protocols and seeds",
    "leakage": "tests models while training pixels keep a growing distance from the test pixels",
    "report": "makes one HTML page about one or several runs",
    "verify": "replays a run and compares every step, bit for bit",
    "simulate": "models clusters that are too large to try",
    "datasets": "lists scenes and sets of images",
    "models": "lists networks",
}


def start(command: str, arguments: Sequence[str]) -> None:
    """Runs a command.

    Args:
        command: one of `COMMANDS`.
        arguments: what follows its name.
    """
    streams.open_closed_streams()
    streams.secure_streams()
    environment.prepare(arguments)
    importlib.import_module(f"hsi_jax.commands.{command}").main([command, *arguments])


def main() -> None:
    """Runs the command that the first argument names."""
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in COMMANDS:
        start(name, arguments)
    elif name in HELP:
        print(_help())
    elif name == "--version":
        print(f"hsi_jax {hsi_jax.__version__}")
    else:
        print(f"error: {name!r} is not a command\n\n{_help()}", file=sys.stderr)
        sys.exit(2)


def _help() -> str:
    lines = [f"  {name:<10}{does}" for name, does in COMMANDS.items()]
    return "\n".join(
        [
            "usage: hsi-jax COMMAND [--name=value ...]",
            "",
            *lines,
            "",
            "hsi-jax COMMAND --help lists the flags of a command; hsi-jax --version the version.",
        ]
    )


if __name__ == "__main__":
    main()
