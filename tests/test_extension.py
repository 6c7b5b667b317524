"""Parts of a user's own, in a module outside, through the command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

MINE = """
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from hsi_jax.hetero import Scheme, even_partition


class Net(nn.Module):
    num_classes: int
    hidden: int = 3
    default_patch_size = 3

    @nn.compact
    def __call__(self, x, *, train=False, mask=None):
        return nn.Dense(self.num_classes)(nn.tanh(nn.Dense(self.hidden)(x.mean((1, 2)))))


def seven(logits, label, weights):
    return 7.0 + 0 * logits[label]


def still(schedule, **rest):
    return optax.sgd(lambda step: 0.0)


def darken(image, key):
    return image * 0.5


def chess(request):
    from hsi_jax.data.splits.split import Split

    labelled = np.flatnonzero(request.labels.ravel() >= 0).astype(np.int32)
    return Split("chess", labelled[::2], labelled[:0], labelled[1::2])


def register():
    # What has no reference by which a flag could name it.
    from matplotlib.figure import Figure

    from hsi_jax.evaluate.figures import run_figures
    from hsi_jax.session.protocols import PROTOCOLS, Protocol

    def draw(run):
        figure = Figure()
        figure.subplots().plot([record.loss for record in run.records if hasattr(record, "loss")])
        return figure

    run_figures.register("mine", draw)
    options = {"dataset": "synthetic", "split": "mine:chess"}
    facts = {"whose": "mine", "source": "here", "split": "every second pixel", "leakage": {3: 1.0}}
    PROTOCOLS.register("mine", Protocol(name="mine", options=options, **facts))


backwards = Scheme(
    "backwards",
    "equal shares, all weight on the last device",
    even_partition,
    lambda profile, counts: np.eye(len(counts))[-1],
)
"""


PROGRAM = """
import sys
import mine
from hsi_jax.__main__ import start
mine.register()
start("run", sys.argv[1:])
"""


@pytest.mark.slow
def test_parts_from_outside_are_used_by_the_command(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    command = [
        *(sys.executable, "-c", PROGRAM, "--steps=3", "--protocol=mine"),
        *("--model=mine:Net", "--model_options=hidden=5", "--loss=mine:seven"),
        *("--optimizer=mine:still", "--scheme=mine:backwards", "--augment=flip,mine:darken"),
        *("--profile=2:1:1", f"--workdir={tmp_path / 'run'}"),
    ]
    path = os.pathsep.join([str(ROOT), str(tmp_path)])
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["model"] == "mine:Net"
    assert summary["losses_first_steps"] == [7.0, 7.0, 7.0]
    told = json.loads((tmp_path / "run" / "model" / "model.json").read_text())
    assert (told["architecture"], told["options"]) == ("mine:Net", "hidden=5")
    assert summary["scheme"] == "backwards"
    assert summary["weights"] == [0, 0, 1]
    assert (summary["protocol"], summary["split"]["kind"]) == ("mine", "chess")
    assert (tmp_path / "run" / "mine.png").stat().st_size > 1000
