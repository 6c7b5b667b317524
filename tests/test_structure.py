"""Imports point one way, and files and functions keep to a size."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

PACKAGES = ("hsi_jax", "experiments", "benchmarks")

# A room may import those that stand before it in this order, but not those beside it.
LAYERS = (
    ("errors",),
    ("json_file", "registry", "temporary"),
    ("options",),
    ("command_line", "data", "hetero", "kernels", "run"),
    ("models", "cluster", "evaluate", "launch"),
    ("train",),
    ("trained",),
    ("session",),
    ("comparison", "simulation", "sklearn"),
    ("commands",),
    ("__main__",),
)
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}


def modules(package):
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path
        for path in (ROOT / package).rglob("*.py")
    }


def imported(path):
    """The modules that a file imports, also within functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(module):
    parts = module.split(".")
    return parts[1] if parts[0] == "hsi_jax" and len(parts) > 1 else None


LIBRARY = modules("hsi_jax")


def test_every_room_has_its_level():
    rooms = {room_of(module) for module in LIBRARY} - {"__init__"}
    assert rooms == set(LEVEL)


@pytest.mark.parametrize("module", sorted(LIBRARY))
def test_no_import_points_up(module):
    own = room_of(module)
    for name in imported(LIBRARY[module]):
        assert name.split(".")[0] not in ("experiments", "benchmarks", "tests"), name
        other = room_of(name)
        if other in LEVEL and other != own:
            assert LEVEL[other] < LEVEL[own], f"{module} imports {name}"


@pytest.mark.parametrize("package", ["hsi_jax", "experiments"])
def test_no_import_goes_round(package):
    files = modules(package)
    names = {module.removesuffix(".__init__"): module for module in files}
    needs = {
        module: {names[n] for n in imported(path) if n in names and names[n] != module}
        for module, path in files.items()
    }
    done = set()

    def visit(module, way):
        assert module not in way, " -> ".join([*way, module])
        if module not in done:
            for other in needs[module]:
                visit(other, [*way, module])
            done.add(module)

    for module in needs:
        visit(module, [])


def test_commands_do_not_import_benchmarks():
    for path in modules("experiments").values():
        assert not any(name.split(".")[0] == "benchmarks" for name in imported(path)), path


def test_private_parts_of_jax_are_not_used():
    for package in PACKAGES:
        for path in modules(package).values():
            assert not any(name.startswith("jax._src") for name in imported(path)), path


# What may break a rule of size, and why.
NO_TORCH = "tests load it without PyTorch"
ALLOWED = {
    "hsi_jax/models/mlp.py is short": "one network a file",
    "hsi_jax/kernels/choice.py is short": "listed without waiting for JAX",
    "hsi_jax/kernels/convolution.py: convolve has positional arguments": "it stands in for lax's",
    "hsi_jax/commands/predict.py: _show_warning has positional arguments": "as warnings call it",
    "benchmarks/simulation.py is short": "a program of its own",
    "benchmarks/peers/arguments.py is short": NO_TORCH,
    "benchmarks/peers/moving.py is short": NO_TORCH,
    "benchmarks/peers/scores.py is short": NO_TORCH,
}


def broken_rules(name, text):
    """The rules of size that a file and its functions break, a sentence each."""
    lines = text.count("\n")
    if lines > 300:
        yield f"{name} is long"
    starts_command = name.startswith("experiments/")
    if lines < 40 and not name.endswith("__init__.py") and not starts_command:
        yield f"{name} is short"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            doc = first.end_lineno - first.lineno + 1 if ast.get_docstring(node) else 0
            if node.end_lineno - node.lineno + 1 - doc > 40:
                yield f"{name}: {node.name} is long"
            names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
            if len(names) - (names[:1] in (["self"], ["cls"])) > 4:
                yield f"{name}: {node.name} has positional arguments"


LINE = "    x = 1\n"


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("x = 1\n" * 300, []),
        ("x = 1\n" * 301, ["a.py is long"]),
        ("x = 1\n" * 40, []),
        ("x = 1\n" * 39, ["a.py is short"]),
        ("def f():\n" + LINE * 39, []),
        ("def f():\n" + LINE * 40, ["a.py: f is long"]),
        ('def f():\n    """One.\n\n    Two.\n    """\n' + LINE * 39, []),
        ("def f(a, b, c, d, *, e):\n" + LINE + "\n" * 40, []),
        ("def f(a, b, /, c, d, e):\n" + LINE + "\n" * 40, ["a.py: f has positional arguments"]),
        ("def f(self, a, b, c, d):\n" + LINE + "\n" * 40, []),
    ],
)
def test_rules_of_size_count(text, broken):
    assert list(broken_rules("a.py", text)) == broken


def test_files_and_functions_keep_to_their_size():
    broken = set()
    for package in PACKAGES:
        for path in modules(package).values():
            name = path.relative_to(ROOT).as_posix()
            broken |= {*broken_rules(name, path.read_text(encoding="utf-8"))}
    assert broken == set(ALLOWED)
