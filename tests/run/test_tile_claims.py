"""Processes that share tiles: each tile is made, by one, unless somebody is lost or slow."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsi_jax.run import tile_claims
from hsi_jax.run.tile_claims import TileClaims
from hsi_jax.run.tile_store import TileStore

TILES = 12
WINDOWS = [(slice(0, 1), slice(k, k + 1)) for k in range(TILES)]


@pytest.fixture
def store(tmp_path):
    return TileStore(tmp_path / "map", {}, {"a": ((1, TILES), "uint8")}, WINDOWS)


def make(store, number):
    store.write(number, {"a": np.array([[number]])})


def test_two_take_each_tile_once_and_the_faster_more(store):
    first, second = TileClaims(store), TileClaims(store)
    fast, slow = first.take(), second.take()
    made = {"fast": [], "slow": []}
    for turn in range(TILES):
        name, tiles = ("slow", slow) if turn % 3 == 2 else ("fast", fast)
        number = next(tiles)
        make(store, number)
        made[name].append(number)
    assert sorted(made["fast"] + made["slow"]) == list(range(TILES))
    assert (len(made["fast"]), len(made["slow"])) == (8, 4)
    assert list(fast) == list(slow) == []
    assert not first.missing()


def test_tiles_of_a_lost_process_are_made_by_the_others_latest_first(store):
    lost = TileClaims(store).take()
    assert [next(lost) for _ in range(2)] == [0, 1]
    claims = TileClaims(store)
    made = []
    for number in claims.take():
        make(store, number)
        made.append(number)
    assert made == [*range(2, TILES), 1, 0]
    assert not claims.missing()


def test_own_tiles_are_not_taken_from_oneself(store):
    claims = TileClaims(store)
    assert list(claims.take()) == list(range(TILES))  # and none of them twice
    claims.release()
    assert list(TileClaims(store).take()) == list(range(TILES))


def test_a_tile_is_taken_again_and_again_where_all_its_makers_are_lost(store, monkeypatch):
    monkeypatch.setattr(tile_claims, "PATIENCE_SECONDS", 0.0)
    for _ in range(4):
        list(TileClaims(store).take())  # all lost
    claims = TileClaims(store)
    while claims.missing():
        for number in claims.take():
            make(store, number)
        claims.wait()
    assert store.done() == set(range(TILES))


@settings(max_examples=25, deadline=None)
@given(turns=st.lists(st.integers(0, 2), max_size=60), lost=st.sets(st.integers(0, 2), max_size=2))
def test_whoever_comes_when_all_tiles_are_made(turns, lost, tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    store = TileStore(folder, {}, {"a": ((1, TILES), "uint8")}, WINDOWS)
    claims = [TileClaims(store) for _ in range(3)]
    taken = [each.take() for each in claims]
    for who in turns:
        number = next(taken[who], None)
        if number is not None and who not in lost:
            make(store, number)
    survivor = min({0, 1, 2} - lost)
    for tiles in (taken[survivor], claims[survivor].take(), TileClaims(store).take()):
        for number in tiles:
            make(store, number)
    assert store.done() == set(range(TILES))
    np.testing.assert_array_equal(np.concatenate(list(store.strips("a"))), [range(TILES)])


def test_one_joins_and_the_others_wait_for_it(store):
    joined = []

    def work(claims):
        with claims.joining() as joins:
            joined.append(joins)
            if joins:
                store.remove()

    threads = [threading.Thread(target=work, args=(TileClaims(store),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(joined) == [False, False, True]


def test_another_joins_where_the_first_gives_no_sign(store, monkeypatch):
    monkeypatch.setattr(tile_claims, "PATIENCE_SECONDS", 0.2)
    assert TileClaims(store)._make("join-0")  # and is killed
    with TileClaims(store).joining() as joins:
        assert joins


def test_a_sign_of_life_keeps_others_waiting(store, monkeypatch):
    monkeypatch.setattr(tile_claims, "PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr(tile_claims, "BEAT_SECONDS", 0.02)
    joined = []

    def wait():
        with TileClaims(store).joining() as joins:
            joined.append(joins)

    with TileClaims(store).joining() as joins:
        assert joins
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join(1.0)
        assert thread.is_alive()
        store.remove()
    thread.join()
    assert joined == [False]


def test_what_tiles_were_made_with_is_noted(store):
    for name in ("gpu", "cpu", "gpu"):
        TileClaims(store).sign(name)
    assert TileClaims(store).signed() == ["cpu", "gpu"]
