"""Networks of a user's, in a module written for the test."""

import functools
import importlib
import sys

import jax
import jax.numpy as jnp
import pytest

from hsi_jax.errors import InputError
from hsi_jax.models import build_model, check_kind, find_model, find_trait, parse_options

MYNET = """
from flax import linen as nn

class Net(nn.Module):
    num_classes: int
    hidden: int = 3
    min_patch_size = 5

    @nn.compact
    def __call__(self, x, *, train=False, mask=None):
        return nn.Dense(self.num_classes)(nn.Dense(self.hidden)(x.mean((1, 2))))

def make(num_classes, sizes=(4,), **rest):
    return Net(num_classes, hidden=sum(sizes), **rest)

class WithoutMask(nn.Module):
    def __call__(self, x, train=False):
        return x

class WithoutDefaults(nn.Module):
    def __call__(self, x, train, mask):
        return x

class WithRest(nn.Module):
    def __call__(self, x, **flags):
        return x

class WithoutCall(nn.Module):
    pass

def without_mask(num_classes): return WithoutMask()
def without_defaults(num_classes): return WithoutDefaults()
def with_rest(num_classes): return WithRest()
def without_call(num_classes): return WithoutCall()
def a_class(num_classes): return Net
def nothing(num_classes): pass
def without_classes(): return Net(2)

number = 3
"""


@pytest.fixture(autouse=True)
def mynet(tmp_path, monkeypatch):
    package = tmp_path / "mypackage"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "mynet.py").write_text(MYNET)
    (package / "needy.py").write_text("import a_package_that_is_missing")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield
    for name in ("mypackage", "mypackage.mynet", "mypackage.needy"):
        sys.modules.pop(name, None)


def parameter_count(module):
    shapes = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 5, 5, 2)))["params"]
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


@pytest.mark.parametrize(
    ("factory", "text", "hidden"),
    [
        ("Net", "", 3),
        ("Net", "hidden=7", 7),
        ("make", "", 4),
        ("make", "sizes=(1, 2, 3)", 6),
        ("make", "sizes=[2, 3];", 5),
    ],
)
def test_a_class_or_function_makes_the_network(factory, text, hidden):
    name = f"mypackage.mynet:{factory}"
    module = build_model(name, 6, parse_options(name, text))
    assert parameter_count(module) == (2 + 1) * hidden + (hidden + 1) * 6


def test_any_literal_is_an_option():
    text = "a=1; b = -0.5;c='x y'; d=(1, None); e={'k': [True]}"
    expected = {"a": 1, "b": -0.5, "c": "x y", "d": (1, None), "e": {"k": [True]}}
    assert parse_options("mypackage.mynet:make", text) == expected


@pytest.mark.parametrize(
    "pair", ["a", "a=", "a=relu", "a=__import__('os')", "=3", "1a=3", "name='x'"]
)
def test_what_is_no_literal_is_refused(pair):
    with pytest.raises(InputError, match=r"^`model_options`="):
        parse_options("mypackage.mynet:make", pair)


def test_what_it_does_not_say_of_itself_has_defaults():
    assert find_trait("mypackage.mynet:Net", "min_patch_size") == 5
    assert find_trait("mypackage.mynet:make", "min_patch_size") == 1
    assert find_trait("mypackage.mynet:make", "default_patch_size") == 11
    assert find_trait("mypackage.mynet:make", "default_components") == 0
    for kind in ("patch", "image"):
        check_kind("mypackage.mynet:make", kind)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mypackage.nonet:make", "mypackage.nonet cannot be imported"),
        ("nopackage:make", "nopackage cannot be imported"),
        ("mypackage.needy:make", "a_package_that_is_missing"),
        ("mypackage.mynet:create", "'create'.* Net, make, "),
    ],
)
def test_a_name_that_leads_nowhere_is_told(name, message):
    with pytest.raises(InputError, match=f"^`model`={name}: .*{message}"):
        find_model(name)


def test_a_network_or_factory_itself_is_a_model():
    mynet = importlib.import_module("mypackage.mynet")
    network = mynet.Net(6, hidden=2)
    assert build_model(network, 6, {}) is network
    assert find_trait(network, "min_patch_size") == 5
    assert parameter_count(build_model(mynet.make, 6, {"sizes": (2,)})) == 3 * 2 + 3 * 6
    for options, classes in (({"hidden": 3}, 6), ({}, 7)):
        with pytest.raises(InputError, match="mynet:Net"):
            build_model(network, classes, options)


@pytest.mark.parametrize(
    ("factory", "options", "message"),
    [
        ("Net", {"width": 3}, "num_classes=2 and width=3: .*width"),
        ("without_classes", {}, "num_classes=2: .*num_classes"),
        ("nothing", {}, "NoneType.* flax.linen.Module"),
        ("a_class", {}, "flax.linen.Module"),
        ("without_mask", {}, "WithoutMask has __call__.* mask=None"),
        ("without_defaults", {}, "WithoutDefaults has __call__.*missing "),
        ("without_call", {}, "WithoutCall has no method __call__"),
    ],
)
def test_what_cannot_be_trained_is_told(factory, options, message):
    with pytest.raises(InputError, match=f"^`model`=mypackage.mynet:{factory}.*{message}"):
        build_model(f"mypackage.mynet:{factory}", 2, options)


def test_keywords_may_be_taken_together():
    assert build_model("mypackage.mynet:with_rest", 2, {}) is not None


def test_an_error_in_the_users_own_code_keeps_its_traceback(monkeypatch):
    module = importlib.import_module("mypackage.mynet")

    def fails(num_classes):
        raise ZeroDivisionError

    monkeypatch.setattr(module, "make", functools.wraps(module.make)(fails))
    with pytest.raises(ZeroDivisionError):
        build_model("mypackage.mynet:make", 2, {})
