"""Runs with either kernels, one after the other in one process."""

import json
from pathlib import Path

import numpy as np
import pytest

from hsi_jax.errors import InputError
from hsi_jax.kernels import kernels_in_use, native_winograd
from hsi_jax.session import kernels
from hsi_jax.session.options import RunOptions
from hsi_jax.session.resolve import resolve
from hsi_jax.trained import TrainedModel
from tests.session.runs import run
from tests.train.small_scene import assert_same_bits

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("native_kernels")]


SMALL = {
    "patch_size": 7,
    "components": 6,
    "model_options": "features=(4, 4, 4); hidden=4",
    "steps": 3,
    "schedule": "constant",
    "profile": "1:1",
    "figures": "none",
}


@pytest.mark.long
def test_a_run_takes_the_kernels_that_it_was_asked_for(tmp_path):
    def trained(name, kernels):
        run(RunOptions.of(kernels=kernels, workdir=str(tmp_path / name), **SMALL))
        options = json.loads((tmp_path / name / "config.json").read_text(encoding="utf-8"))
        assert options["kernels"] == kernels
        return TrainedModel.of_run(Path(tmp_path / name)).params

    native, xla = trained("native", "native"), trained("xla", "xla")
    again = trained("again", "native")
    assert_same_bits(again, native)
    kernel = {"native": native, "xla": xla}
    first = {name: np.asarray(params["Conv_0"]["kernel"]) for name, params in kernel.items()}
    np.testing.assert_allclose(first["native"], first["xla"], atol=1e-3)
    assert not np.array_equal(first["native"], first["xla"])


def config_of(folder):
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))["kernels"]


def test_a_run_takes_the_best_kernels_and_goes_on_with_those_it_began_with(tmp_path, monkeypatch):
    summary = run(RunOptions.of(workdir=str(tmp_path / "best"), **SMALL))
    assert config_of(tmp_path / "best") == "native"
    assert summary.hardware.endswith("convolutions by native kernels")
    run(RunOptions.of(kernels="xla", workdir=str(tmp_path / "xla"), **SMALL))
    longer = SMALL | {"steps": 4, "resume": True}
    for begun in ("xla", "best"):
        summary = run(RunOptions.of(workdir=str(tmp_path / begun), **longer))
        assert config_of(tmp_path / begun) == {"best": "native"}.get(begun, begun)
        assert ("native" in summary.hardware) == (begun == "best")
    with pytest.raises(InputError, match=r"`kernels`=xla \(it was native\)"):
        run(RunOptions.of(workdir=str(tmp_path / "best"), **longer | {"kernels": "xla"}))
    config = tmp_path / "best" / "config.json"
    config.write_text(config.read_text().replace('"native"', '"mine:make"'))
    with pytest.raises(InputError, match="began with `kernels`=mine:make; give that again"):
        run(RunOptions.of(workdir=str(tmp_path / "best"), **longer))


def test_all_processes_take_what_each_of_them_has(monkeypatch):
    resolved = resolve(RunOptions.of(**SMALL))
    for others, chosen in ((True, "native"), (False, "xla")):
        monkeypatch.setattr(kernels, "gather", lambda own, others=others: np.array([own, others]))
        assert kernels.with_kernels(resolved).options.devices.kernels == chosen
        assert kernels_in_use() == chosen
    monkeypatch.undo()
    monkeypatch.setenv("CXX", "none")
    monkeypatch.setattr(native_winograd, "is_loaded", lambda: False)
    assert kernels.with_kernels(resolved).options.devices.kernels == "xla"
