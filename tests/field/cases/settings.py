"""Profiles, flag files, paths and folders of results, as commands take them."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from hsi_jax.errors import InputError
from hsi_jax.hetero import parse_profile
from hsi_jax.run import RunFolder
from hsi_jax.run.folder import check_place
from hsi_jax.run.lock import locked, new_folder
from hsi_jax.session.flags import parse_run
from tests.field.cases.case import Case, Mistake
from tests.field.cases.commands import QUICK, ROOT, command_case, nothing

GOOD = '{"devices": [{"name": "new", "speed": 4.0}, {"name": "old", "speed": 1.0}]}'
BOM = "\ufeff"


def profile(
    name: str, content: str | bytes | None, refused: str = "", suffix: str = ".json"
) -> Case:
    """A profile in a file; None for a folder of this name."""

    def try_it(folder: Path) -> str:
        path = folder / f"profile{suffix}"
        if content is None:
            path.mkdir()
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return f"speeds {parse_profile(str(path)).speeds}"

    return Case(f"profile: {name}", try_it, refused)


def speeds(text: str, refused: str = "") -> Case:
    """Speeds on the command line."""
    return Case(
        f"profile: --profile={text!r}", lambda folder: f"{parse_profile(text).speeds}", refused
    )


def flag_file(name: str, content: str | bytes, refused: str = "") -> Case:
    """A file of flags."""

    def try_it(folder: Path) -> str:
        path = folder / "it.flags"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        found = []
        errors = _stderr_of(lambda: found.append(parse_run([f"--flagfile={path}"])))
        if errors:
            raise InputError(errors)
        (options,) = found
        if (options.model.model, options.recipe.steps) != ("mlp", 5):
            raise Mistake(
                f"is read as --model={options.model.model} --steps={options.recipe.steps}"
            )
        return "read"

    return Case(f"flag file: {name}", try_it, refused)


def _stderr_of(call: Callable[[], object]) -> str:
    """What a call prints on stderr before it ends the program; "" if it does not end it."""
    import contextlib
    import io

    stream = io.StringIO()
    try:
        with contextlib.redirect_stderr(stream):
            call()
    except SystemExit:
        return stream.getvalue() or "ended without a word"
    return ""


def place(name: str, make: Callable[[Path], Path], refused: str = "") -> Case:
    """A folder for results."""

    def try_it(folder: Path) -> str:
        path = make(folder)
        check_place(path)
        with locked(path):
            RunFolder(path).start({"seed": 1})
        if RunFolder(path, overwrite=True).read_config() != {"seed": 1}:
            raise Mistake("does not keep what was written")
        return "written"

    return Case(f"workdir: {name}", try_it, refused)


def _made(path: Path, content: str | None = None, then: Path | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir() if content is None else path.write_text(content)
    return then or path


def _linked(path: Path, target: Path) -> Path:
    path.symlink_to(target)
    return path


def same_moment(folder: Path) -> str:
    """Folders for two runs that begin in one second."""
    first, second = (new_folder(folder / "runs" / "it") for _ in range(2))
    if first == second:
        raise Mistake("two runs get one folder")
    return f"{first.name} and {second.name}"


def taken(folder: Path) -> str:
    """Two processes in one folder."""
    with locked(folder / "run"), locked(folder / "run"):
        raise Mistake("two processes get one folder")


def left_by_a_kill(folder: Path) -> str:
    """A lock whose owner was killed."""
    script = (
        "import os, signal, sys; from hsi_jax.run.lock import locked; "
        "lock = locked(sys.argv[1]); lock.__enter__(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    command = [sys.executable, "-c", script, str(folder / "run")]
    subprocess.run(command, cwd=ROOT, check=False)
    if not (folder / "run" / ".lock").exists():
        raise Mistake("the process left no lock, so nothing is tried")
    with locked(folder / "run"):
        return "taken over"


def without_flags(name: str) -> list[str]:
    """The flags of a quick run but one."""
    return [flag for flag in QUICK if not flag.startswith(f"--{name}")]


def command(name: str, program: str, *arguments: str, **more) -> Case:
    """A command whose output ends at once."""
    return command_case(
        f"command: {name}", *arguments, program=f"experiments.{program}", check=nothing, **more
    )


PROFILES = [
    profile("good", GOOD),
    profile("CRLF", GOOD.replace(", ", ",\r\n")),
    profile("byte order mark", BOM + GOOD),
    profile("suffix in capitals", GOOD, suffix=".JSON"),
    profile("UTF-16", GOOD.encode("utf-16")),
    profile("a comma too many", '{"devices": [{"speed": 4,}, {"speed": 1}]}', "JSON"),
    profile("a comment", '{"devices": [{"speed": 4}, // new\n {"speed": 1}]}', "JSON"),
    profile("no speed", '{"devices": [{"name": "a"}, {"speed": 1}]}', "speed"),
    profile("a list", "[4, 2, 1, 1]", "devices|object"),
    profile("speed in quotes", '{"devices": [{"speed": "4"}, {"speed": 1}]}', "speed"),
    profile("no devices", '{"devices": []}', "device"),
    profile("speed 0", '{"devices": [{"speed": 0}]}', "speed"),
    profile("speed below 0", '{"devices": [{"speed": -1}]}', "speed"),
    profile("speed NaN", '{"devices": [{"speed": NaN}]}', "JSON|speed"),
    profile("speed 1e999", '{"devices": [{"speed": 1e999}]}', "JSON|speed"),
    profile("null", "null", "devices|object"),
    profile("empty", "", "JSON|empty"),
    profile("nested a thousand times", "[" * 100_000, "JSON|deep|nested"),
    profile("a folder", None, "folder|read"),
    speeds("4:2:1:1"),
    speeds("4,2,1", "4,2,1"),
    speeds("4:two", "two"),
    speeds("4:", "4:"),
    speeds("1e308:1e-308", "speed|profile"),
    speeds("nan:1", "nan"),
    speeds("inf:1", "inf"),
    speeds("no/such.json", "no/such.json"),
]
RUN_FLAGS = "--model=mlp\n--steps=5\n"
FLAG_FILES = [
    flag_file("good", RUN_FLAGS),
    flag_file(
        "CRLF, comments and blanks", "# my run\r\n  --model=mlp  \r\n\r\n// old\r\n--steps=5\r\n"
    ),
    flag_file("byte order mark", BOM + RUN_FLAGS),
    flag_file("UTF-16", RUN_FLAGS.encode("utf-16"), "UTF-8"),
    flag_file("Latin-1", RUN_FLAGS.encode() + b"--workdir=\xe9\n", "UTF-8"),
    flag_file("a remark behind a number", "--model=mlp\n--steps=5   # short\n", "steps"),
    flag_file("an unknown flag", RUN_FLAGS + "--stepz=5\n", "stepz"),
    flag_file("a word", RUN_FLAGS + "steps\n", "steps"),
    flag_file("a file that is not there", RUN_FLAGS + "--flagfile=/no/such.flags\n", "such.flags"),
]
PLACES = [
    place("new", lambda folder: folder / "run"),
    place("new, far down", lambda folder: folder / "a" / "b" / "c"),
    place("empty folder", lambda folder: _made(folder / "run")),
    place("spaces, newline and letters of any script", lambda folder: folder / "a b\nc" / "森 é"),
    place(
        "name that is not UTF-8", lambda folder: Path(os.fsdecode(os.fsencode(folder) + b"/\xff"))
    ),
    place("link to a folder", lambda folder: _linked(folder / "run", _made(folder / "other"))),
    place("link to nothing", lambda folder: _linked(folder / "run", folder / "no"), "run"),
    place("link to itself", lambda folder: _linked(folder / "run", folder / "run"), "run"),
    place("a file", lambda folder: _made(folder / "run", "x"), "run"),
    place("under a file", lambda folder: _made(folder / "x", "x", folder / "x" / "run"), "run"),
    place("of something else", lambda f: _made(f / "run" / "thesis.tex", "x", f / "run"), "thesis"),
    place(
        "of an earlier run", lambda f: _made(f / "run" / "config.json", "{}", f / "run"), "config"
    ),
    place("a device", lambda folder: Path("/dev/null"), "null"),
    place("under /proc", lambda folder: Path("/proc/run"), "/proc/run"),
    place("name of 300 letters", lambda folder: folder / ("x" * 300), "xxx"),
    Case("workdir: two runs in one second", same_moment),
    Case("workdir: two processes in one", taken, "in use"),
    Case("workdir: a lock that a kill has left", left_by_a_kill),
]
CASES = [*PROFILES, *FLAG_FILES, *PLACES]
COMMANDS = [
    command("datasets | head -1", "datasets", shell='"$@" | head -1'),
    command("models | head -1", "models", shell='"$@" | head -1'),
    command("models, streams closed", "models", shell='"$@" <&- >&- 2>&-'),
    command("run --help | head -1", "run", "--help", shell='"$@" | head -1'),
    command("an unknown flag, stderr closed", "datasets", "--nope", shell='"$@" 2>&-; test $? = 2'),
    command("report of no run", "report", "nowhere", refused="nowhere"),
    command("report of a folder without a run", "report", ".", refused="run"),
    command(
        "predict without a model", "predict", "--run=nowhere", "--output=a.tif", refused="nowhere"
    ),
    command(
        "predict of a folder without a model",
        "predict",
        "--model_dir=.",
        "--cube=cube.npy",
        "--output=a.tif",
        refused="model",
    ),
    command("simulate without a profile", "simulate", "--parameters=9", refused="profile"),
    command("launch without processes", "launch", "--profile=0", refused="profile"),
    command_case(
        "run: resume of nothing", "--resume", "--workdir=nowhere", refused="no run to continue"
    ),
    command_case("run: a learning rate of 1e30", "--learning_rate=1e30", refused="diverged|finite"),
    command_case(
        "run: home folder",
        "--workdir=~/deep/er",
        environment={"HOME": "{folder}"},
        check=lambda folder, output: _at_home(folder),
    ),
    command_case("run: a home of nobody", "--workdir=~nobody_here/x", refused="home folder"),
]


def _at_home(folder: Path) -> str:
    if not (folder / "deep" / "er" / "summary.json").is_file():
        raise Mistake("is not in the home folder")
    return "in the home folder"
