import contextlib
import io
import json

import pytest

from hsi_jax.commands import models
from hsi_jax.models import MODELS, parse_options


@pytest.fixture(scope="module")
def counted():
    """What the command prints for programs, by name."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        models.main(["models", "--bands=200", "--image_size=64", "--classes=16", "--json"])
    return {entry["name"]: entry for entry in json.loads(printed.getvalue())}


@pytest.mark.slow
def test_every_network_is_listed(counted):
    assert list(counted) == list(MODELS)
    text = models.format_models(list(counted.values()))
    assert all(f"\n{name} " in text and f"\n  {name} " in text for name in MODELS)


@pytest.mark.slow
def test_parameters_are_those_of_the_layers(counted):
    mlp = (200 * 256 + 256) + (256 * 128 + 128) + (128 * 16 + 16)
    assert counted["mlp"]["parameters"] == mlp
    # torchvision's resnet18 has 11,176,512 without its last layer, and another first one.
    stem = 3 * 3 * 3 * 64 - 7 * 7 * 3 * 64
    assert counted["resnet18"]["parameters"] == 11_176_512 + stem + 512 * 16 + 16


@pytest.mark.slow
def test_defaults_are_told_in_the_words_of_the_flags(counted):
    assert (counted["cnn2d"]["default_patch_size"], counted["cnn2d"]["input_shape"]) == (
        11,
        [11, 11, 30],
    )
    assert counted["resnet18"]["default_patch_size"] is None
    for name, entry in counted.items():
        parse_options(name, entry["options"])


def test_an_input_that_is_too_small_has_no_parameters():
    assert models.count_parameters("hybridsn", (25, 25, 2), 16) is None
    assert models.count_parameters("mlp", (1, 1, 2), 16) == (2 * 256 + 256) + 32_896 + 2064


def test_a_value_out_of_range_is_named(capsys):
    with pytest.raises(SystemExit):
        models.main(["models", "--classes=1"])
    assert "--classes=1" in capsys.readouterr().err
