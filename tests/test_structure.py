"""Imports point one way: from the rooms above to those below, and never round in a circle."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

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
    ("comparison", "simulation"),
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
    for package in ("hsi_jax", "experiments", "benchmarks"):
        for path in modules(package).values():
            assert not any(name.startswith("jax._src") for name in imported(path)), path
