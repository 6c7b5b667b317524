from types import SimpleNamespace

import jax
import numpy as np
import pytest

from hsi_jax.hetero import deal, make_plan, parse_profile
from hsi_jax.train import replicas


def work_of(first_id, profile="2:1:1", batch_size=42):
    plan = make_plan("speed", parse_profile(profile), batch_size, 4)
    return deal(np.arange(first_id, first_id + batch_size, dtype=np.int32), plan)


@pytest.mark.parametrize("devices", [1, 3])
def test_what_is_placed_is_what_was_given(machine_of, devices):
    profiles = {1: ["1"] * 4, 3: ["2:1:1", "1:1:1", "0:0:1", "2:1:1"]}[devices]
    machine = machine_of(profiles[0], 42, patch_size=3)
    works = [work_of(at, profile) for profile in profiles for at in (0, 9)]
    works += [work_of(9, profiles[0], size) for size in (41, 42, 12, 42)]
    for work in works:
        _, placed = machine.replicas.ready(work)
        for array, there in zip(jax.tree.leaves(work), jax.tree.leaves(placed), strict=True):
            assert there.dtype == array.dtype
            assert np.array_equal(np.asarray(there)[:devices], array)


def test_what_has_not_changed_is_not_sent_again(machine_of):
    machine = machine_of("2:1:1", 42, patch_size=3)
    _, first = machine.replicas.ready(work_of(0))
    _, second = machine.replicas.ready(work_of(9))
    assert second.ids is not first.ids
    assert all(getattr(second, n) is getattr(first, n) for n in ("mask", "count", "sample_weight"))


def device(platform="cpu", limit=None, process=0):
    stats = {"bytes_limit": limit} if limit else None
    return SimpleNamespace(
        platform=platform, process_index=process, memory_stats=lambda: stats, id=0
    )


@pytest.fixture
def memory(monkeypatch):
    free = SimpleNamespace(available=4000)
    monkeypatch.setattr(replicas.psutil, "virtual_memory", lambda: free)


@pytest.mark.parametrize(
    ("num_bytes", "count", "fits"),
    [(1000, 1, True), (1001, 1, False), (500, 2, True), (501, 2, False)],
)
def test_copies_of_emulated_devices_share_the_memory(memory, num_bytes, count, fits):
    assert replicas.fits_on_devices(num_bytes, [device()] * count) is fits


@pytest.mark.parametrize(("num_bytes", "fits"), [(2000, True), (2001, False)])
def test_accelerators_have_their_own(memory, num_bytes, fits):
    devices = [device("gpu", 8000), device("gpu", 9000)]
    assert replicas.fits_on_devices(num_bytes, devices) is fits


def test_devices_of_other_processes_do_not_count(memory):
    assert replicas.fits_on_devices(1000, [device(), device(process=1)])


def test_an_accelerator_that_tells_nothing_has_no_room(memory):
    assert not replicas.fits_on_devices(1, [device("gpu")])


def test_the_real_devices_tell(memory):
    assert replicas.fits_on_devices(0, jax.devices())
