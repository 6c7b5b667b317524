"""Class names in any script are drawn, without a warning and without a box."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

from hsi_jax.evaluate.figures import lettering
from hsi_jax.evaluate.figures.confusion import draw_confusion
from hsi_jax.evaluate.figures.gallery import draw_gallery
from hsi_jax.evaluate.figures.lettering import captions
from hsi_jax.evaluate.maps.map import draw_map

NAMES = ["غابة النخيل", "森林", "🌲 forest", "_under", "costs $5_ and $6^", "Straße, Łódź", "a\tb"]


@pytest.fixture(autouse=True)
def only_dejavu(monkeypatch):
    """The same fonts on every machine: those that come with Matplotlib."""
    usual = font_manager.findfont("DejaVu Sans")
    fonts = [e for e in font_manager.fontManager.ttflist if e.fname == usual]
    fonts += [e for e in font_manager.fontManager.ttflist if e.name.startswith("Last Resort")]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", fonts)
    lettering._choose_fonts.cache_clear()
    yield
    lettering._choose_fonts.cache_clear()


def test_a_name_without_a_font_is_said_by_its_id():
    shown = captions(NAMES, range(10, 17))
    assert shown[0] == NAMES[0]
    assert shown[1:3] == ["class 11", "forest"]
    assert shown[3].strip() == "_under"
    assert shown[4:] == [*NAMES[4:6], "a b"]


def test_names_that_would_be_alike_are_told_apart():
    assert captions(["🌲 tree", "🌳 tree", "tree"], [4, 5, 6]) == ["tree (4)", "tree (5)", "tree"]


def test_plain_names_stay():
    names = ["Corn, no till", "Grass/Pasture (mowed)", "42"]
    assert captions(names) == names


# Warnings, such as of a glyph that is missing, are errors here.
def test_every_picture_shows_them(render):
    classes = np.arange(7)
    truth = np.broadcast_to(classes, (5, 7))
    render(draw_map(truth, truth, NAMES, title="森林"))
    render(draw_confusion(np.diag(classes), NAMES))
    images = np.zeros((7, 3, 3, 3), np.uint8)
    render(draw_gallery(images, classes, classes[::-1], class_names=NAMES, title="$x_$ 森"))


@settings(max_examples=15)
@given(st.lists(st.text(max_size=8), min_size=2, max_size=5))
def test_any_text_can_be_drawn(names):
    usual = FT2Font(font_manager.findfont("DejaVu Sans")).get_charmap()
    shown = captions(names)
    assert all(any(map(str.isalnum, text)) for text in shown)
    assert {ord(c) for text in shown for c in text if not c.isspace()} <= set(usual)
    draw_confusion(np.eye(len(names), dtype=int), names).draw_without_rendering()
