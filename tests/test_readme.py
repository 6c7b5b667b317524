"""README.md and docs/: their Python runs as it is written, their links and flags exist."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from flax import linen as nn

from hsi_jax import data
from hsi_jax.commands import compare, datasets, launch, leakage, predict, report, run, simulate

ROOT = Path(__file__).parents[1]
README, GUIDE = ROOT / "README.md", ROOT / "docs" / "guide.md"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
HELP = {
    "run": run.run_help,
    "launch": launch.launch_help,
    "compare": compare.compare_help,
    "leakage": leakage.leakage_help,
    "simulate": simulate.simulate_help,
    "predict": predict.predict_help,
    "datasets": datasets.datasets_help,
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
    used = {"data": data, "train": trained["train"]}
    exec(use_it, used)
    np.testing.assert_array_equal(used["classes"], trained["model"].predict(scene))


@pytest.fixture
def guide(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return blocks(GUIDE, "python")


@pytest.mark.slow
def test_the_guide_shows_what_a_trained_model_can_do(guide, capsys):
    names = {}
    exec(guide[0], names)
    assert names["assessment"].scores.overall_accuracy > 0.8
    assert "64" in capsys.readouterr().out  # bands
    probabilities, classes = names["probabilities"], names["classes"]
    np.testing.assert_array_equal(probabilities.argmax(axis=-1), classes)
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, rtol=1e-5)
    np.testing.assert_array_equal(names["ids"], names["scene"].original_labels(classes))
    exec(guide[1], names)
    tile = names["part"].tile
    np.testing.assert_array_equal(names["classes"], classes[tile.rows, tile.columns])


def test_the_guide_trains_ones_own_model_and_loss(guide):
    _, _, pieces, checkpoints, with_own_loss = guide
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
                for word in words:
                    if word.startswith("experiments."):
                        name = word.removeprefix("experiments.")
                        yield page.name, name, words[words.index(word) + 1 :]


def flags_of(command):
    return {"help", "flagfile", *re.findall(r"--(\w+)", HELP[command]())}


def test_commands_use_flags_that_exist():
    found = list(commands())
    assert {name for _, name, _ in found} == set(HELP)
    for page, name, words in found:
        known = flags_of(name)
        for word in words:
            if word == "--":
                known = flags_of("run")
            elif word.startswith("--"):
                flag = re.split("[=]", word[2:])[0]
                assert flag in known, f"{page}: {name} has no --{flag}"
