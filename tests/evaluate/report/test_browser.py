"""The page in a real browser."""

import re

import numpy as np
import pytest

from hsi_jax.errors import printable
from hsi_jax.evaluate.figures.palette import hex_colours

pytest.importorskip("selenium", reason="selenium is not installed")
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.support.select import Select

pytestmark = pytest.mark.long

# Of every visible text: the contrast with what is behind it, as WCAG 2 defines it, and what it is.
CONTRASTS = """
const parse = (text) => {
  const numbers = text.match(/[\\d.]+/g).map(Number);
  return numbers.length < 4 ? [...numbers, 1] : numbers;
};
const mix = (top, below) => (i) => top[3] * top[i] + (1 - top[3]) * below[i];
const over = (top, below) => [0, 1, 2].map(mix(top, below)).concat(1);
const behind = (e) => {
  const own = parse(getComputedStyle(e).backgroundColor);
  if (own[3] === 1) return own;
  return over(own, e.parentElement ? behind(e.parentElement) : [255, 255, 255, 1]);
};
const linear = (c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const found = [];
while (texts.nextNode()) {
  const text = texts.currentNode.textContent.trim(), e = texts.currentNode.parentElement;
  if (!text || !e.checkVisibility() || ["SCRIPT", "STYLE"].includes(e.tagName)) continue;
  const style = getComputedStyle(e), ground = behind(e), size = parseFloat(style.fontSize);
  const lights = [over(parse(style.color), ground), ground].map(luminance);
  const contrast = (Math.max(...lights) + 0.05) / (Math.min(...lights) + 0.05);
  const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
  found.push([contrast, large ? 3 : 4.5, text.slice(0, 40), size]);
}
return found;
"""
PIXEL = """
const canvas = document.querySelector("canvas"), [x, y] = arguments;
const ratio = canvas.width / canvas.clientWidth;
return [...canvas.getContext("2d").getImageData(x * ratio, y * ratio, 1, 1).data];
"""
# The colours of the middles of all 12 x 20 pixels of the map.
ALL_PIXELS = """
const canvas = document.querySelector("canvas"), context = canvas.getContext("2d");
const scale = Math.min(canvas.width / 20, canvas.height / 12);
const place = (index, count, length) => length / 2 + (index + 0.5 - count / 2) * scale;
const colour = (row, column) => {
  const [x, y] = [place(column, 20, canvas.width), place(row, 12, canvas.height)];
  return [...context.getImageData(x, y, 1, 1).data];
};
const range = (length) => Array.from({ length }, (_, index) => index);
return range(12).map((row) => range(20).map((column) => colour(row, column)));
"""


@pytest.fixture
def element(chromium):
    return lambda selector: chromium.find_element("css selector", selector)


def set_border(browser, percent):
    browser.execute_script(
        "const r = document.querySelector('[data-map] input'); r.value = arguments[0];"
        "r.dispatchEvent(new Event('input'))",
        percent,
    )


def pixel_at(browser, row, column):
    """Where the middle of a pixel of the map stands on the canvas, and its colour there."""
    size = "const c = document.querySelector('canvas'); return [c.clientWidth, c.clientHeight]"
    width, height = browser.execute_script(size)
    scale = min(width / 20, height / 12)
    x = width / 2 + (column + 0.5 - 10) * scale
    y = height / 2 + (row + 0.5 - 6) * scale
    return (x, y), browser.execute_script(PIXEL, x, y)


def colour_of(label_id):
    """What the canvas shows of a class id, 0 being unlabelled."""
    return [*bytes.fromhex(hex_colours(3)[label_id - 1][1:]), 255] if label_id else [0, 0, 0, 0]


def first(where):
    """Row and column of the first pixel of a mask, as Python's integers."""
    return tuple(int(n) for n in np.argwhere(where)[0])


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_loads_without_errors_and_fits_the_screen(show, make_run, width, dark):
    browser = show(make_run(), make_run("other"), width=width, dark=dark)
    assert browser.get_log("browser") == []
    widest = browser.execute_script("return document.documentElement.scrollWidth")
    assert widest <= width
    grounds = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", grounds)[:3])) < 150) == dark
    contrasts = browser.execute_script(CONTRASTS)
    assert len(contrasts) > 200
    assert [found for found in contrasts if found[0] < found[1]] == []
    assert min(size for *_, size in contrasts) >= 12


def test_the_border_divides_two_maps(show, make_run, maps, element):
    browser = show(make_run())
    row, column = first((maps["truth"] != maps["prediction"]) & (maps["truth"] > 0))
    for percent, name in ((100, "truth"), (0, "prediction")):
        set_border(browser, percent)
        _, colour = pixel_at(browser, row, column)
        assert colour == colour_of(maps[name][row, column])
    set_border(browser, 50)
    before = browser.execute_script("return document.querySelector('canvas').toDataURL()")
    element("[data-map] input").send_keys(Keys.ARROW_RIGHT * 5)
    assert element("[data-map] input").get_attribute("value") == "55"
    assert browser.execute_script("return document.querySelector('canvas').toDataURL()") != before


def test_every_pixel_of_each_map_is_right(show, make_run, maps, element):
    browser = show(make_run())
    set_border(browser, 100)
    wrong = maps["truth"] != maps["prediction"]
    grey, red, nothing = [189, 189, 189, 255], [215, 25, 28, 255], [0, 0, 0, 0]
    for layer in ("Truth", "Prediction", "Errors"):
        Select(element("[data-side='0']")).select_by_visible_text(layer)
        seen = browser.execute_script(ALL_PIXELS)
        for row, column in np.ndindex(12, 20):
            if layer == "Errors":
                of_test = red if wrong[row, column] else grey
                expected = of_test if maps["test"][row, column] else nothing
            else:
                expected = colour_of(maps[layer.lower()][row, column])
            assert seen[row][column] == expected, (layer, row, column)


def test_the_mouse_moves_the_border_and_reads_the_class(show, make_run, maps, element):
    browser, stage = show(make_run()), element(".stage")
    # At once: the page scrolls smoothly by itself, and the map would move away under the mouse.
    at_once = "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})"
    browser.execute_script(at_once, stage)
    mouse = ActionChains(browser, duration=50)
    mouse.move_to_element(stage).click_and_hold().move_by_offset(-100, 0).release().perform()
    moved = 50 - 100 * 100 / stage.size["width"]
    assert abs(float(element("[data-map] input").get_attribute("value")) - moved) < 2

    row, column = first(maps["test"] & (maps["truth"] == 3) & (maps["prediction"] == 1))
    (x, y), _ = pixel_at(browser, row, column)
    size = stage.size
    offset = round(x - size["width"] / 2 + 1), round(y - size["height"] / 2 + 1)
    ActionChains(browser, duration=50).move_to_element_with_offset(stage, *offset).perform()
    tip = element(".tip")
    assert tip.is_displayed()
    assert tip.find_element("css selector", "b").text == "salt & <sand>"
    for words in ("predicted wood", "test pixel", f"row {row}, column {column}"):
        assert words in tip.text


def test_the_keyboard_reads_and_zooms(show, make_run, maps, element):
    browser, stage = show(make_run()), element(".stage")
    assert browser.execute_script("return document.querySelector('.stage').tabIndex") == 0
    stage.send_keys("+")
    assert element(".zoom output").text == "2\u00d7"
    stage.send_keys(Keys.SHIFT, Keys.ARROW_LEFT * 2, Keys.ARROW_UP * 2, Keys.NULL)
    stage.send_keys(Keys.ARROW_RIGHT * 4, Keys.ARROW_DOWN * 3)
    reading = element(".viewer .reading").text
    assert "row 3, column 4" in reading
    name = ("Unlabelled", "wood", "lake", "salt & <sand>")[maps["truth"][3, 4]]
    assert reading.startswith(name)
    stage.send_keys("0")
    assert element(".zoom output").text == "1\u00d7"


def test_a_class_can_be_seen_alone(show, make_run, maps, element):
    browser = show(make_run())
    set_border(browser, 100)
    button = element("button.class[data-class='1']")
    button.send_keys(Keys.ENTER)
    assert button.get_attribute("aria-pressed") == "true"
    assert pixel_at(browser, *first(maps["truth"] == 2))[1][3] == 255
    assert pixel_at(browser, *first(maps["truth"] == 1))[1][3] < 100
    button.send_keys(Keys.ENTER)
    assert button.get_attribute("aria-pressed") == "false"
    assert pixel_at(browser, *first(maps["truth"] == 1))[1][3] == 255


def test_figures_are_shown(show, make_run):
    browser = show(make_run())
    figures = browser.find_elements("css selector", ".chart img")
    assert len(figures) == 5  # curves, confusion, spectra, shares, timeline
    sizes = "return [arguments[0].naturalWidth, arguments[0].clientWidth]"
    for figure in figures:
        natural, shown = browser.execute_script(sizes, figure)
        assert natural > 100
        assert shown > natural  # so that its small text can be read


@pytest.mark.parametrize("script", [True, False])
def test_print_and_a_page_without_script_show_all_maps(show, make_run, element, script):
    browser = show(make_run(), script=script, media="print" if script else "", dark=script)
    assert not element(".viewer").is_displayed()
    pictures = browser.find_elements("css selector", ".stills img")
    assert len(pictures) == 3
    assert all(picture.is_displayed() for picture in pictures)
    if script:  # a dark screen prints on white
        assert element("body").value_of_css_property("background-color") == "rgba(255, 255, 255, 1)"


def test_hostile_names_run_no_script_and_are_shown(show, make_run):
    names = (
        "</script><script>document.title = 'hacked'</script>",
        '"><img src=x onerror="document.title = \'hacked\'">',
        "{{ 7 * 7 }} \u202e <b>bold</b>",
    )
    browser = show(make_run("a'b\"<i>c", names))
    assert browser.get_log("browser") == []
    assert "hacked" not in browser.title
    shown = browser.find_elements("css selector", ".classes button bdi")
    assert [one.get_property("textContent") for one in shown] == list(map(printable, names))
