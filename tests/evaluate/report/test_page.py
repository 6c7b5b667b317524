"""The page as text: what it says, what it leaves out, and what cannot get into it."""

import base64
import json
import os
import zipfile
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from hsi_jax.errors import InputError, printable
from hsi_jax.evaluate.figures import run_figures
from hsi_jax.evaluate.report import page
from hsi_jax.evaluate.run_files import read_run
from hsi_jax.run import RunFolder
from hsi_jax.run.summary_devices import LostProcess, MeasuredEven
from hsi_jax.run.verification import Verification


class Parsed(HTMLParser):
    """Counts the tags of a page, and keeps its text and its addresses."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.addresses, self.handlers, self.text = {}, [], [], []
        self.feed(page)
        self.words = " ".join("".join(self.text).split())

    def handle_starttag(self, tag, attributes):
        if tag != "wbr":  # where a name may be broken
            self.tags[tag] = self.tags.get(tag, 0) + 1
        self.text.append(" " if tag in ("td", "th", "tr", "table") else "")
        for name, value in attributes:
            if name in ("src", "href"):
                self.addresses.append(value)
            if name.startswith("on"):
                self.handlers.append(name)

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(autouse=True)
def save_nothing(monkeypatch, request):
    """Figures are drawn but not written, which takes longest, but for the tests of damage."""
    if "damaged" not in request.node.name:
        monkeypatch.setattr(page, "save_figure", lambda figure, file, kind: file.write(b"<svg/>"))


@pytest.fixture
def parse(render_run):
    return lambda *paths: Parsed(render_run(*paths))


def test_the_page_says_what_the_run_says(parse, make_run):
    page = parse(make_run())
    for words in (
        "mlp on made up",
        "random split",
        "7 of them",
        "inside their 5 \u00d7 5 patch",
        "A remark.",
        "4 devices emulated",
        "were not measured",
        "Timeline, measured",
        "python -m experiments.run --steps=8",
        "All options (4)",
        "salt & <sand>",
    ):
        assert words in page.words, words
    assert "Not in this report" not in page.words


def test_of_real_devices_only_what_was_measured_is_called_a_gain(parse, make_run):
    page = parse(make_run(modelled_speedup_over_even=2.54))  # with timed steps
    assert "2.54" not in page.words
    assert "without communication" in page.words
    assert "was not measured (--measure_even)" in page.words
    even = MeasuredEven(even_ms=30.0, own_ms=25.0, even_shares=(4, 4), own_shares=(6, 2), repeats=5)
    page = parse(make_run(name="even", modelled_speedup_over_even=2.54, measured_even=even))
    assert "1.20 times as fast" in page.words


def test_processes_that_were_lost_and_replays_are_told(parse, make_run):
    losses = [
        LostProcess(process=2, step=5, seconds=0.25),
        LostProcess(process=0, step=None, seconds=None),
    ]
    path = make_run(losses=losses)
    found = Verification(equal=True, first_step=0, last_step=7, hardware="1 device", when="today")
    found.write(path)
    words = parse(path).words
    assert (
        "Process 2 was lost in step 5; the others had ended it 0.25 s after they noticed" in words
    )
    assert "Process 0 was lost after the last step" in words
    assert "steps 0 to 7 are equal to the replay, bit for bit" in words
    (path / "verification.json").write_text("{}")
    assert "What a replay has found is missing" in parse(path).words


def test_the_split_stands_beside_every_accuracy(parse, make_run):
    leakage = "have a training pixel inside their 5 \u00d7 5 patch"
    assert parse(make_run()).words.count(leakage) == 4  # head, classes, curves, confusion
    several = parse(make_run("a"), make_run("b"))
    assert several.words.count(leakage) == 2 * (4 + 1)  # and the comparison


def test_the_page_asks_for_nothing_outside(render_run, make_run):
    page = render_run(make_run("a"), make_run("b"))
    addresses = Parsed(page).addresses
    assert len(addresses) > 6
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert "http://" not in page
    assert "https://" not in page
    assert "default-src 'none'" in page


# NUL, line breaks and other control characters have no place in HTML or are made spaces by it.
NAMES = st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"])), min_size=3, max_size=3)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=4, deadline=None
)
@given(NAMES.map(lambda names: [f"{name}</script><img onerror=alert(1)>'\"" for name in names]))
def test_names_stay_text(make_run, parse, names):
    harmless, hostile = parse(make_run("run")), parse(make_run("run", names))
    assert hostile.tags == harmless.tags
    assert hostile.handlers == []
    for name in names:
        assert " ".join(printable(name).split()) in hostile.words


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("summary.json", "no accuracies"),
        ("prediction.npz", "no prediction.npz"),
        ("spectra.npz", "no spectra.npz"),
        ("metrics.jsonl", "curves are missing"),
        ("profile.json", "profile.json cannot be read"),
        ("config.json", "config.json cannot be read"),
    ],
)
def test_what_is_missing_is_said(parse, make_run, name, word):
    path = make_run()
    (path / name).unlink()
    page = parse(path)
    assert "Not in this report" in page.words
    assert word in page.words
    # The rest of it is there.
    assert ("Confusion matrix" in page.words) == (name != "summary.json")


def test_a_run_that_was_killed_at_once_has_a_page(parse, tmp_path):
    folder = RunFolder(tmp_path / "killed")
    folder.start({"dataset": "salinas_a"})
    page = parse(folder.path)
    assert "has not ended" in page.words
    assert "salinas_a" in page.words


def test_a_summary_of_another_version_still_tells_its_accuracies(parse, make_run):
    path = make_run()
    content = json.loads((path / "summary.json").read_text())
    del content["hardware"]
    (path / "summary.json").write_text(json.dumps(content))
    page = parse(path)
    assert "another version" in page.words
    assert "Confusion matrix" in page.words
    assert "class 3" in page.words


def test_a_figure_from_outside_is_on_the_page(parse, make_run, monkeypatch):
    monkeypatch.setattr(run_figures, "FIGURES", dict(run_figures.FIGURES))
    path = make_run()
    before = parse(path).tags["img"]
    run_figures.register("loss_by_class", lambda run: Figure() if run.summary else None)
    drawn = parse(path)
    assert "Loss by class" in drawn.words
    assert drawn.tags["img"] == before + 1
    run_figures.register("broken", lambda run: {}["x"])
    assert "The figure broken cannot be drawn" in parse(path).words


def test_an_interrupted_training_is_said(parse, make_run):
    assert "ended early" in parse(make_run(interrupted=True)).words
    assert "ended early" not in parse(make_run("other")).words


def test_a_baseline_has_no_steps_and_no_shares(parse, make_run):
    words = parse(make_run(steps=0)).words
    assert "without steps" in words
    for of_steps in (
        "Curves",
        "chosen step",
        "Devices and shares",
        "scheme balanced",
        "microbatches of",
    ):
        assert of_steps not in words.partition("All options")[0]
        assert of_steps in parse(make_run("other")).words


def test_images_have_a_gallery_and_no_map(parse, make_run):
    path = make_run()
    RunFolder(path, overwrite=True).write_arrays(
        "prediction.npz", ids=np.arange(4), prediction=np.zeros(4, int), truth=np.zeros(4, int)
    )
    content = json.loads((path / "summary.json").read_text())
    del content["split"]["leakage"]
    (path / "summary.json").write_text(json.dumps(content))
    (path / "spectra.npz").unlink()
    content = b"\x89PNG\r\n\x1a\n a picture"
    (path / "gallery.png").write_bytes(content)
    page = parse(path)
    picture = "data:image/png;base64," + base64.b64encode(content).decode()
    assert picture in page.addresses
    assert "canvas" not in page.tags
    assert "test images" in page.words
    assert "pixels" not in page.words
    assert "Not in this report" not in page.words


def test_several_runs_are_compared(parse, make_run):
    first, second = make_run("first"), make_run("second", scheme="even")
    config = json.loads((second / "config.json").read_text())
    (second / "config.json").write_text(json.dumps(config | {"scheme": "even"}))
    page = parse(first, second)
    head = page.words[: page.words.index("run 1 of 2")]
    assert "Options that differ option first second scheme balanced even" in head
    assert "made up, mlp, balanced" in head
    assert "made up, mlp, even" in head
    alone = parse(first)
    assert "Options that differ" not in alone.words


def test_runs_of_the_same_name_are_told_apart(parse, make_run):
    one, two = make_run("a/run"), make_run("b/run")
    words = parse(one, two).words
    assert str(one) in words
    assert str(two) in words


@pytest.mark.parametrize("name", ["summary.json", "metrics.jsonl", "prediction.npz", "spectra.npz"])
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=4, deadline=None
)
@given(data=st.data())
def test_a_damaged_file_never_ends_in_a_traceback(make_run, render_run, name, data):
    path = make_run("damaged")
    content = bytearray((path / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    (path / name).write_bytes(content[: data.draw(st.integers(1, len(content)))])
    assert "</html>" in render_run(path)


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no run"):
        read_run(tmp_path)


@pytest.mark.parametrize("name", ["gallery.png", "prediction.npz", "spectra.npz", "metrics.jsonl"])
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_links_and_pipes_are_not_read(make_run, tmp_path, name, kind):
    path = make_run()
    secret = tmp_path / "secret"
    secret.write_bytes(b"\x89PNG\r\n\x1a\n of somebody")
    (path / name).unlink(missing_ok=True)
    if kind == "link":
        (path / name).symlink_to(secret)
    else:
        os.mkfifo(path / name)
    run = read_run(path)
    assert run.gallery is None
    assert any(name in sentence for sentence in run.missing)


def test_arrays_that_unpack_to_far_more_are_not_read(make_run):
    path = make_run()
    header = {"descr": "|u1", "fortran_order": False, "shape": (2**27,)}
    archive = zipfile.ZipFile(path / "prediction.npz", "w", zipfile.ZIP_DEFLATED)
    with archive, archive.open("truth.npy", "w") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for _ in range(128):
            file.write(bytes(2**20))
    run = read_run(path)
    assert run.prediction is None
    assert any("far more" in sentence for sentence in run.missing)
