"""Commands in processes of their own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from hsi_jax.errors import InputError
from tests.field.cases.case import Case, Mistake, NotHere
from tests.field.cases.scenes import small_scene

ROOT = Path(__file__).parents[3]
SECONDS = 300  # that a command may take, on a machine that does other things as well
QUICK = (
    *("--model=mlp", "--model_options=hidden=(16, 16); dropout=0", "--patch_size=1"),
    *("--components=0", "--steps=40", "--batch_size=64", "--checkpoint_every=0", "--profile=2:1"),
    *("--learning_rate=0.02", "--train_fraction=0.2", "--schedule=constant"),
)
MIN_ACCURACY = 0.9

Check = Callable[[Path, str], str]


def accuracy(folder: Path, output: str, name: str = "run") -> str:
    """That of the run in a folder; Mistake if it is low."""
    path = folder / name / "summary.json"
    if not path.is_file():
        raise Mistake(f"left no {path.name}: {output[-300:]}")
    found = json.loads(path.read_text())["overall_accuracy"]
    if found < MIN_ACCURACY:
        raise Mistake(f"has an accuracy of {found:.1%}, silently")
    return f"accuracy {found:.1%}"


def nothing(folder: Path, output: str) -> str:
    """What is right if the command ends well."""
    return output.strip().splitlines()[0] if output.strip() else "ended well"


def finish(
    command: Sequence[str], folder: Path, environment: Mapping[str, str | None], **keywords
) -> tuple[int, str, str]:
    """Runs a command; its exit code, output and errors."""
    given = os.environ | {"PYTHONPATH": str(ROOT)}
    for name, value in environment.items():
        given.pop(name, None)
        if value is not None:
            given[name] = value.replace("{folder}", str(folder))
    given.pop("HSI_JAX_TEST_DATA", None)
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=given,
            capture_output=True,
            timeout=SECONDS,
            check=False,
            start_new_session=True,
            **keywords,
        )
    except subprocess.TimeoutExpired:
        raise Mistake(f"takes more than {SECONDS} s") from None
    return (
        done.returncode,
        done.stdout.decode(errors="replace"),
        done.stderr.decode(errors="replace"),
    )


def write_scene(folder: Path) -> None:
    """cube.npy and labels.npy in a folder."""
    cube, labels = small_scene()
    np.save(folder / "cube.npy", cube)
    np.save(folder / "labels.npy", labels)


def command_case(
    name: str,
    *arguments: str,
    refused: str = "",
    environment: Mapping[str, str | None] = {},
    shell: str = "",
    program: str = "experiments.run",
    make: Callable[[Path], object] = write_scene,
    check: Check = accuracy,
    code: int = 2,
) -> Case:
    """A case of a command.

    Args:
        name: of the case.
        arguments: of the command; of `experiments.run`, beside those of a quick run.
        refused: as of `Case`.
        environment: variables, None for one that is not set.
        shell: what the shell does, where "$@" is the command; "" for no shell.
        program: which command.
        make: writes its files.
        check: looks at what it has left.
        code: that it ends with where it is refused.
    """

    def try_it(folder: Path) -> str:
        make(folder)
        command = [sys.executable, "-m", program]
        if program == "experiments.run":
            files = ("--dataset=file", "--cube=cube.npy", "--labels=labels.npy", "--workdir=run")
            command += [*files, *QUICK]
        command += [a.replace("{folder}", str(folder)) for a in arguments]
        if shell:
            command = ["bash", "-c", shell, "bash", *command]
        found, output, errors = finish(command, folder, environment)
        return verdict(found, output, errors, folder, check, code)

    return Case(name, try_it, refused, apart=True)


def verdict(found: int, output: str, errors: str, folder: Path, check: Check, code: int) -> str:
    """What is to be said of a command that has ended; raises what `Case.try_it` may raise."""
    if "Traceback" in output + errors:
        raise Mistake(f"traceback: {(output + errors).strip().splitlines()[-1]}")
    if found == 77:
        raise NotHere(errors.strip() or output.strip())
    if found == 0:
        said = check(folder, output)
        return f"{said}. {' '.join(errors.split())}".strip()
    lines = [line for line in errors.splitlines() if line.startswith(("error: ", "F"))]
    if found != code or len(lines) != 1:
        raise Mistake(f"ends with code {found} and says: {(errors or output).strip()[-400:]}")
    raise InputError(lines[0])
