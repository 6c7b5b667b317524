from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from hsi_jax.errors import InputError
from hsi_jax.evaluate.figures.palette import UNLABELLED_COLOUR, class_colours
from hsi_jax.evaluate.maps.map import CORRECT_COLOUR as CORRECT
from hsi_jax.evaluate.maps.map import UNTESTED_COLOUR as UNTESTED
from hsi_jax.evaluate.maps.map import WRONG_COLOUR as WRONG
from hsi_jax.evaluate.maps.map import draw_map, rgb_composite

# fmt: off
INDIAN_PINES = [
    "Alfalfa", "Corn-notill", "Corn-mintill", "Corn", "Grass-pasture", "Grass-trees",
    "Grass-pasture-mowed", "Hay-windrowed", "Oats", "Soybean-notill", "Soybean-mintill",
    "Soybean-clean", "Wheat", "Woods", "Buildings-Grass-Trees-Drives", "Stone-Steel-Towers",
]
# fmt: on
NAMES = INDIAN_PINES[:6]
ROWS, COLS = 5, 7


def coded(rows, cols, num_classes, unlabelled=True):
    """A map whose id tells the pixel's row and column."""
    period = num_classes + unlabelled
    return (np.arange(rows)[:, None] * 3 + np.arange(cols)) % period - unlabelled


@pytest.fixture
def scene():
    truth = coded(ROWS, COLS, len(NAMES))
    prediction = np.maximum(truth, 0)
    for row, column in [(0, 1), (0, 6), (4, 0), (4, 6), (2, 3)]:
        prediction[row, column] = (truth[row, column] + 1) % len(NAMES)
    test_mask = np.ones((ROWS, COLS), dtype=bool)
    test_mask[:, 3] = False  # hides one of the mistakes
    return truth, prediction, test_mask


def panels(figure):
    """Colours of 8 bits, as fractions of full intensity."""
    return {axes.get_title(): np.asarray(axes.images[0].get_array()) / 255 for axes in figure.axes}


def is_drawn(colour):
    return pytest.approx(tuple(colour), abs=1 / 255)


def texts(legend):
    return [text.get_text() for text in legend.get_texts()]


def test_pixels_without_data_are_drawn_as_such(scene):
    truth, prediction, test_mask = scene
    nodata = np.zeros(truth.shape, bool)
    nodata[:2, 4] = True
    truth, prediction = np.where(nodata, -1, truth), np.where(nodata, -1, prediction)
    rgb = np.full((ROWS, COLS, 3), 0.5)
    options = {"test_mask": test_mask & ~nodata, "rgb": rgb}
    figure = draw_map(truth, prediction, NAMES, nodata=nodata, **options)
    plain = panels(draw_map(truth, prediction, NAMES, **options))
    for name, image in panels(figure).items():
        assert (image[nodata] == 1).all()
        assert (image[~nodata] == plain[name][~nodata]).all()
    assert "no data" in texts(figure.legends[0])
    complete = np.maximum(truth, 0)
    figure = draw_map(np.where(nodata, -1, complete), complete, NAMES, nodata=nodata)
    assert "unlabelled" not in texts(figure.legends[0])
    with pytest.raises(InputError, match="`nodata`"):
        draw_map(truth, prediction, NAMES, nodata=nodata[1:])


def test_pixels_without_data_do_not_stretch_the_composite():
    cube = np.random.default_rng(0).uniform(5, 9, (ROWS, COLS, 3))
    nodata = np.zeros((ROWS, COLS), bool)
    nodata[0] = True
    expected = rgb_composite(cube[1:], (0, 1, 2))
    cube[0] = 0
    np.testing.assert_array_equal(rgb_composite(cube, (0, 1, 2), nodata)[1:], expected)


def test_panels_hold_the_colours_of_each_pixel(scene, render):
    truth, prediction, test_mask = scene
    rgb = np.random.default_rng(0).random((ROWS, COLS, 3))
    figure = draw_map(truth, prediction, NAMES, test_mask=test_mask, rgb=rgb, title="Coded")
    render(figure)
    drawn = panels(figure)
    assert list(drawn) == ["Composite", "Ground truth", "Prediction", "Errors at test pixels"]
    assert figure.get_suptitle() == "Coded"
    assert drawn["Composite"] == pytest.approx(rgb, abs=1 / 255)
    colours = class_colours(len(NAMES))
    for row in range(ROWS):
        for column in range(COLS):
            true, predicted = truth[row, column], prediction[row, column]
            expected = UNLABELLED_COLOUR if true == -1 else tuple(colours[true])
            assert tuple(drawn["Ground truth"][row, column]) == is_drawn(expected)
            assert tuple(drawn["Prediction"][row, column]) == is_drawn(colours[predicted])
            judged = true != -1 and test_mask[row, column]
            expected = UNTESTED if not judged else CORRECT if true == predicted else WRONG
            assert tuple(drawn["Errors at test pixels"][row, column]) == is_drawn(expected)


def test_rows_run_down_and_columns_right_in_the_picture(scene, render):
    truth, prediction, test_mask = scene
    figure = draw_map(truth, prediction, NAMES, test_mask=test_mask)
    pixels = render(figure)
    for axes in figure.axes:
        image = np.asarray(axes.images[0].get_array()) / 255
        frame = axes.get_window_extent()
        for row in range(ROWS):
            for column in range(COLS):
                x = frame.x0 + (column + 0.5) / COLS * frame.width
                y = len(pixels) - frame.y1 + (row + 0.5) / ROWS * frame.height
                seen = pixels[round(y), round(x), :3]
                assert seen == pytest.approx(image[row, column], abs=1 / 255)


def test_legends_name_every_class_and_count_the_errors(scene, render):
    truth, prediction, test_mask = scene
    figure = draw_map(truth, prediction, NAMES, test_mask=test_mask)
    render(figure)
    legend = figure.legends[0]
    assert texts(legend) == [*NAMES, "unlabelled"]
    colours = [patch.get_facecolor()[:3] for patch in legend.get_patches()]
    assert np.allclose(colours, [*class_colours(len(NAMES)), UNLABELLED_COLOUR])
    judged = test_mask & (truth >= 0)
    wrong = int((judged & (truth != prediction)).sum())
    errors = figure.axes[-1].get_legend()
    assert errors is not None
    assert texts(errors) == [f"correct {judged.sum() - wrong}", f"wrong {wrong}", "untested"]
    assert [patch.get_facecolor()[:3] for patch in errors.get_patches()] == [
        CORRECT,
        WRONG,
        UNTESTED,
    ]


def test_colours_may_be_given(scene):
    truth, prediction, _ = scene
    own = class_colours(len(NAMES))[::-1] / 2
    figure = draw_map(truth, prediction, NAMES, colours=own)
    patches = figure.legends[0].get_patches()
    assert [patch.get_facecolor()[:3] for patch in patches] == [
        *(tuple(colour) for colour in own),
        UNLABELLED_COLOUR,
    ]
    assert panels(figure)["Prediction"] == pytest.approx(own[prediction], abs=1 / 255)


@pytest.mark.parametrize(
    ("colours", "problem"),
    [
        (np.zeros((5, 3)), r"\(5, 3\).*\(6, 3\)"),
        (np.zeros((6, 4)), r"\(6, 4\).*\(6, 3\)"),
        (np.full((6, 3), 1.01), r"0\.\.1"),
        (np.full((6, 3), -0.01), r"0\.\.1"),
        (np.full((6, 3), np.nan), r"0\.\.1"),
    ],
)
def test_bad_colours_are_refused(colours, problem, scene):
    truth, prediction, _ = scene
    with pytest.raises(InputError, match="`colours` .*" + problem):
        draw_map(truth, prediction, NAMES, colours=colours)


def test_legend_leaves_out_unlabelled_where_every_pixel_has_a_class():
    truth = coded(ROWS, COLS, 6, unlabelled=False)
    assert texts(draw_map(truth, truth, NAMES).legends[0]) == NAMES
    assert "unlabelled" in texts(draw_map(truth, np.full_like(truth, -1), NAMES).legends[0])


def test_without_a_mask_labelled_pixels_with_a_prediction_are_judged():
    truth, prediction = np.array([[0, 1, 0, -1]]), np.array([[0, 0, -1, 1]])
    drawn = panels(draw_map(truth, prediction, ["a", "b"]))
    assert drawn["Errors at labelled pixels"].tolist() == [
        [list(colour) for colour in (CORRECT, WRONG, UNTESTED, UNTESTED)]
    ]


def test_a_test_pixel_without_prediction_is_wrong():
    truth, prediction = np.array([[0, 1]]), np.array([[-1, -1]])
    test_mask = np.array([[True, False]])
    drawn = panels(draw_map(truth, prediction, ["a", "b"], test_mask=test_mask))
    assert drawn["Errors at test pixels"].tolist() == [[list(WRONG), list(UNTESTED)]]
    assert drawn["Prediction"].tolist() == [[list(UNLABELLED_COLOUR)] * 2]


@pytest.mark.parametrize(
    ("rows", "cols", "stacked"),
    [
        (50, 100, False),
        (50, 101, True),
        (35, 190, True),
        (61, 34, False),
        (100, 15, False),
        (1, 1, False),
        (1, 9, True),
        (9, 1, False),
    ],
)
@pytest.mark.parametrize("with_rgb", [False, True])
def test_wide_scenes_are_stacked_and_no_text_collides(rows, cols, stacked, with_rgb, render):
    truth = coded(rows, cols, 16)
    rgb = np.zeros((rows, cols, 3)) if with_rgb else None
    figure = draw_map(truth, truth, INDIAN_PINES, rgb=rgb, title="A scene")
    render(figure)
    boxes = [axes.get_position() for axes in figure.axes]
    assert len(boxes) == 3 + with_rgb
    if stacked:
        assert all(upper.y0 > lower.y1 for upper, lower in pairwise(boxes))
    else:
        assert all(left.x1 < right.x0 for left, right in pairwise(boxes))
        # The key of the errors must not push its panel away from the others.
        assert np.ptp(np.diff([box.x0 for box in boxes])) < 0.01


@pytest.mark.parametrize("num_classes", [1, 9, 20, 30])
def test_any_number_of_classes_fits(num_classes, render):
    names = [f"{INDIAN_PINES[i % 16]} {i}" for i in range(num_classes)]
    truth = coded(40, 40, num_classes)
    figure = draw_map(truth, truth, names)
    render(figure)
    assert texts(figure.legends[0]) == [*names, "unlabelled"]


def test_bad_maps_are_refused(scene):
    truth, prediction, test_mask = scene
    bad = prediction.copy()
    bad[1, 1] = len(NAMES)
    with pytest.raises(InputError, match=r"`prediction` .* 6, .* 0\.\.5"):
        draw_map(truth, bad, NAMES)
    bad[1, 1] = -2
    with pytest.raises(InputError, match=r"`truth` .* -2"):
        draw_map(bad, prediction, NAMES)
    with pytest.raises(InputError, match=r"`truth` .*\(35,\)"):
        draw_map(truth.ravel(), prediction, NAMES)
    with pytest.raises(InputError, match=r"`prediction` .*\(7, 5\); .*\(5, 7\)"):
        draw_map(truth, prediction.T, NAMES)
    with pytest.raises(InputError, match=r"`test_mask` .*\(4, 7\)"):
        draw_map(truth, prediction, NAMES, test_mask=test_mask[1:])
    with pytest.raises(InputError, match=r"`rgb` .*\(5, 7, 4\); .*\(5, 7, 3\)"):
        draw_map(truth, prediction, NAMES, rgb=np.zeros((ROWS, COLS, 4)))
    with pytest.raises(InputError, match=r"`prediction` .*float64"):
        draw_map(truth, prediction.astype(float), NAMES)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_composite_stretches_each_band_from_2_to_98_percent(dtype):
    ramp = np.arange(101).reshape(1, 101)
    cube = np.stack([ramp, 2 * ramp, ramp[:, ::-1], np.full_like(ramp, 7)], -1).astype(dtype)
    # Percentiles of 0, 1 .. 100 are those numbers themselves.
    stretched = np.clip((ramp - 2) / 96, 0, 1)
    composite = rgb_composite(cube, (2, 1, 3))
    assert composite.shape == (1, 101, 3)
    assert composite[..., 0] == pytest.approx(stretched[:, ::-1], abs=1e-12)
    assert composite[..., 1] == pytest.approx(stretched, abs=1e-12)
    assert (composite[..., 2] == 0).all()


def test_composite_keeps_rows_and_columns():
    row, column = np.indices((4, 6))
    composite = rgb_composite(np.stack([row, column, row + column], -1), (0, 1, 2))
    assert (np.diff(composite[..., 0], axis=0) > 0).all()
    assert (np.diff(composite[..., 0], axis=1) == 0).all()
    assert (np.diff(composite[..., 1], axis=1) > 0).all()


@pytest.mark.parametrize("bands", [(0, 1), (0, 1, 2, 0), (0, 1, 3), (-1, 0, 1)])
def test_composite_refuses_bands_that_are_not_there(bands):
    cube = np.zeros((2, 2, 3))
    assert rgb_composite(cube, (0, 1, 2)).shape == (2, 2, 3)
    with pytest.raises(InputError, match="`bands`"):
        rgb_composite(cube, bands)


def test_composite_refuses_a_cube_without_bands():
    with pytest.raises(InputError, match=r"`cube` .*\(2, 2\)"):
        rgb_composite(np.zeros((2, 2)), (0, 1, 2))


def test_errors_stand_out_in_grey_print():
    luma = [
        np.dot(to_rgb(colour), (0.2126, 0.7152, 0.0722)) for colour in (WRONG, CORRECT, UNTESTED)
    ]
    assert luma[0] + 0.2 < luma[1]
    assert luma[1] + 0.2 < luma[2]
