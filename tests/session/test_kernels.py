"""Runs with either kernels, one after the other in one process."""

import json
from pathlib import Path

import numpy as np
import pytest

from hsi_jax.session.options import RunOptions
from hsi_jax.trained import TrainedModel
from tests.session.runs import run
from tests.train.small_scene import assert_same_bits

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("native_kernels")]


def test_a_run_takes_the_kernels_that_it_was_asked_for(tmp_path):
    def trained(name, kernels):
        sizes = {"patch_size": 7, "components": 6, "model_options": "features=(4, 4, 4); hidden=4"}
        options = {**sizes, "steps": 3, "profile": "1:1", "figures": "none"}
        run(RunOptions.of(kernels=kernels, workdir=str(tmp_path / name), **options))
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
