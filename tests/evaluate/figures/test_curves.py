import numpy as np
import pytest
from matplotlib.axes import Axes

from hsi_jax.errors import InputError
from hsi_jax.evaluate.figures.curves import draw_curves
from hsi_jax.run.records import Evaluation, Start, Step, read_records, write_record


def training(losses):
    return [
        Step(step=i + 1, loss=loss, learning_rate=0.1, seconds=i + 1.0, step_seconds=1.0)
        for i, loss in enumerate(losses)
    ]


def evaluation(name, step, value, loss=0.5):
    return Evaluation(
        set=name,
        step=step,
        loss=loss,
        overall_accuracy=value,
        average_accuracy=value - 0.1,
        kappa=value - 0.2,
    )


def lines(axes: Axes):
    labelled = {str(line.get_label()): line for line in axes.lines}
    return {
        label: (np.asarray(line.get_xdata()).tolist(), np.asarray(line.get_ydata()).tolist())
        for label, line in labelled.items()
        if not label.startswith("_")
    }


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_every_value_is_drawn_at_its_step(render):
    first, second, *rest = training([2.0, 1.0, 0.5, 0.25])
    records = [Start(num_steps=4), first, second, evaluation("validation", 2, 0.6, loss=1.5), *rest]
    records += [evaluation("validation", 4, 0.8, loss=0.75), evaluation("test", 4, 0.7, loss=0.9)]
    figure = draw_curves(records, best_step=2)
    render(figure)
    loss, measures = figure.axes
    assert lines(loss) == {
        "training loss": ([1, 2, 3, 4], [2.0, 1.0, 0.5, 0.25]),
        "validation loss": ([2, 4], [1.5, 0.75]),
        "test loss": ([4], [0.9]),
        "chosen step 2": ([2, 2], [0, 1]),
    }
    drawn = lines(measures)
    for name, less in (("OA", 0), ("AA", 0.1), ("kappa", 0.2)):
        assert drawn.pop(f"validation {name}") == ([2, 4], [0.6 - less, 0.8 - less])
        assert drawn.pop(f"test {name} {0.7 - less:.4f}") == ([4], [0.7 - less])
    assert drawn == {}
    assert np.asarray(measures.lines[-1].get_xdata()).tolist() == [2, 2]
    assert legend(loss) == list(lines(loss))
    assert legend(measures) == list(lines(measures))


@pytest.mark.parametrize("number", [149, 150, 151, 1000])
def test_a_running_mean_joins_the_loss_of_long_runs(number, render):
    losses = np.random.default_rng(number).random(number) + 0.5
    losses[40:60] = np.nan
    losses[70] = np.inf
    figure = draw_curves(training(losses.tolist()))
    render(figure)
    drawn = lines(figure.axes[0])
    window = number // 50
    assert (f"mean of {window} values" in drawn) == (number >= 150)
    finite = np.where(np.isfinite(losses), losses, np.nan)
    assert drawn["training loss"][1] == pytest.approx(finite.tolist(), nan_ok=True)
    assert drawn["not finite: 21"][0] == [*range(41, 61), 71]
    if number >= 150:
        for at, mean in enumerate(drawn[f"mean of {window} values"][1]):
            around = finite[max(at - window // 2, 0) : at + (window + 1) // 2]
            around = around[np.isfinite(around)]
            expected = around.mean() if around.size else np.nan
            assert mean == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("losses", "scale"),
    [
        ([1, 100], "linear"),
        ([1, 101], "log"),
        ([0, 101], "linear"),
        ([-1, 101], "linear"),
        ([1, 101, np.inf], "log"),
        ([np.nan, np.nan], "linear"),
        ([2], "linear"),
    ],
)
def test_losses_over_a_wide_range_get_a_logarithmic_axis(losses, scale, render):
    figure = draw_curves(training(losses))
    render(figure)
    assert figure.axes[0].get_yscale() == scale
    assert figure.axes[0].get_ylabel() == ("loss (logarithmic)" if scale == "log" else "loss")


def test_long_runs_with_many_evaluations_render(render):
    steps = np.arange(20_000)
    training_steps = training((3 * np.exp(-steps / 4000) + 0.01).tolist())
    validations = [evaluation("validation", s, 0.9 - 100 / s) for s in range(500, 20_001, 50)]
    records = [*training_steps, *validations, evaluation("test", 20_000, 0.9)]
    figure = draw_curves(records, best_step=15_000)
    render(figure)
    assert legend(figure.axes[0]) == [
        "training loss",
        "mean of 400 values",
        "validation loss",
        "test loss",
        "chosen step 15,000",
    ]


def test_without_evaluation_only_the_loss_is_drawn(render):
    figure = draw_curves(training([2.0]))
    render(figure)
    (axes,) = figure.axes
    assert legend(axes) == ["training loss"]


def test_without_training_the_evaluations_are_drawn(render):
    figure = draw_curves([evaluation("test", 7, 0.9)])
    render(figure)
    assert legend(figure.axes[0]) == ["test loss"]
    assert legend(figure.axes[1]) == ["test OA 0.9000", "test AA 0.8000", "test kappa 0.7000"]


def test_of_records_of_one_step_the_last_counts():
    resumed = [*training([9.0, 8.0, 7.0]), *training([9.0, 4.0, 3.0, 2.0])[1:]]
    resumed += [evaluation("test", 2, 0.3), evaluation("test", 4, 0.9)]
    loss, measures = draw_curves(resumed).axes
    assert lines(loss)["training loss"] == ([1, 2, 3, 4], [9.0, 4.0, 3.0, 2.0])
    assert next(iter(lines(measures))) == "test OA 0.9000"


def test_losses_written_as_null_are_not_finite(render):
    records = read_records(write_record(step) for step in training([1.0, None, 2.0]))
    figure = draw_curves(records)
    render(figure)
    assert lines(figure.axes[0])["not finite: 1"][0] == [2]


@pytest.mark.parametrize("records", [[], [Start(num_steps=1)]])
def test_a_run_without_a_step_or_evaluation_is_refused(records):
    with pytest.raises(InputError, match="`records`"):
        draw_curves(records)
