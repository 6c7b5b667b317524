"""Runs the notebooks as a reader would, from the first cell to the last."""

import csv
import json
from importlib.util import find_spec
from pathlib import Path

import nbformat
import numpy as np
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture
def execute(tmp_path, monkeypatch):
    """Runs a notebook in an empty folder and returns it with its outputs."""
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # the library beside this test
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
    assert [path.stem for path in NOTEBOOKS] == [
        "after_training",
        "first_light",
        "from_scene_to_map",
        "heterogeneity_explained",
        "reading_several_runs",
        "your_own_model",
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert notebook.metadata.kernelspec.name == "python3"
    # A notebook calls the library. Only the one about runs makes some first, by the command.
    used = "experiments" in "".join(cell.source for cell in code)
    assert used == (path.stem == "reading_several_runs")


def outputs_of(notebook):
    """What each code cell has left: printed text, and the kinds of what it shows."""
    cells = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    assert not [o for cell in cells for o in cell if o.get("name") == "stderr"]
    printed = "".join(o["text"] for cell in cells for o in cell if o.get("name") == "stdout")
    kinds = [kind for cell in cells for output in cell for kind in output.get("data", {})]
    return printed, kinds


def notebook_named(stem):
    return next(path for path in NOTEBOOKS if path.stem == stem)


@pytest.mark.slow
def test_the_way_from_a_scene_to_its_map(execute, tmp_path):
    printed, kinds = outputs_of(execute(notebook_named("from_scene_to_map")))
    assert kinds.count("image/png") == 3
    assert "\n0 test pixels have a training pixel" in printed
    ids = np.load(tmp_path / "empty" / "map.npy")
    assert ids.shape == (96, 96)
    assert set(np.unique(ids)) <= set(range(1, 10))
    assert (tmp_path / "empty" / "map.pdf").read_bytes().startswith(b"%PDF")
    if find_spec("rasterio"):
        assert "500015, 4479985; the ids come back: True" in printed


@pytest.mark.slow
def test_the_way_from_labels_to_an_exported_model(execute, tmp_path):
    pytest.importorskip("jax2onnx")
    printed, kinds = outputs_of(execute(notebook_named("after_training")))
    assert kinds.count("image/png") == 1
    assert "100.00% of the pixels have the class that the library gives" in printed
    assert "95 % interval" in printed
    assert printed.count("?\n") == 10
    assert (tmp_path / "empty" / "model.onnx").is_file()


@pytest.mark.slow
def test_heterogeneity_is_explained_by_equal_bits_and_modelled_times(execute):
    notebook = execute(notebook_named("heterogeneity_explained"))
    printed, kinds = outputs_of(notebook)
    assert kinds.count("image/png") == 2
    rows = {line.split()[0]: line.split() for line in printed.splitlines() if "%" in line}
    assert rows["even"][1:3] == rows["balanced"][1:3] != rows["uniform"][1:3]
    assert float(rows["balanced"][3]) < float(rows["even"][3])
    shown = [
        o["data"]["text/plain"] for c in notebook.cells for o in c.get("outputs", ()) if "data" in o
    ]
    assert "True" in shown


@pytest.mark.slow
def test_several_runs_are_read(execute, tmp_path):
    printed, kinds = outputs_of(execute(notebook_named("reading_several_runs")))
    assert kinds.count("image/png") == 2
    assert "OA" in printed
    with open(tmp_path / "empty" / "runs.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["run"] for row in rows} == {"mlp-0", "mlp-1", "cnn2d-0"}
    for row in rows:
        summary = json.loads(
            (tmp_path / "empty" / "runs" / row["run"] / "summary.json").read_text()
        )
        assert float(row["OA"]) == summary["overall_accuracy"]


@pytest.mark.slow
def test_ones_own_models_train_to_the_same_bits(execute):
    notebook = execute(next(path for path in NOTEBOOKS if path.stem == "your_own_model"))
    outputs = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    assert not [o for cell in outputs for o in cell if o.get("name") == "stderr"]
    shown = [o["data"]["text/plain"] for cell in outputs for o in cell if "data" in o]
    assert shown == ["(1797, 8, 8, 1)", "True", "True", "True"]


@pytest.mark.slow
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
