"""README.md and docs/: their Python runs as it is written, and what they name exists."""

import importlib
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from flax import linen as nn

from hsi_jax.__main__ import COMMANDS
from hsi_jax.commands import (
    compare,
    datasets,
    export,
    launch,
    leakage,
    predict,
    report,
    run,
    simulate,
    suggest,
    verify,
)

ROOT = Path(__file__).parents[1]
README, GUIDE = ROOT / "README.md", ROOT / "docs" / "guide.md"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
HELP = {
    "run": run.run_help,
    "launch": launch.launch_help,
    "compare": compare.compare_help,
    "leakage": leakage.leakage_help,
    "simulate": simulate.simulate_help,
    "verify": verify.verify_help,
    "predict": predict.predict_help,
    "datasets": datasets.datasets_help,
    "export": export.export_help,
    "suggest": suggest.suggest_help,
    "report": report.report_help,
}


class MyModule(nn.Module):
    num_classes: int

    @nn.compact
    def __call__(self, patches, *, train=False, mask=None):
        return nn.Dense(self.num_classes)(patches.mean(axis=(1, 2)))


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def falls(losses):
    return np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])


@pytest.mark.slow
def test_a_model_is_trained_saved_and_used_again(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    train_it, use_it = blocks(README, "python")
    trained = {}
    exec(train_it, trained)
    assert float(capsys.readouterr().out) > 0.9
    assert falls(trained["fitted"].losses)

    scene = trained["scene"]
    np.save("other.npy", scene.cube)
    used = {}
    exec(use_it, used)
    np.testing.assert_array_equal(used["classes"], trained["model"].predict(scene))


@pytest.fixture
def guide(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return blocks(GUIDE, "python")


@pytest.mark.slow
def test_the_guide_does_a_run_in_python(guide):
    names = {}
    exec(guide[0], names)
    assert names["result"].folder.is_dir()
    assert names["classes"].shape == names["data"].synthetic_scene().shape[:2]


@pytest.mark.slow
@pytest.mark.long
def test_the_guide_shows_what_a_trained_model_can_do(guide, capsys):
    names = {}
    exec(guide[1], names)
    assert names["assessment"].scores.overall_accuracy > 0.8
    assert "64" in capsys.readouterr().out  # bands
    probabilities, classes = names["probabilities"], names["classes"]
    np.testing.assert_array_equal(probabilities.argmax(axis=-1), classes)
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, rtol=1e-5)
    np.testing.assert_array_equal(names["ids"], names["scene"].original_labels(classes))
    exec(guide[2], names)
    tile = names["part"].tile
    np.testing.assert_array_equal(names["classes"], classes[tile.rows, tile.columns])


def test_the_guide_trains_ones_own_model_and_loss(guide):
    _, _, _, pieces, checkpoints, with_own_loss = guide
    names = {"MyModule": MyModule}
    exec(pieces, names)
    losses = names["fitted"].losses
    assert falls(losses)
    assert len(names["classes"]) == len(names["split"].test)
    truth = names["scene"].labels.ravel()[names["split"].test]
    assert np.mean(names["classes"] == truth) > 0.6

    exec(checkpoints, names)
    assert names["fitted"].losses == losses
    assert names["checkpoints"].steps() == [100, 150, 200]
    exec(checkpoints, names)  # after the last step
    assert names["newest"].step == 200
    assert names["fitted"].losses == losses

    x = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
    names |= {
        "x": x,
        "y": x @ np.float32([1, -2, 3]),
        "params": {"w": np.zeros(3, np.float32)},
        "loss": lambda params, batch, key: (batch["x"] @ params["w"] - batch["y"]) ** 2,
    }
    exec(with_own_loss, names)
    losses = names["fitted"].losses
    assert np.mean(losses[-10:]) < np.mean(losses[:10])


def anchors(page):
    """The names that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def commands():
    """The commands of all pages: their page, their name and the words after it."""
    for page in PAGES:
        for block in blocks(page, "bash"):
            for line in block.replace("\\\n", "").splitlines():
                words = shlex.split(line, comments=True)
                for place, word in enumerate(words):
                    before = words[place - 1] if place else ""
                    if word.startswith("experiments."):
                        yield page.name, word.removeprefix("experiments."), words[place + 1 :]
                    elif before in ("hsi-jax", "hsi_jax"):
                        yield page.name, word, words[place + 1 :]


def flags_of(command):
    return {"help", "flagfile", *re.findall(r"--(\w+)", HELP[command]())}


def test_commands_use_flags_that_exist():
    found = list(commands())
    assert {name for _, name, _ in found} == set(HELP)
    for page, name, words in found:
        known = flags_of(name)
        for place, word in enumerate(words):
            if word == "--":
                known = flags_of("predict" if words[place + 1 :][:1] == ["predict"] else "run")
            elif word.startswith("--"):
                flag = re.split("[=]", word[2:])[0]
                assert flag in known, f"{page}: {name} has no --{flag}"


def test_every_command_is_in_the_guide():
    text = GUIDE.read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"| `python -m experiments.{name}` |" not in text] == []


def test_the_readme_is_short():
    assert len(README.read_text(encoding="utf-8").split()) <= 900


@pytest.mark.parametrize("path", sorted((ROOT / "docs").glob("*.png")), ids=lambda path: path.name)
def test_pictures_are_small(path):
    assert path.stat().st_size < 200_000


SOURCES = sorted(
    path
    for folder in ("hsi_jax", "experiments", "benchmarks", "tests", "docs")
    for path in (ROOT / folder).rglob("*.py")
)
# CHANGELOG.md tells of what was there once.
TEXTS = [*(page for page in PAGES if page.name != "CHANGELOG.md"), *SOURCES]
TEXTS += [*(ROOT / "notebooks").glob("*.ipynb"), *(ROOT / "hsi_jax" / "presets").glob("*.flags")]
PATH = r"(?<![\w/.])(?:hsi_jax|experiments|benchmarks|tests|docs|notebooks)/[\w./-]+\.\w+"
MODULE = r"(?<![\w/.])(?:hsi_jax|experiments|benchmarks|tests\.field)(?:\.[A-Za-z_]\w*)+"


def named(pattern):
    """What the pages, sources and notebooks name by a pattern: where, and the name."""
    for path in TEXTS:
        for name in set(re.findall(pattern, path.read_text(encoding="utf-8"))):
            if "NAME" not in name:  # stands for any
                yield path.relative_to(ROOT).as_posix(), name


def exists(name):
    """Whether a dotted name leads to a module, or to something in one."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            found = getattr(found, part, None)
        return found is not None
    return False


def test_files_that_are_named_exist():
    assert [(where, name) for where, name in named(PATH) if not (ROOT / name).exists()] == []


def test_modules_that_are_named_exist():
    assert [(where, name) for where, name in named(MODULE) if not exists(name)] == []
