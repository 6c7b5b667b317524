"""How soon the commands are there: what they import before there is something to do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMANDS = (
    *("run", "predict", "report", "compare", "leakage"),
    *("launch", "simulate", "datasets", "models"),
)

# Libraries that --help may import, with the seconds of the slowest, NumPy, about 0.1.
LIGHT = {"absl", "lazy_loader", "numpy", "msgspec", "psutil", "tqdm", "typing_extensions"}

# Prints the libraries that a command has imported when it ends.
ENDING = """
import atexit, runpy, sys

command = sys.argv.pop(1)
sys.argv[0] = "-m"  # as where Python starts a command
already = set(sys.modules)  # by files .pth

@atexit.register
def tell():
    names = {name.partition(".")[0] for name in set(sys.modules) - already}
    files = {name: getattr(sys.modules.get(name), "__file__", None) for name in names}
    print(*(name for name in names if "site-packages" in (files[name] or "")), file=sys.stderr)

runpy.run_module(f"experiments.{command}", run_name="__main__")
"""


def imported(command, *flags, **environment):
    """What a command prints, what it says on stderr, and the libraries that it has imported."""
    usual = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    done = subprocess.run(
        [sys.executable, "-c", ENDING, command, *flags],
        env=usual | environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    *lines, libraries = done.stderr.splitlines()
    return done.stdout, "\n".join(lines), set(libraries.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_help_imports_nothing_heavy(command):
    out, error, libraries = imported(command, "--help", JAX_PLATFORMS="cpu")
    assert f"experiments.{command}" in out
    assert error == ""
    assert {"absl"} <= libraries <= LIGHT


@pytest.mark.parametrize(
    ("command", "flag"),
    [("run", "--batch_size=0"), ("predict", "--method=no"), ("compare", "--nosuchflag")],
)
def test_a_mistake_in_a_flag_is_told_without_waiting_for_jax(command, flag):
    _, error, libraries = imported(command, flag)
    assert error.startswith("error: ")
    assert libraries <= LIGHT


def test_a_training_begins_without_what_only_its_end_or_some_data_need():
    late = {"matplotlib", "sklearn", "h5py", "tensorflow_datasets", "rasterio", "tensorboardX"}
    code = f"import sys, hsi_jax.session.running; print(*{late} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr, done.returncode) == ([], "", 0)
