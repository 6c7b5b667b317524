"""A baseline through the commands."""

import pytest

from hsi_jax.commands.report import ReportOptions, report
from hsi_jax.session.options import RunOptions
from hsi_jax.trained import TrainedModel
from tests.session.runs import run


@pytest.mark.slow
def test_a_forest_leaves_what_a_network_leaves(tmp_path, capsys):
    workdir = tmp_path / "forest"
    options = {"model": "random_forest", "model_options": "trees=20", "profile": "1"}
    summary = run(RunOptions.of(workdir=str(workdir), **options))
    assert 0.5 < summary.overall_accuracy < 1
    assert (summary.steps, summary.final_loss, summary.step_time_ms_median) == (0, None, None)
    printed = capsys.readouterr().out
    assert "scikit-learn" in printed
    assert "Devices only predict" in printed
    assert {path.name for path in workdir.iterdir()} >= {
        "model",
        "summary.json",
        "confusion.png",
        "map.png",
        "prediction.npz",
    }
    assert TrainedModel.of_run(workdir).description.architecture == "random_forest"
    (read,) = report(ReportOptions(output=str(tmp_path / "page.html")), [str(workdir)])
    assert read.missing == []
