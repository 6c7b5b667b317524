import sys

import pytest

from hsi_jax.errors import InputError
from hsi_jax.registry import Registry
from hsi_jax.train import Recipe
from hsi_jax.train.tables import AUGMENTATIONS, LOSSES, OPTIMIZERS, SCHEDULES

MINE = """
def ring(): pass
def square(): pass
number = 3
"""


@pytest.fixture
def table(tmp_path, monkeypatch):
    (tmp_path / "mine_for_tables.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    yield Registry("shape", {"disc": len, "sum": "math:fsum"})
    sys.modules.pop("mine_for_tables", None)


def test_it_is_a_mapping_that_imports_when_asked(table):
    import math

    assert list(table) == ["disc", "sum"]
    assert "sum" in table
    assert "mine_for_tables:ring" not in table
    assert dict(table) == {"disc": len, "sum": math.fsum}
    assert table.find("sum") is math.fsum
    assert table.find(max) is max
    with pytest.raises(KeyError):
        table["none"]


def test_a_part_from_outside(table):
    table.register("ring", "mine_for_tables:ring")
    assert "mine_for_tables" not in sys.modules
    assert table.find("ring") is table.find("mine_for_tables:ring")
    assert [*table] == ["disc", "sum", "ring"]
    for name in ("disc", "a:b", ""):
        with pytest.raises(InputError, match="`shape`="):
            table.register(name, len)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("disk", "did you mean disc.*disc, sum"),
        ("xyz", "disc, sum"),
        ("mine_for_tables:number", "number is a int"),
        ("mine_for_tables:rings", "'rings'.* ring, square"),
        ("no_such_module_at_all:f", "cannot be imported"),
        ("mine/for.py:ring", "package.module:name"),
        ("a:b:c", "package.module:name"),
        (3, "give a name"),
        (None, "give a name"),
    ],
)
def test_what_is_not_there_is_told(table, name, message):
    with pytest.raises(InputError, match=f"^`shape`={name}: .*{message}"):
        table.find(name)


def test_a_check_imports_nothing(table):
    table.check("mine_for_tables:ring")
    table.check("sum")
    assert "mine_for_tables" not in sys.modules
    with pytest.raises(InputError, match="disc"):
        table.check("disk")


@pytest.mark.parametrize("name", ["loss", "optimizer", "schedule", "sampling"])
def test_a_recipe_checks_its_names(name):
    with pytest.raises(InputError, match=f"`{name}`=focall"):
        Recipe(**{name: "focall"})


def test_every_name_of_the_tables_leads_to_a_part():
    for table in (LOSSES, OPTIMIZERS, SCHEDULES, AUGMENTATIONS):
        assert all(callable(part) for part in table.values())
