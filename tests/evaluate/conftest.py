"""What the tests of this folder share: a way to look at a drawing, and the summary of a run."""

from itertools import combinations

import matplotlib.image
import pytest
from matplotlib.text import Text

from hsi_jax.run.summary import Summary
from hsi_jax.run.summary_devices import TimelineStep
from hsi_jax.run.summary_parts import FeedSummary, SplitSummary

SUMMARY = Summary(
    overall_accuracy=0.9,
    average_accuracy=0.8,
    kappa=0.7,
    per_class_accuracy=[0.9, 0.7],
    classes_present=2,
    confusion_matrix=[[9, 1], [3, 7]],
    scheme="balanced",
    batch_size=100,
    split=SplitSummary(kind="random", counts={"train": 250, "validation": 10, "test": 20}),
    steps=8,
    best_step=8,
    step_time_ms_median=123.0,
    interrupted=False,
    versions={},
    timeline=[TimelineStep(step=1, began=[0, 0], worked=[1, 2], ended=[4, 4])],
    test_loss=0.5,
    class_names=("wood", "lake"),
    class_ids=(1, 2),
    final_loss=0.5,
    losses_first_steps=[0.5],
    skipped_steps=0,
    dataset="made up",
    note="",
    model="mlp",
    parameters=10,
    input_shape=(1, 1, 4),
    profile="4:2:1:0",
    num_devices=4,
    device_names=("cpu:0", "cpu:1", "cpu:2", "cpu:3"),
    speeds=(4, 2, 1, 0),
    shares=(9, 4, 2, 0),
    weights=(9 / 15, 4 / 15, 2 / 15, 0),
    microbatch_size=10,
    timed_steps=8,
    samples_per_second=800.0,
    compile_seconds=1.0,
    feed=FeedSummary(kind="resident", wait_ms_median=0.0, wait_fraction_of_step_time=0.0),
    hardware="4 devices emulated",
    modelled_step_time=2.5,
    modelled_speedup_over_even=2.5,
    modelled_time_unit="ms",
    modelled_device_times=(2.25, 2.0, 2.5, float("inf")),
    modelled_device_times_even=None,
)


@pytest.fixture
def summary():
    """The summary of a run; make others of it by `dataclasses.replace`."""
    return SUMMARY


@pytest.fixture
def render(tmp_path, monkeypatch):
    """Saves a figure, checks its texts, and returns the pixels as float [rows, cols, 4].

    Every text must be inside the figure, be large enough to read and cover no other text.
    """

    def _render(figure, dpi=100):
        drawn = {}
        draw = Text.draw

        def record(text, renderer):
            draw(text, renderer)
            if text.get_visible() and text.get_text().strip():
                drawn[text] = text.get_window_extent(renderer)

        monkeypatch.setattr(Text, "draw", record)
        figure.savefig(tmp_path / "figure.png", dpi=dpi)
        monkeypatch.setattr(Text, "draw", draw)
        pixels = matplotlib.image.imread(tmp_path / "figure.png")
        rows, cols = pixels.shape[:2]
        for text, box in drawn.items():
            assert text.get_fontsize() >= 6, text
            inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= cols + 1 and box.y1 <= rows + 1
            assert inside, f"{text} leaves the figure"
        for (one, first), (other, second) in combinations(drawn.items(), 2):
            across = min(first.x1, second.x1) - max(first.x0, second.x0)
            along = min(first.y1, second.y1) - max(first.y0, second.y0)
            assert across <= 1 or along <= 1, f"{one} covers {other}"
        return pixels

    return _render
