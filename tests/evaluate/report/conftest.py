"""What the tests of the report share: the folder of a run, made up, and a browser."""

import dataclasses
import shutil

import numpy as np
import pytest

from hsi_jax.evaluate.report.page import render_page
from hsi_jax.evaluate.run_files import read_run
from hsi_jax.run import RunFolder
from hsi_jax.run.records import Evaluation, Step
from hsi_jax.run.summary_devices import TimedStep, TimelineStep
from hsi_jax.run.summary_parts import Leakage, SplitSummary

NAMES = ("wood", "lake", "salt & <sand>")
SHAPE = (12, 20)
BROWSER_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
)


def class_maps(num_classes):
    """Ids 1..C of truth (0 = unlabelled) and prediction, and the masks of the sets."""
    rng = np.random.default_rng(3)
    truth = rng.integers(0, num_classes + 1, SHAPE)
    wrong = rng.random(SHAPE) < 0.2
    prediction = np.where(wrong | (truth == 0), rng.integers(1, num_classes + 1, SHAPE), truth)
    order = rng.random(SHAPE)
    masks = {
        "train": (truth > 0) & (order < 0.2),
        "validation": (truth > 0) & (order >= 0.2) & (order < 0.3),
        "test": (truth > 0) & (order >= 0.3),
    }
    return {"truth": truth, "prediction": prediction, **masks}


@pytest.fixture
def maps():
    """The maps of the run that `make_run` makes by default."""
    return class_maps(len(NAMES))


@pytest.fixture
def summary_of(summary):
    """Makes the summary of a run with these classes, of the maps of `class_maps`."""

    def _summary(names=NAMES, **changes):
        maps, count = class_maps(len(names)), len(names)
        confusion = np.zeros((count, count), int)
        tested = maps["test"]
        np.add.at(confusion, (maps["truth"][tested] - 1, maps["prediction"][tested] - 1), 1)
        sizes = {name: int(maps[name].sum()) for name in ("train", "validation", "test")}
        per_class = {
            name: [int(((maps["truth"] == i + 1) & maps[name]).sum()) for i in range(count)]
            for name in sizes
        }
        split = SplitSummary(
            "random",
            sizes,
            per_class,
            ("A remark.",),
            Leakage(
                test_pixels_with_training_pixel_in_patch=7,
                fraction_of_test_pixels=7 / sizes["test"],
                patch_size=5,
            ),
        )
        timeline = [
            TimelineStep(step=s, began=[0, 0.1, 0, 0], worked=[1, 2, 1, 1], ended=[4, 4, 3, 3])
            for s in (1, 5)
        ]
        timed = [
            TimedStep(step=s, device_seconds=[0.1, 0.2, 0.3, 0.4], shares=[9, 4, 2, 0])
            for s in (1, 5)
        ]
        return dataclasses.replace(
            summary, class_names=tuple(names), class_ids=tuple(range(1, count + 1)),
            confusion_matrix=confusion.tolist(), split=split, timeline=timeline, rebalancing=timed,
            modelled_device_times=(2.25, 2.0, 2.5, 0.0),
            modelled_device_times_even=(1.0, 2.0, 4.0, 4.0), **changes,
        )  # fmt: skip

    return _summary


@pytest.fixture
def make_run(tmp_path, summary_of):
    """Makes the folder of a run of a scene, as experiments.run leaves it, and returns its path."""

    def _make(name="run", names=NAMES, **changes):
        folder = RunFolder(tmp_path / name, overwrite=True)
        folder.start({"dataset": "made up", "scheme": "balanced", "steps": 8, "model": None})
        folder.write_json("profile.json", {"time_unit": "ms", "devices": [{"name": "cpu:0"}]})
        for step in range(8):
            folder.append_record(
                Step(
                    step=step,
                    loss=None if step == 3 else 2.0**-step,
                    learning_rate=0.1,
                    seconds=step,
                    step_seconds=1,
                )
            )
        for kind in ("validation", "test"):
            folder.append_record(
                Evaluation(
                    set=kind,
                    step=8,
                    loss=0.1,
                    overall_accuracy=0.8,
                    average_accuracy=0.7,
                    kappa=0.6,
                )
            )
        folder.write_summary(summary_of(names, **changes))
        folder.write_arrays("prediction.npz", **class_maps(len(names)))
        mean = np.random.default_rng(0).random((len(names), 6), np.float32)
        folder.write_arrays("spectra.npz", mean=mean, deviation=0.1 + 0 * mean)
        return folder.path

    return _make


@pytest.fixture(scope="session")
def render_run():
    """Makes the page about these folders."""

    def _render(*paths):
        runs = [read_run(path) for path in paths]
        return render_page(runs, [["python -m experiments.run --steps=8"] for _ in runs])

    return _render


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """A headless Chromium; skips where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (program and driver):
        pytest.skip("no chromium and chromedriver; on Debian: apt install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*BROWSER_FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=driver)
    browser = webdriver.Chrome(options=options, service=service)
    yield browser
    browser.quit()


@pytest.fixture
def show(chromium, tmp_path, render_run):
    """Opens the page about these folders in the browser, on a wide and light screen."""

    def _show(*paths, width=1280, dark=False, script=True, media=""):
        page = tmp_path / "page.html"
        page.write_text(render_run(*paths), encoding="utf-8")
        command = chromium.execute_cdp_cmd
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        command("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        command("Emulation.setEmulatedMedia", {"media": media, "features": [scheme]})
        command("Emulation.setScriptExecutionDisabled", {"value": not script})
        chromium.get_log("browser")  # of the page before
        chromium.get(page.as_uri())
        if script:
            from selenium.webdriver.support.wait import WebDriverWait

            opened = "return !document.querySelector('[data-map][hidden]')"
            WebDriverWait(chromium, 10).until(lambda b: b.execute_script(opened))
        return chromium

    yield _show
    chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
