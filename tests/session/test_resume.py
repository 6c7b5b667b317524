import errno
import json
import shutil
import signal

import numpy as np
import pytest
from msgspec.structs import replace

from hsi_jax.errors import InputError, StorageError
from hsi_jax.options import declared, values, with_values
from hsi_jax.run import Checkpoints, RunFolder
from hsi_jax.run.records import Step
from hsi_jax.session.console import describe_checkpoints
from hsi_jax.session.options import RunOptions
from hsi_jax.session.resume_check import check_same_run
from tests.session.runs import run

pytestmark = pytest.mark.slow

STEPS = 24
BASE = {
    "model": "mlp",
    "model_options": "hidden=(8, 8)",
    "components": 6,
    "patch_size": 1,
    "batch_size": 60,
    "microbatch_size": 16,
    "steps": STEPS,
    "optimizer": "adam",
    "learning_rate": 0.01,
    "checkpoint_every": 5,
    "figures": "none",  # they take longer than the rest
}


@pytest.fixture
def at_step(monkeypatch):
    """Does something to a run when it logs a step; once."""
    append = RunFolder.append_record

    def arrange(step, happen):
        def append_and_act(folder, record):
            append(folder, record)
            if isinstance(record, Step) and record.step == step:
                monkeypatch.setattr(RunFolder, "append_record", append)
                happen()

        monkeypatch.setattr(RunFolder, "append_record", append_and_act)

    return arrange


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Folder and summary of a run that nothing disturbed."""
    path = tmp_path_factory.mktemp("whole")
    return path, run(RunOptions.of(**BASE, profile="2:1:1", workdir=str(path)))


def told(folder):
    """The records of metrics.jsonl without their times, which must not decrease."""
    records = RunFolder.of_run(folder).read_records()
    seconds = [record.seconds for record in records if isinstance(record, Step)]
    assert seconds == sorted(seconds)
    return [
        replace(record, seconds=0.0, step_seconds=0.0) if isinstance(record, Step) else record
        for record in records
    ]


def assert_same_end(folder, summary, whole):
    expected_folder, expected = whole
    assert told(folder) == told(expected_folder)
    for name in ("model/weights.npz", "prediction.npz"):
        with np.load(folder / name) as here, np.load(expected_folder / name) as there:
            assert set(here) == set(there)
            for key in there:
                assert here[key].tobytes() == there[key].tobytes()
    for key in ("losses_first_steps", "final_loss", "test_loss", "best_step", "confusion_matrix"):
        assert getattr(summary, key) == getattr(expected, key)
    assert (summary.steps, summary.interrupted) == (STEPS, False)
    steps = [each for each in RunFolder.of_run(folder).read_records() if isinstance(each, Step)]
    assert summary.train_seconds == pytest.approx(sum(each.step_seconds for each in steps))


def steps_of(folder):
    return sorted(int(path.name) for path in (folder / "checkpoints").iterdir())


def test_sigterm_ends_after_the_step_and_the_run_goes_on_with_other_devices(
    at_step, whole, tmp_path, capsys
):
    at_step(16, lambda: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(SystemExit) as stopped:
        run(RunOptions.of(**BASE, profile="2:1:1", workdir=str(tmp_path)))
    assert stopped.value.code == 143
    assert "SIGTERM ended the training; the newest checkpoint is of step 17" in (
        capsys.readouterr().out
    )
    assert steps_of(tmp_path) == [10, 15, 17]
    assert not (tmp_path / "summary.json").exists()
    summary = run(RunOptions.of(**BASE, profile="5:1", workdir=str(tmp_path), resume=True))
    assert_same_end(tmp_path, summary, whole)
    assert summary.timed_steps == STEPS - 17
    assert json.loads((tmp_path / "config.json").read_text())["profile"] == "5:1"


def test_a_run_at_a_constant_rate_may_go_on_for_longer(tmp_path):
    steady = BASE | {"schedule": "constant", "workdir": str(tmp_path / "short")}
    run(RunOptions.of(**steady | {"steps": 10}))
    assert run(RunOptions.of(**steady, resume=True)).steps == STEPS
    run(RunOptions.of(**steady | {"workdir": str(tmp_path / "whole")}))
    losses = [
        [each.loss for each in RunFolder.of_run(folder).read_records() if isinstance(each, Step)]
        for folder in (tmp_path / "short", tmp_path / "whole")
    ]
    assert losses[0] == losses[1]
    assert len(losses[0]) == STEPS
    other = RunOptions.of(**BASE, schedule="cosine", workdir=str(tmp_path))
    with pytest.raises(InputError, match="`schedule`=cosine spans all steps"):
        check_same_run(values(other) | {"steps": 10}, other)


def test_ctrl_c_evaluates_and_the_run_goes_on(at_step, whole, tmp_path, capsys):
    at_step(7, lambda: signal.raise_signal(signal.SIGINT))
    summary = run(RunOptions.of(**BASE, profile="1", workdir=str(tmp_path)))
    assert (summary.steps, summary.interrupted) == (8, True)
    assert "resume workdir=" in capsys.readouterr().out.replace("--", "")
    summary = run(RunOptions.of(**BASE, profile="1:1:1:1", workdir=str(tmp_path), resume=True))
    assert_same_end(tmp_path, summary, whole)


def test_a_crash_repeats_no_step_before_the_newest_sound_checkpoint(
    at_step, whole, tmp_path, caplog
):
    def crash():
        raise RuntimeError("a device has gone")

    at_step(18, crash)
    with pytest.raises(RuntimeError, match="a device has gone"):
        run(RunOptions.of(**BASE, profile="2:1:1", workdir=str(tmp_path)))
    assert steps_of(tmp_path) == [5, 10, 15]
    for path in (tmp_path / "checkpoints" / "00000015" / "arrays").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:-3])
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "step", "st')  # as a full disk leaves it
    summary = run(RunOptions.of(**BASE, profile="1:1", workdir=str(tmp_path), resume=True))
    assert "The checkpoint of step 15 is damaged" in caplog.text
    assert (tmp_path / "checkpoints" / "00000015.damaged").is_dir()
    assert summary.timed_steps == STEPS - 10
    assert_same_end(tmp_path, summary, whole)


def test_without_a_checkpoint_the_run_starts_again(at_step, whole, tmp_path, caplog):
    at_step(3, lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(RunOptions.of(**BASE, profile="2:1:1", workdir=str(tmp_path)))
    summary = run(RunOptions.of(**BASE, profile="3:1", workdir=str(tmp_path), resume=True))
    assert "there is no sound checkpoint" in caplog.text
    assert_same_end(tmp_path, summary, whole)


def test_results_that_find_no_room_cost_no_training(whole, tmp_path, monkeypatch):
    def full(file, **arrays):
        file.write(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    shutil.copytree(whole[0], tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "model")
    options = RunOptions.of(**BASE, profile="1", workdir=str(tmp_path), resume=True)
    with monkeypatch.context() as patch:
        patch.setattr(np, "savez_compressed", full)
        with pytest.raises(StorageError, match=r"model.*No space left"):
            run(options)
    assert not list(tmp_path.glob("model*"))
    assert not list(tmp_path.glob(".*partial"))
    summary = run(options)
    assert summary.timed_steps == 0
    assert summary.step_time_ms_median is None
    assert_same_end(tmp_path, summary, whole)


def test_a_run_that_would_become_another_is_refused(whole):
    folder, _ = whole
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    other = BASE | {"seed": 1, "batch_size": 32, "steps": 30}
    with pytest.raises(InputError) as caught:
        run(RunOptions.of(**other, profile="2:1", workdir=str(folder), resume=True))
    for words in (
        "`batch_size`=32 (it was 60), `seed`=1 (it was 0), `steps`=30 (it was 24)",
        "spans",
    ):
        assert words in str(caught.value)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


CHANGED = {
    bool: lambda value: not value,
    int: lambda value: (value or 0) + 2,
    float: lambda value: (value or 0.0) + 0.25,
    str: lambda value: f"{value}x",
}


# Options on which no bit of the result depends, written down apart from the code. (Kernels are
# auto here, which takes those that the run began with.)
FREE = {
    *("data_dir", "cube", "labels", "feed", "cache_mb", "protocol"),
    *("scenes", "on_unreadable"),
    *("profile", "retime_every", "dead_band", "hysteresis", "time_devices", "check_every"),
    "audit_every",
    *("reduce", "devices_per_process", "coordinator", "num_processes", "process_id"),
    *("checkpoint_every", "keep_checkpoints", "resume", "on_nonfinite"),
    *("figures", "tensorboard", "track", "workdir", "overwrite", "rgb", "classes"),
    *("measure_even", "kernels", "engine", "lost_after"),
}


def test_each_option_either_may_differ_or_is_named():
    options = RunOptions.of(workdir="w")
    for name, field in {each.field.name: each.field for each in declared(RunOptions)}.items():
        value = CHANGED[field.metadata["kind"]](values(options)[name])
        earlier = values(options) | {name: value}
        if name in FREE:
            check_same_run(earlier, options)
        else:
            with pytest.raises(InputError, match=rf"`{name}`=.* \(it was {value}\)"):
                check_same_run(earlier, options)


@pytest.mark.parametrize(
    ("before", "now", "taken"),
    [
        ("balanced", "adaptive", True),
        ("adaptive", "balanced", True),
        ("even", "even", True),
        ("even", "balanced", False),
        ("balanced", "speed", False),
    ],
)
def test_only_schemes_of_the_same_result_may_take_turns(before, now, taken):
    options = RunOptions.of(workdir="w", scheme=now)
    earlier = values(options) | {"scheme": before}
    if taken:
        check_same_run(earlier, options)
    else:
        with pytest.raises(InputError, match=rf"`scheme`={now} \(it was {before}\)"):
            check_same_run(earlier, options)


def test_a_file_may_lie_elsewhere_but_a_name_with_a_slash_is_no_file():
    options = RunOptions.of(workdir="w", split="/new/place/split.npz")
    check_same_run(values(options) | {"split": "/old/split.npz"}, options)
    with pytest.raises(InputError, match=r"`split`=.* \(it was /old/other\.npz\)"):
        check_same_run(values(options) | {"split": "/old/other.npz"}, options)
    options = RunOptions.of(workdir="w", dataset="tfds:mine/small")
    with pytest.raises(InputError, match=r"`dataset`=tfds:mine/small \(it was tfds:yours/small\)"):
        check_same_run(values(options) | {"dataset": "tfds:yours/small"}, options)


def test_what_an_older_version_did_not_have_is_its_default():
    options = RunOptions.of(workdir="w")
    earlier = values(options)
    del earlier["weight_decay"]
    check_same_run(earlier, options)
    with pytest.raises(InputError, match=r"`weight_decay`=0\.5 \(it was 0\.0\)"):
        check_same_run(earlier, with_values(options, weight_decay=0.5))


def test_other_devices_are_refused_where_the_result_depends_on_them(at_step, tmp_path):
    at_step(9, lambda: signal.raise_signal(signal.SIGTERM))
    options = RunOptions.of(**BASE, scheme="uniform", profile="2:1:1", workdir=str(tmp_path))
    with pytest.raises(SystemExit):
        run(options)
    other = with_values(options, resume=True, profile="1:1")
    profile = (tmp_path / "profile.json").read_bytes()
    with pytest.raises(InputError, match=r"`scheme`=uniform.*devices"):
        run(other)
    assert (tmp_path / "profile.json").read_bytes() == profile
    same = with_values(options, resume=True)
    assert run(same).steps == STEPS


def test_other_data_are_refused(tmp_path):
    rng = np.random.default_rng(0)
    cube = rng.normal(size=(12, 20, 8)).astype(np.float32)
    np.save(tmp_path / "cube.npy", cube)
    np.save(tmp_path / "labels.npy", rng.integers(1, 4, (12, 20)))
    options = RunOptions.of(
        **BASE | {"steps": 3},
        dataset="file",
        cube=f"{tmp_path}/cube.npy",
        labels=f"{tmp_path}/labels.npy",
        profile="1",
        workdir=str(tmp_path / "run"),
    )
    run(options)
    cube[3, 4, 5] += 1
    np.save(tmp_path / "cube.npy", cube)
    with pytest.raises(InputError, match="SHA-256"):
        run(with_values(options, resume=True))
    (tmp_path / "cube.npy").unlink()
    with pytest.raises(InputError, match=r"no file .*cube\.npy"):
        run(with_values(options, resume=True))
    assert steps_of(tmp_path / "run") == [3]


def test_nothing_to_resume_is_told(tmp_path):
    options = RunOptions.of(**BASE, profile="1", workdir=str(tmp_path / "none"), resume=True)
    with pytest.raises(InputError, match=r"no config\.json"):
        run(options)
    assert not (tmp_path / "none").exists()


def test_overwriting_removes_the_checkpoints_of_the_earlier_run(whole, tmp_path):
    shutil.copytree(whole[0], tmp_path, dirs_exist_ok=True)
    assert steps_of(tmp_path) == [15, 20, STEPS]
    other = BASE | {"steps": 3, "overwrite": True}
    run(RunOptions.of(**other, profile="1", workdir=str(tmp_path)))
    assert steps_of(tmp_path) == [3]


def test_checkpoints_that_fail_are_told_again_at_the_end(whole, tmp_path, monkeypatch, capsys):
    def full(folder):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("hsi_jax.run.checkpoint.write_manifest", full)
    summary = run(RunOptions.of(**BASE, profile="2:1:1", workdir=str(tmp_path)))
    assert len(summary.failed_checkpoints) == 5  # of steps 5, 10, 15, 20 and 24
    assert "WARNING: 5 checkpoints could not be saved" in capsys.readouterr().out
    assert_same_end(tmp_path, summary, whole)


def test_where_there_is_no_checkpoint_nobody_is_told_to_go_on_from_one(tmp_path):
    with Checkpoints(tmp_path / "run" / "checkpoints", 1) as checkpoints:
        text = describe_checkpoints(checkpoints, "Ctrl-C")
    assert "no checkpoint" in text
    assert "step 0" in text
    assert "Go on" not in text
