"""A drawing is looked at as a reader would: every text inside the figure, legible, on no other."""

from itertools import combinations

import matplotlib.image
import pytest
from matplotlib.text import Text


@pytest.fixture
def render(tmp_path, monkeypatch):
    """Saves a figure, checks its texts, and returns the pixels as float [rows, cols, 4]."""

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
            assert text.get_fontsize() >= 8, text
            inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= cols + 1 and box.y1 <= rows + 1
            assert inside, f"{text} leaves the figure"
        for (one, first), (other, second) in combinations(drawn.items(), 2):
            across = min(first.x1, second.x1) - max(first.x0, second.x0)
            along = min(first.y1, second.y1) - max(first.y0, second.y0)
            assert across <= 1 or along <= 1, f"{one} covers {other}"
        return pixels

    return _render
