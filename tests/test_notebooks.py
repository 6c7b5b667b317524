"""Runs the notebooks as a reader would, from the first cell to the last."""

from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


@pytest.fixture
def execute(tmp_path, monkeypatch):
    """Runs a notebook in an empty folder and returns it with its outputs."""
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    (tmp_path / "empty").mkdir()

    def run(path):
        notebook = nbformat.read(path, as_version=4)
        # With no folder of kernels to look into, "python3" is the interpreter of this test.
        kernels = KernelSpecManager(kernel_dirs=[])
        manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=kernels)
        place = {"metadata": {"path": str(tmp_path / "empty")}}
        return NotebookClient(notebook, manager, timeout=300, resources=place).execute(
            cleanup_kc=True
        )

    return run


def test_there_are_notebooks():
    assert [path.name for path in NOTEBOOKS] == ["first_light.ipynb", "your_own_model.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert notebook.metadata.kernelspec.name == "python3"
    assert "experiments" not in "".join(cell.source for cell in code)


def test_ones_own_models_train_to_the_same_bits(execute):
    notebook = execute(next(path for path in NOTEBOOKS if path.stem == "your_own_model"))
    outputs = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    assert not [o for cell in outputs for o in cell if o.get("name") == "stderr"]
    shown = [o["data"]["text/plain"] for cell in outputs for o in cell if "data" in o]
    assert shown == ["(1797, 8, 8, 1)", "True", "True", "True"]


def test_first_light_shows_its_pictures_and_equal_losses(execute):
    notebook = execute(next(path for path in NOTEBOOKS if path.stem == "first_light"))
    outputs = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    kinds = [kind for cell in outputs for output in cell for kind in output.get("data", {})]
    assert kinds.count("image/png") == 4
    assert not [o for cell in outputs for o in cell if o.get("name") == "stderr"]
    *_, printed, equal = outputs[-1]
    assert equal["data"]["text/plain"] == "True"
    losses = [line.split()[1:] for line in printed["text"].splitlines()[1:]]
    assert len(losses) == 10
    assert all(shared == alone for shared, alone in losses)
    assert len({shared for shared, _ in losses}) == 10
