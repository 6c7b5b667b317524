import numpy as np
import pytest

from hsi_jax.errors import InputError
from hsi_jax.evaluate.figures.confusion import draw_confusion

CONFUSION = np.array([[6, 2, 0], [0, 0, 0], [1, 3, 4]])
NAMES = ["Soybean-mintill", "Oats", "Buildings-Grass-Trees-Drives"]


def labels(ticks):
    return [tick.get_text() for tick in ticks]


def cells(axes):
    return {(round(y), round(x)): t for t in axes.texts for x, y in [t.get_position()]}


def test_colours_are_fractions_of_a_row_and_absent_classes_are_grey(render):
    figure = draw_confusion(CONFUSION, NAMES)
    pixels = render(figure)
    axes = figure.axes[0]
    image = np.ma.asarray(axes.images[0].get_array())
    assert image.filled(-1).tolist() == [[0.75, 0.25, 0], [-1, -1, -1], [0.125, 0.375, 0.5]]
    assert axes.images[0].get_clim() == (0, 1)
    for column in range(3):
        x, y = axes.transData.transform((column - 0.3, 1))
        assert pixels[round(len(pixels) - y), round(x), :3] == pytest.approx([0.85] * 3, abs=0.01)


def test_names_counts_and_accuracies_stand_at_their_class(render):
    figure = draw_confusion(CONFUSION, NAMES)
    render(figure)
    axes = figure.axes[0]
    assert labels(axes.get_xticklabels()) == NAMES
    assert labels(axes.get_yticklabels()) == NAMES
    assert axes.get_xlabel() == "predicted class"
    assert axes.get_ylabel() == "true class"
    counts = {place: int(text.get_text()) for place, text in cells(axes).items()}
    assert counts == {(0, 0): 6, (0, 1): 2, (2, 0): 1, (2, 1): 3, (2, 2): 4}
    assert {place for place, text in cells(axes).items() if text.get_color() == "white"} == {(0, 0)}
    right, top = axes.child_axes
    assert labels(right.get_yticklabels()) == ["75.00", "absent", "50.00"]
    # User's accuracy, F1 and IoU of the columns: 6/7, 12/15, 6/9; 0/5, 0/5, 0/5; 4/4, 8/12, 4/8.
    assert [text.split() for text in labels(top.get_xticklabels())] == [
        ["85.71", "80.00", "66.67"],
        ["0.00", "0.00", "0.00"],
        ["100.00", "66.67", "50.00"],
    ]
    # kappa: (16 * 10 - (8 * 7 + 8 * 4)) / (256 - 88) = 72 / 168
    assert axes.get_title() == "OA 62.50%, AA 62.50%, kappa 0.4286"


@pytest.mark.parametrize(
    ("num_classes", "max_count", "written"),
    [
        (1, 5, True),
        (2, 999_999, True),
        (16, 99_999, True),
        (24, 999, True),
        (24, 999_999, False),
        (60, 99, False),
    ],
)
def test_counts_are_written_where_they_fit(num_classes, max_count, written, render):
    confusion = np.diag(np.full(num_classes, max_count))
    confusion[0] = max_count
    figure = draw_confusion(confusion, [f"Grass-pasture-mowed {i}" for i in range(num_classes)])
    render(figure)
    axes = figure.axes[0]
    assert len(axes.texts) == (np.count_nonzero(confusion) if written else 0)
    cell = axes.get_window_extent().width / num_classes
    assert all(text.get_window_extent().width < cell for text in axes.texts)


def test_bad_input_is_refused():
    with pytest.raises(InputError, match=r"`class_names` .*2 .*3"):
        draw_confusion(CONFUSION, NAMES[:2])
    with pytest.raises(InputError, match="no sample"):
        draw_confusion(np.zeros((2, 2), int), NAMES[:2])
