import pkgutil
import subprocess
import sys

import pytest

import hsi_jax.evaluate


def imported(code, *packages):
    """Which of these packages a fresh Python has imported after this code."""
    code = f"import sys\n{code}\nprint(*{set(packages)} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return run.stdout.split()


def test_evaluation_needs_neither_jax_nor_pyplot():
    modules = [
        module.name
        for module in pkgutil.walk_packages(hsi_jax.evaluate.__path__, "hsi_jax.evaluate.")
    ]
    assert "hsi_jax.evaluate.maps.map" in modules
    assert imported(f"import {', '.join(modules)}", "jax", "flax", "matplotlib.pyplot") == []


@pytest.mark.parametrize(
    "code",
    [
        "import hsi_jax.evaluate",
        "from hsi_jax.evaluate import scores; scores([[1, 2], [3, 4]])",
        "from hsi_jax.evaluate import class_colours; class_colours(24)",
        "from hsi_jax.evaluate import hex_colours; hex_colours(24)",
    ],
)
def test_what_draws_nothing_imports_no_matplotlib(code):
    assert imported(code, "matplotlib", "sklearn", "jax") == []


def test_what_draws_imports_matplotlib():
    assert imported("from hsi_jax.evaluate import draw_map", "matplotlib") == ["matplotlib"]


def test_every_name_of_the_package_can_be_imported():
    names = dir(hsi_jax.evaluate)
    assert {"Scores", "class_colours", "draw_map", "draw_shares", "scores"} <= set(names)
    assert all(callable(getattr(hsi_jax.evaluate, name)) for name in names)
