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


def fill(store, arrays, count):
    for window in WINDOWS[store.done : store.done + count]:
        store.write(*window, {name: array[window] for name, array in arrays.items()})


def test_what_is_written_comes_back_after_a_stop(tmp_path, arrays, monkeypatch):
    monkeypatch.setattr(tile_store, "STRIP_BYTES", 50)  # a few rows, or one
    store = TileStore(tmp_path / "map", {"scene": "a"}, LAYOUTS)
    assert store.done == 0
    fill(store, arrays, 2)
    again = TileStore(tmp_path / "map", {"scene": "a"}, LAYOUTS)
    assert again.done == 2
    fill(again, arrays, 9)
    for name, array in arrays.items():
        assert np.array_equal(np.concatenate(list(again.strips(name))), array)
    again.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("facts", "layouts"),
    [({"scene": "b"}, LAYOUTS), ({"scene": "a"}, {"classes": LAYOUTS["classes"]})],
)
def test_another_map_is_not_gone_on_with(tmp_path, facts, layouts):
    TileStore(tmp_path / "map", {"scene": "a"}, LAYOUTS)
    with pytest.raises(InputError, match="unfinished"):
        TileStore(tmp_path / "map", facts, layouts)


def test_a_folder_that_was_hardly_begun_is_begun_anew(tmp_path, arrays):
    store = TileStore(tmp_path / "map", {}, LAYOUTS)
    fill(store, arrays, 1)
    (tmp_path / "map" / "facts.json").unlink()
    assert TileStore(tmp_path / "map", {}, LAYOUTS).done == 0


def test_what_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file"):
        TileStore(tmp_path / "file" / "map", {}, LAYOUTS)
