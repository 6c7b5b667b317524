import errno
import json
import logging
import shutil

import jax
import numpy as np
import optax
import pytest

from hsi_jax.errors import InputError
from hsi_jax.models import find_model
from hsi_jax.run import Checkpoint, Checkpoints
from hsi_jax.run.manifest import NAME, write_manifest
from hsi_jax.train import Progress, create_state
from hsi_jax.train.progress import Best
from tests.train.small_scene import CLASSES, assert_same_bits


def state_of(optimizer, **options):
    module = find_model("cnn2d")(CLASSES, hidden=8, **options)
    return create_state(module, optimizer, (3, 3, 16), seed=3)


@pytest.fixture(scope="module")
def state():
    return state_of(optax.adam(0.1), features=(4, 4))


@pytest.fixture
def checkpoints(tmp_path):
    with Checkpoints(tmp_path / "run" / "checkpoints", keep=2) as checkpoints:
        yield checkpoints


def progress_at(state, step, best_step=None):
    """A progress with arrays that tell the step, among them what is easily lost."""

    def after(step):
        params = jax.tree.map(lambda leaf: np.full_like(leaf, -0.0 + step), state.params)
        params["Dense_0"]["bias"] = params["Dense_0"]["bias"] * np.float32(-0.0)
        return state.replace(step=np.int32(step), params=params)

    best_step = step if best_step is None else best_step
    best = Best(after(best_step), best_step, (0.5, -float(best_step)))
    return Progress(after(step), tuple(float(i) / 3 for i in range(step)), best)


def save(checkpoints, state, *steps):
    for step in steps:
        checkpoints.save(progress_at(state, step), {"note": f"at {step}"})
    checkpoints.wait()
    assert checkpoints.failures == []


def assert_same_progress(one, other):
    assert_same_bits(one.state, other.state)
    for a, b in zip(jax.tree.leaves(one.state), jax.tree.leaves(other.state), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()
    assert_same_bits(one.best.state, other.best.state)
    assert (one.losses, one.best.step, one.best.rank) == (
        other.losses,
        other.best.step,
        other.best.rank,
    )


@pytest.mark.parametrize(("step", "best_step"), [(5, 3), (5, 5), (1, 1)])
def test_what_was_saved_comes_back_bit_for_bit(checkpoints, state, step, best_step):
    progress = progress_at(state, step, best_step)
    checkpoints.save(progress, {"config": {"seed": 3}})
    checkpoints.wait()
    read = checkpoints.newest()
    assert (read.step, read.facts["config"]) == (step, {"seed": 3})
    assert_same_progress(Progress.of_checkpoint(read, state), progress)
    assert_same_progress(
        Progress.of_checkpoint(Checkpoint.of_bytes(read.to_bytes()), state), progress
    )


def test_without_validation_the_best_is_the_first_state(checkpoints, state):
    checkpoints.save(Progress(progress_at(state, 2).state, (0.5, 0.25), Best(state)))
    checkpoints.wait()
    best = Progress.of_checkpoint(checkpoints.newest(), state).best
    assert (best.step, best.rank) == (0, None)
    assert_same_bits(best.state, state)


def test_the_newest_are_kept(checkpoints, state):
    assert checkpoints.newest() is None
    save(checkpoints, state, 1, 2, 10)
    assert checkpoints.steps() == [2, 10]
    assert checkpoints.newest().facts["note"] == "at 10"
    save(checkpoints, state, 10)  # it is there already
    assert checkpoints.steps() == [2, 10]


def files_of(checkpoints, step):
    folder = checkpoints.path / f"{step:08d}"
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != NAME)


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def remove(path):
    path.unlink()


@pytest.mark.parametrize("damage", [flip, cut, remove])
def test_any_damage_to_any_file_is_told_and_the_one_before_is_taken(
    checkpoints, state, damage, caplog, tmp_path
):
    save(checkpoints, state, 1, 2)
    pristine = shutil.copytree(checkpoints.path, tmp_path / "pristine")
    for number in range(len(files_of(checkpoints, 2))):
        caplog.clear()
        shutil.rmtree(checkpoints.path)
        shutil.copytree(pristine, checkpoints.path)
        path = files_of(checkpoints, 2)[number]
        damage(path)
        assert checkpoints.newest().step == 1
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert f"step 2 is damaged: {path.name} is" in record.getMessage()
        # It is not deleted, and no obstacle to saving that step again.
        assert (checkpoints.path / "00000002.damaged").is_dir()
    save(checkpoints, state, 2)
    assert checkpoints.newest().step == 2


def test_all_damaged_is_none_and_nothing_is_deleted(checkpoints, state, caplog):
    save(checkpoints, state, 1, 2)
    for step in (1, 2):
        (checkpoints.path / f"{step:08d}" / NAME).unlink()
    assert checkpoints.newest() is None
    assert all(f"step {step} is damaged: it has no {NAME}" in caplog.text for step in (1, 2))
    save(checkpoints, state, 2)
    (checkpoints.path / "00000002" / NAME).unlink()
    assert checkpoints.newest() is None
    assert {path.name for path in checkpoints.path.iterdir()} == {
        "00000001.damaged",
        "00000002.damaged",
        "00000002.damaged-2",
    }


def test_what_a_kill_left_half_written_is_no_checkpoint(checkpoints, state, caplog):
    save(checkpoints, state, 1, 2)
    (checkpoints.path / "00000002").rename(checkpoints.path / "00000002.partial")
    (checkpoints.path / "notes.partial").mkdir()
    assert checkpoints.newest().step == 1
    assert "Removed" in caplog.text
    assert {path.name for path in checkpoints.path.iterdir()} == {"00000001", "notes.partial"}


def test_a_save_that_fails_is_told_and_harms_nothing(checkpoints, state, caplog, monkeypatch):
    save(checkpoints, state, 1)

    def full(folder):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("hsi_jax.run.checkpoint.write_manifest", full)
        checkpoints.save(progress_at(state, 2))
        checkpoints.wait()
    assert ["No space left" in reason for reason in checkpoints.failures] == [True]
    assert "training goes on without it: [Errno 28] No space left on device" in caplog.text
    assert [path.name for path in checkpoints.path.iterdir()] == ["00000001"]
    checkpoints.save(progress_at(state, 3))
    checkpoints.wait()
    assert checkpoints.newest().step == 3


def test_a_place_that_is_no_folder_is_told(state, tmp_path, caplog):
    (tmp_path / "file").touch()
    with Checkpoints(tmp_path / "file" / "checkpoints") as checkpoints:
        checkpoints.save(progress_at(state, 1))
    assert "Not a directory" in checkpoints.failures[0]


def test_another_format_is_refused_and_left_alone(checkpoints, state):
    save(checkpoints, state, 1)
    folder = checkpoints.path / "00000001"
    facts = json.loads((folder / "facts.json").read_text())
    (folder / "facts.json").write_text(json.dumps(facts | {"format": 99}))
    write_manifest(folder)
    with pytest.raises(InputError, match=r"has format 99, but this version .* reads format 1"):
        checkpoints.newest()
    assert folder.is_dir()


def test_what_is_sound_but_cannot_be_read_is_not_put_aside(checkpoints, state):
    save(checkpoints, state, 1)
    folder = checkpoints.path / "00000001"
    (folder / "arrays" / "_METADATA").write_text("{}")  # as of another version of Orbax
    write_manifest(folder)
    with pytest.raises(InputError, match=r"is as it was written, but Orbax .* cannot read it"):
        checkpoints.newest()
    assert folder.is_dir()


@pytest.mark.parametrize(
    ("options", "optimizer", "message"),
    [
        ({"features": (4, 5)}, optax.adam(0.1), r"its .*(kernel|bias|mean) is float32 \[.*not"),
        ({"features": (4, 4)}, optax.sgd(0.1), "only the checkpoint has opt_state/0/"),
        ({"features": (4,)}, optax.adam(0.1), "only the checkpoint has batch_stats"),
    ],
)
def test_a_checkpoint_of_another_model_is_refused(checkpoints, state, options, optimizer, message):
    save(checkpoints, state, 1)
    other = state_of(optimizer, **options)
    with pytest.raises(InputError, match=f"of another model: {message}"):
        Progress.of_checkpoint(checkpoints.newest(), other)


def test_clearing_leaves_other_files(checkpoints, state):
    save(checkpoints, state, 1, 2)
    (checkpoints.path / "00000001").rename(checkpoints.path / "00000001.damaged-2")
    (checkpoints.path / "00000003.partial").mkdir()
    (checkpoints.path / "notes.txt").touch()
    checkpoints.clear()
    assert [path.name for path in checkpoints.path.iterdir()] == ["notes.txt"]
    (checkpoints.path / "notes.txt").unlink()
    checkpoints.clear()
    assert not checkpoints.path.exists()
    checkpoints.clear()


def test_a_run_that_is_going_on_is_only_read(checkpoints, state):
    save(checkpoints, state, 2, 4)
    damaged = checkpoints.path / "00000004" / "facts.json"
    damaged.write_text("{}")
    partial = checkpoints.path / "00000006.partial"
    partial.mkdir()
    before = sorted(path for path in checkpoints.path.rglob("*"))
    assert checkpoints.newest(repair=False).step == 2
    assert sorted(path for path in checkpoints.path.rglob("*")) == before
    assert checkpoints.newest().step == 2
    assert not partial.exists()
    assert (checkpoints.path / "00000004.damaged").is_dir()


def test_the_sealed_step_counts_not_the_name(checkpoints, state, caplog):
    save(checkpoints, state, 1, 2)
    (checkpoints.path / "00000001").rename(checkpoints.path / "00000009")
    assert checkpoints.newest().step == 2
    assert "holds step 1" in caplog.text


def test_a_checkpoint_that_is_a_link_is_none(checkpoints, state, tmp_path):
    save(checkpoints, state, 1)
    elsewhere = (checkpoints.path / "00000001").rename(tmp_path / "elsewhere")
    (checkpoints.path / "00000001").symlink_to(elsewhere)
    assert checkpoints.newest() is None
    checkpoints.clear()
    assert elsewhere.is_dir()


def test_a_manifest_that_does_not_list_the_facts_is_damage(checkpoints, state, caplog):
    save(checkpoints, state, 1)
    manifest = checkpoints.path / "00000001" / NAME
    listed = json.loads(manifest.read_text())
    del listed["sha256"]["facts.json"]
    manifest.write_text(json.dumps(listed))
    assert checkpoints.newest() is None
    assert "facts.json" in caplog.text


def test_arrays_that_their_files_do_not_justify_are_not_read(checkpoints):
    class Zeros:
        step = 1

        def to_tree(self):
            return {"params": np.zeros(2**24 + 1, np.float32)}

        def to_facts(self):
            return {}

    checkpoints.save(Zeros())
    checkpoints.wait()
    with pytest.raises(InputError, match=r"claims arrays of 67108868 bytes"):
        checkpoints.newest()
    assert checkpoints.steps() == [1]
