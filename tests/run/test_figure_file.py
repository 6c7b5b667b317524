import io
import re
import xml.etree.ElementTree as xml

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from hsi_jax.errors import InputError
from hsi_jax.run import RunFolder
from hsi_jax.run.figure_file import parse_figure_formats, save_figure


@pytest.fixture
def figure():
    figure = Figure(figsize=(3, 2))
    axes = figure.subplots()
    axes.plot([0, 1], [1, 0])
    axes.set_title("Wheat and oats")
    return figure


def saved(figure, suffix):
    file = io.BytesIO()
    save_figure(figure, file, suffix)
    return file.getvalue()


def test_pixels_are_fine_enough_to_print(figure):
    assert Image.open(io.BytesIO(saved(figure, "png"))).size == (750, 500)


def test_an_svg_holds_its_text_as_text(figure):
    root = xml.fromstring(saved(figure, "svg"))
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "Wheat and oats" in texts


def test_a_pdf_holds_its_text_in_a_font(figure):
    content = saved(figure, "pdf")
    assert content.startswith(b"%PDF")
    assert b"/FontFile2" in content  # TrueType, embedded
    assert not re.search(rb"/Subtype\s*/Type3", content)
    width, height = map(float, re.search(rb"/MediaBox \[ 0 0 (\S+) (\S+) \]", content).groups())
    assert (width, height) == pytest.approx((3 * 72, 2 * 72))


@pytest.mark.parametrize("suffix", ["svg", "pdf"])
def test_equal_figures_are_equal_files(figure, suffix):
    assert saved(figure, suffix) == saved(figure, suffix)


@pytest.mark.parametrize("text", ["", ",", "png,", "png,jpeg", "png svg", "none,png"])
def test_unknown_formats_are_refused(text):
    with pytest.raises(InputError, match="figures"):
        parse_figure_formats(text)


def test_formats_are_read():
    assert parse_figure_formats("png, svg") == ("png", "svg")
    assert parse_figure_formats("none") == ()


def test_a_folder_gets_each_format_and_loses_all_with_a_new_run(figure, tmp_path):
    folder = RunFolder(tmp_path)
    folder.start({})
    folder.write_figure("map", figure, ("png", "svg"))
    assert {path.name for path in tmp_path.glob("map.*")} == {"map.png", "map.svg"}
    RunFolder(tmp_path, overwrite=True).start({})
    assert not list(tmp_path.glob("map.*"))
    assert np.all([path.is_file() for path in tmp_path.iterdir()])
