import os
import subprocess
import sys

import jax
import pytest

from hsi_jax.cluster.devices import emulate_devices, take_devices
from hsi_jax.errors import InputError


@pytest.mark.parametrize("count", [1, 3, 4])
def test_the_first_devices_are_taken(count):
    assert take_devices(count) == jax.devices()[:count]


def test_too_few_devices_are_an_error_that_says_how_to_get_more():
    with pytest.raises(InputError) as caught:
        take_devices(5)
    message = str(caught.value)
    assert "5 devices but JAX has 4 (cpu)" in message
    assert "at most 4" in message
    assert "--xla_force_host_platform_device_count=5" in message
    assert "emulate_devices(5) before" in message


@pytest.mark.parametrize(
    ("name", "value"), [("jax_enable_x64", True), ("jax_numpy_dtype_promotion", "strict")]
)
def test_a_setting_with_which_nothing_is_trained_is_named(name, value):
    before = getattr(jax.config, name)
    jax.config.update(name, value)
    try:
        with pytest.raises(InputError, match=name.upper()):
            take_devices(1)
    finally:
        jax.config.update(name, before)


@pytest.mark.parametrize("count", [1, 4])
def test_emulating_no_more_than_there_are_is_fine_once_jax_has_started(count):
    jax.devices()
    emulate_devices(count)
    assert jax.device_count() == 4


def test_emulating_more_is_too_late_once_jax_has_started():
    jax.devices()
    with pytest.raises(InputError, match="5 devices but JAX has 4"):
        emulate_devices(5)


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="Linux only")
@pytest.mark.parametrize(
    ("before", "policy"),
    [
        ("os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})", "SCHED_BATCH"),
        ("os.sched_getaffinity = lambda pid: {0, 1}", "SCHED_OTHER"),
        (
            "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
            "os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))",
            "SCHED_IDLE",
        ),
    ],
)
def test_threads_take_turns_on_one_core_where_nobody_has_chosen_otherwise(before, policy):
    code = (
        f"import os; {before}; from hsi_jax.cluster.devices import take_turns_on_one_core; "
        "take_turns_on_one_core(); print(os.sched_getscheduler(0))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == getattr(os, policy)


@pytest.mark.parametrize(
    ("asked", "given"), [("3", "8"), ("9", "9"), ("9); emulate_devices(2", "9")]
)
def test_emulating_before_jax_starts(asked, given):
    """Small profiles share one number of threads, and an earlier larger number stays."""
    code = (
        "import jax; from hsi_jax.cluster import emulate_devices; "
        f"emulate_devices({asked}); print(jax.device_count())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.returncode) == (f"{given}\n", 0), done.stderr


@pytest.mark.parametrize("given", ["", "--xla_cpu_collective_call_terminate_timeout_seconds=50"])
def test_devices_may_wait_for_each_other_longer_than_xla_lets_them(given):
    """XLA ends a process at a flag that it does not know, so this knows all of them."""
    code = (
        "import os, jax; from hsi_jax.cluster import emulate_devices; emulate_devices(1); "
        "emulate_devices(2); jax.devices(); print(os.environ['XLA_FLAGS'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ
        | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": os.pathsep.join(sys.path), "XLA_FLAGS": given},
        capture_output=True,
        text=True,
    )
    flags = done.stdout.split()
    assert done.returncode == 0, done.stderr
    assert len(flags) == 2
    assert all("_timeout_seconds=" in flag for flag in flags)
    assert set(given.split()) <= set(flags)
