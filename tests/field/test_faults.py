"""One run of the fault harness, short: a process dies while it saves, and the last one goes on."""

import random
import sys

import pytest

from benchmarks import launched
from benchmarks.launched import Launched, result, steps_logged
from tests.field.faults import kills

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(sys.platform != "linux", reason="uneven processes need Linux"),
    pytest.mark.slow,
]


@pytest.fixture(autouse=True)
def short_runs(monkeypatch):
    small = ("--model=mlp", "--model_options=hidden=(8, 8)", "--patch_size=1", "--figures=none")
    flags = (*launched.RUN_FLAGS, *small, "--steps=20", "--checkpoint_every=5")
    monkeypatch.setattr(launched, "RUN_FLAGS", flags)


def test_a_run_that_loses_a_process_while_it_saves_ends_in_the_same_bits(tmp_path):
    quiet = Launched(tmp_path / "quiet")
    assert quiet.finish() == 0, quiet.output()
    # Of two processes one dies; the other goes on with an idle process beside it.
    chance = random.Random(0)
    injected, _, code = kills(tmp_path / "run", chance, 1, elastic=True, first_saving=True)
    assert (injected, code) == (1, 0)
    assert steps_logged(tmp_path / "run") == 20
    assert result(tmp_path / "run") == result(tmp_path / "quiet")
