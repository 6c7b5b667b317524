"""Arrays written tile by tile: they come back, and only to those who began them."""

import numpy as np
import pytest

from hsi_jax.errors import InputError, StorageError
from hsi_jax.run import tile_store
from hsi_jax.run.tile_store import TileStore

LAYOUTS = {"classes": ((5, 7), "uint8"), "probabilities": ((5, 7, 3), "float32")}
WINDOWS = [(slice(r, min(r + 3, 5)), slice(c, min(c + 4, 7))) for r in (0, 3) for c in (0, 4)]


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {
        "classes": rng.integers(0, 9, (5, 7)).astype(np.uint8),
        "probabilities": rng.uniform(size=(5, 7, 3)).astype(np.float32),
    }


def store_in(folder, facts=None, layouts=LAYOUTS, **options):
    return TileStore(folder / "map", facts or {"scene": "a"}, layouts, WINDOWS, **options)


def fill(store, arrays, numbers):
    for number in numbers:
        store.write(number, {name: a[WINDOWS[number]] for name, a in arrays.items()})


def test_what_is_written_comes_back_after_a_stop(tmp_path, arrays, monkeypatch):
    monkeypatch.setattr(tile_store, "STRIP_BYTES", 50)  # a few rows, or one
    store = store_in(tmp_path)
    assert store.done() == set()
    fill(store, arrays, (3, 1))
    again = store_in(tmp_path)
    assert again.done() == {1, 3}
    assert again.pixels(again.done()) == 9 + 6
    fill(again, arrays, (0, 2, 1))
    for name, array in arrays.items():
        assert np.array_equal(np.concatenate(list(again.strips(name))), array)
    again.remove()
    assert list(tmp_path.iterdir()) == []
    assert store.is_gone()
    fill(store, arrays, (0,))  # by somebody who comes too late
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("facts", "layouts"),
    [({"scene": "b"}, LAYOUTS), ({"scene": "a"}, {"classes": LAYOUTS["classes"]})],
)
def test_another_map_is_not_gone_on_with(tmp_path, arrays, facts, layouts):
    fill(store_in(tmp_path), arrays, (0,))
    with pytest.raises(InputError, match="unfinished"):
        store_in(tmp_path, facts, layouts)
    assert store_in(tmp_path).done() == {0}
    assert store_in(tmp_path, facts, layouts, overwrite=True).done() == set()
    store_in(tmp_path, facts, layouts).remove()
    assert list(tmp_path.iterdir()) == []


def test_what_an_earlier_version_has_left_is_replaced_if_asked_for(tmp_path):
    (tmp_path / "map").mkdir()
    (tmp_path / "map" / "done.json").write_text('{"tiles": 1}')
    with pytest.raises(InputError, match="format"):
        store_in(tmp_path)
    assert store_in(tmp_path, overwrite=True).done() == set()


def test_a_tile_counts_only_when_it_is_whole(tmp_path, arrays, monkeypatch):
    store = store_in(tmp_path)
    monkeypatch.setattr(tile_store.os, "replace", None)  # killed just before
    with pytest.raises(TypeError):
        fill(store, arrays, (0,))
    assert store.done() == set()


def test_what_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file"):
        TileStore(tmp_path / "file" / "map", {}, LAYOUTS, WINDOWS)
