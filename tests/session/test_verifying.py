"""A run is replayed: what is equal is told, and every planted difference is found and named."""

import json
import re
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest

from hsi_jax.commands import verify as command
from hsi_jax.errors import InputError
from hsi_jax.evaluate.run_files import read_run
from hsi_jax.run import Checkpoints
from hsi_jax.run.manifest import write_manifest
from hsi_jax.session.options import RunOptions
from hsi_jax.session.verifying import verify
from hsi_jax.session.written_run import read_written
from hsi_jax.trained import TrainedModel
from tests.session.runs import run

pytestmark = pytest.mark.long

STEPS = 12
BASE = {
    "dataset": "file",
    "model": "mlp",
    "model_options": "hidden=(8, 8); dropout=0.1",
    "patch_size": 1,
    "components": 0,
    "batch_size": 24,
    "microbatch_size": 8,
    "steps": STEPS,
    "train_fraction": 0.3,
    "learning_rate": 0.01,
    "checkpoint_every": 5,
    "figures": "none",
    "profile": "2:1:1",
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The folder of a run and of its data."""
    folder = tmp_path_factory.mktemp("verify")
    rng = np.random.default_rng(0)
    labels = 1 + np.arange(16 * 16).reshape(16, 16) // 64
    spectra = rng.normal(0, 50, (16, 16, 6)) + 400 * rng.normal(size=(4, 6))[labels - 1]
    np.save(folder / "cube.npy", spectra.astype(np.float32))
    np.save(folder / "labels.npy", labels.astype(np.uint8))
    data = {"cube": str(folder / "cube.npy"), "labels": str(folder / "labels.npy")}
    run(RunOptions.of(**BASE, **data, workdir=str(folder / "run")))
    return folder


@pytest.fixture
def folder(written, tmp_path):
    """Such a run of one's own; its data stay where they are."""
    shutil.copytree(written / "run", tmp_path / "run")
    return tmp_path / "run"


def replay(folder, *run_flags, first=None, last=None):
    return verify(read_written(folder, run_flags), first=first, last=last)


def test_one_device_replays_what_three_have_trained(folder, capsys):
    assert command.verify_run(command.VerifyOptions(), str(folder))
    assert "steps 0 to 11 are equal to the replay" in capsys.readouterr().out
    found = read_run(folder).verification
    assert found is not None
    assert (found.equal, found.promised, found.first_step, found.last_step) == (True, True, 0, 11)
    assert found.compared == ["3 checkpoints", "the model"]
    assert found.max_loss_difference == 0


def test_other_devices_and_parts_of_it_are_equal_as_well(folder):
    assert replay(folder, "--profile=1:0:3").equal
    change_config(scheme="adaptive", time_devices=True)(folder)  # as of a run of processes
    part = replay(folder, first=7, last=9)
    assert (part.equal, part.first_step, part.last_step, part.compared) == (
        True,
        5,
        9,
        ["1 checkpoint"],
    )
    assert replay(folder, first=0, last=4).compared == ["1 checkpoint"]
    for first, last in ((3, 2), (0, STEPS), (-1, 2)):
        with pytest.raises(InputError, match=r"has written the steps 0\.\.11"):
            replay(folder, first=first, last=last)


def change_config(**changed):
    def change(folder):
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changed))

    return change


def change_record(step, **changed):
    def change(folder):
        path = folder / "metrics.jsonl"
        records = [json.loads(line) for line in path.read_text().splitlines()]
        for record in records:
            if record["kind"] == "step" and record["step"] == step:
                record |= changed
        path.write_text("".join(json.dumps(record) + "\n" for record in records))

    return change


def change_summary(change):
    def changed(folder):
        path = folder / "summary.json"
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return changed


def change_data(name, place, value):
    def change(folder):
        config = json.loads((folder / "config.json").read_text())
        array = np.load(config[name])
        array[place] = value
        np.save(folder.parent / "changed.npy", array)
        change_config(**{name: str(folder.parent / "changed.npy")})(folder)

    return change


def flip(name, sealed):
    """One bit of the largest file of a folder; sealed anew or not."""

    def change(folder):
        files = [path for path in (folder / name).rglob("*") if path.is_file()]
        largest = max(files, key=lambda path: path.stat().st_size)
        content = bytearray(largest.read_bytes())
        content[len(content) // 2] ^= 1
        largest.write_bytes(content)
        if sealed:
            write_manifest(folder / name)

    return change


def change_checkpoint(folder):
    """One bit of an array, by a program that seals it as it was."""
    with Checkpoints(folder / "checkpoints") as checkpoints:
        found = checkpoints.at(10)
        bits = found.tree["state"]["params"]["Dense_0"]["kernel"].view(np.uint32)
        bits[0, 0] ^= 1
        shutil.rmtree(folder / "checkpoints" / "00000010")

        class Same:
            step = 10

            def to_tree(self):
                return {key: tree for key, tree in found.tree.items() if key != "model"}

            def to_facts(self):
                return found.facts

        checkpoints.save(Same(), arrays={"model": found.tree["model"]})


def change_model(folder):
    model = TrainedModel.load(folder / "model")
    jax.tree.leaves(model.params)[0].view(np.uint32)[0] ^= 1
    model.save(folder / "model", overwrite=True)


PLANTED = {
    "a pixel": (change_data("cube", (3, 4, 5), 0.5), "the cube is not the one of the run"),
    "a label": (change_data("labels", (3, 4), 4), "the labels is not the one of the run"),
    "a band left out": (change_config(drop_bands="2"), "the cube is not the one of the run"),
    "the seed": (change_config(seed=1), "the split is not the one of the run"),
    "the amount of training pixels": (change_config(train_fraction=0.4), "the split is not"),
    "the batch": (change_config(batch_size=16), "another batch_size than the checkpoint"),
    "the microbatch": (change_config(microbatch_size=4), "another microbatch_size than"),
    "the learning rate": (change_config(learning_rate=0.02), "another learning_rate than"),
    "the schedule": (change_config(schedule="constant"), "another schedule than"),
    "the optimiser": (change_config(optimizer="sgd"), "another optimizer than"),
    "weight decay": (change_config(weight_decay=0.1), "another weight_decay than"),
    "the loss": (change_config(loss="focal"), "another loss than"),
    "dropout": (change_config(model_options="hidden=(8, 8); dropout=0.2"), "another model_options"),
    "components": (change_config(components=4), "another components than"),
    "a written loss": (change_record(3, loss=0.5), r"step 3 has the loss .* but 0\.5 is written"),
    "a written digest": (change_record(4, digest="0" * 16), "step 4 has the written loss, but"),
    "a bit on the disk": (flip("checkpoints/00000005", False), "checkpoint of step 5 is damaged"),
    "a bit of a checkpoint": (
        change_checkpoint,
        "the checkpoint of step 10 has another params/Dense_0/kernel than the replay",
    ),
    "a bit of the model on the disk": (flip("model", False), "the model is damaged"),
    "a bit of the model": (change_model, "the model has another params/.* than the replay"),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_what_was_changed_is_named(folder, planted):
    change, words = PLANTED[planted]
    change(folder)
    found = replay(folder)
    assert not found.equal
    assert re.search(words, "\n".join(found.differences))


def test_other_versions_and_processors_promise_nothing(folder):
    change_summary(lambda summary: summary["versions"].update(jax="0.9.1"))(folder)
    change_summary(lambda summary: summary.update(hardware="2 x (Imagined)"))(folder)
    change_record(3, digest="0" * 16)(folder)
    found = replay(folder)
    assert not found.promised
    assert not found.equal
    assert found.last_step == STEPS - 1
    assert [text for text in found.unlike if "jax is" in text and "was 0.9.1" in text]
    assert [text for text in found.unlike if "Imagined" in text]


def test_digests_of_another_version_are_no_difference(folder):
    path = folder / "metrics.jsonl"
    path.write_text(path.read_text().replace('"digests":', '"digests_of_a_newer_one":'))
    for step in range(STEPS):
        change_record(step, digest="0" * 16)(folder)
    found = replay(folder)
    assert found.equal
    assert found.line.startswith("the losses of steps 0 to 11 (another version wrote the digests)")
    change_record(3, loss=0.5)(folder)
    assert "step 3 has the loss" in replay(folder).line


def test_a_file_that_names_code_runs_none(folder):
    change_config(loss="os:getcwd")(folder)
    with pytest.raises(InputError, match="names code to be run"):
        replay(folder)


def test_what_cannot_be_replayed_is_told(folder, tmp_path):
    with pytest.raises(InputError, match="holds no run"):
        read_written(tmp_path)
    for step in range(STEPS):
        change_record(step, digest="")(folder)
    with pytest.raises(InputError, match="no digests"):
        read_written(folder)
    for arguments in ([], ["a", "b"]):
        with pytest.raises(InputError, match="give the folder of"):
            command.parse(["verify", *arguments])
    with pytest.raises(InputError, match=r"`steps`=5: give first and last"):
        command.parse(["verify", "a", "--steps=5"])


def test_one_process_verifies_what_three_have_trained(written, tmp_path):
    workdir, data = tmp_path / "launched", written / "cube.npy"
    flags = {**BASE, "cube": data, "labels": written / "labels.npy", "workdir": workdir}
    del flags["profile"]
    command = [sys.executable, "-m", "experiments.launch", "--profile=2:1:1", "--"]
    command += [f"--{name}={value}" for name, value in flags.items()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = replay(workdir)
    assert found.equal, found.line
    assert (found.promised, found.first_step, found.last_step) == (True, 0, STEPS - 1)
    assert found.compared == ["3 checkpoints", "the model"]
