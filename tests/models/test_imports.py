import subprocess
import sys


def test_the_names_of_the_models_are_there_without_jax_and_flax():
    code = (
        "import sys\n"
        "import hsi_jax.models\n"
        "from hsi_jax.models import MODELS, build_model, find_trait, parse_options\n"
        "print(*{'jax', 'flax', 'numpy'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def test_every_name_of_the_package_can_be_imported():
    from hsi_jax import models

    assert {"MODELS", "build_model", "options_to_text"} <= set(dir(models))
    assert all(getattr(models, name) is not None for name in dir(models))
