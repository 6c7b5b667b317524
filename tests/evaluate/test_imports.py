import pkgutil
import subprocess
import sys

import hsi_jax.evaluate


def test_evaluation_needs_neither_jax_nor_pyplot():
    modules = [
        f"hsi_jax.evaluate.{module.name}"
        for module in pkgutil.iter_modules(hsi_jax.evaluate.__path__)
    ]
    assert "hsi_jax.evaluate.map" in modules
    code = (
        f"import sys, {', '.join(modules)}\n"
        "print(*{'jax', 'flax', 'matplotlib.pyplot'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
