"""Names in any script: drawn with a font that has their letters, or said in another way."""

import functools
import unicodedata
from collections.abc import Callable, Sequence

from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

MISSING = "?"

# Fonts that have a box for every letter, the first of which comes with Matplotlib.
_BOXES = ("Last Resort", "Adobe Blank", "Unicode BMP Fallback")


def captions(names: Sequence[str], ids: Sequence[int] | None = None) -> list[str]:
    """Names as Matplotlib can draw them.

    Letters that no font of this machine has are left out. Where none is left, the name is
    "class 3", by its id; where two names become alike, their ids tell them apart.

    Args:
        names: of classes.
        ids: of the classes; by default they are counted from 0.
    """
    numbers = list(range(len(names)) if ids is None else ids)
    shown = [_drawable(name, number) for name, number in zip(names, numbers, strict=True)]
    alike = {text for text in shown if shown.count(text) > 1}
    return [
        f"{text} ({number})" if text in alike and text != name else text
        for text, name, number in zip(shown, names, numbers, strict=True)
    ]


def _drawable(name: str, number: int) -> str:
    text = _plain(name)
    missing = _choose_fonts(text)[1]
    text = " ".join("".join(c for c in text if c not in missing).split())
    if not any(map(str.isalnum, text)):
        return f"class {number}"
    # A label that begins with _ is left out of a legend.
    return f" {text}" if text.startswith("_") else text


def lettered(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """A function that draws, whose texts get the fonts that they need.

    Letters that no font of this machine has become question marks, a dollar sign is one, and
    control characters are left out.
    """

    @functools.wraps(draw)
    def drawn(*arguments, **options) -> Figure:
        figure = draw(*arguments, **options)
        for text in figure.findobj(Text):
            assert isinstance(text, Text)
            text.set_parse_math(False)
            words = _plain(text.get_text())
            if not words.isascii():
                fonts, missing = _choose_fonts(words)
                text.set_fontfamily([*text.get_fontfamily(), *fonts])
                words = "".join(MISSING if c in missing else c for c in words)
            if words != text.get_text():
                text.set_text(words)
        return figure

    return drawn


def _plain(text: str) -> str:
    """Without control characters, and with spaces for tabs; lines stay."""
    kept = (c for c in unicodedata.normalize("NFC", text) if c.isspace() or c.isprintable())
    return "".join(" " if c.isspace() and c != "\n" else c for c in kept)


@functools.lru_cache(maxsize=1024)
def _choose_fonts(text: str) -> tuple[tuple[str, ...], frozenset[str]]:
    """Fonts to be added to the usual one, and the letters that no font has."""
    usual = font_manager.findfont(font_manager.FontProperties())
    missing = {c for c in text if not c.isspace() and ord(c) not in _letters(usual)}
    fonts = []
    if missing:
        for entry in font_manager.fontManager.ttflist:
            if not missing:
                break
            if entry.style != "normal" or entry.name.startswith(_BOXES):
                continue
            if found := {c for c in missing if ord(c) in _letters(entry.fname)}:
                fonts.append(entry.name)
                missing -= found
    return tuple(dict.fromkeys(fonts)), frozenset(missing)


@functools.cache
def _letters(path: str) -> frozenset[int]:
    """The code points that a font has; none where it cannot be read."""
    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()
