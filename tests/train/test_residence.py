from types import SimpleNamespace

import jax
import pytest

from hsi_jax.train import residence


def device(platform="cpu", limit=None, process=0):
    stats = {"bytes_limit": limit} if limit else None
    return SimpleNamespace(
        platform=platform, process_index=process, memory_stats=lambda: stats, id=0
    )


@pytest.fixture(autouse=True)
def memory(monkeypatch):
    free = SimpleNamespace(available=4000)
    monkeypatch.setattr(residence.psutil, "virtual_memory", lambda: free)


@pytest.mark.parametrize(
    ("num_bytes", "count", "fits"),
    [(1000, 1, True), (1001, 1, False), (500, 2, True), (501, 2, False)],
)
def test_copies_of_emulated_devices_share_the_memory(num_bytes, count, fits):
    assert residence.fits_on_devices(num_bytes, [device()] * count) is fits


@pytest.mark.parametrize(("num_bytes", "fits"), [(2000, True), (2001, False)])
def test_accelerators_have_their_own(num_bytes, fits):
    devices = [device("gpu", 8000), device("gpu", 9000)]
    assert residence.fits_on_devices(num_bytes, devices) is fits


def test_devices_of_other_processes_do_not_count():
    assert residence.fits_on_devices(1000, [device(), device(process=1)])


def test_an_accelerator_that_tells_nothing_has_no_room():
    assert not residence.fits_on_devices(1, [device("gpu")])


def test_the_real_devices_tell():
    assert residence.fits_on_devices(0, jax.devices())
