"""A network without its head, and the autoencoder that is made of it."""

import jax
import jax.numpy as jnp
import pytest
from flax import linen as nn

from hsi_jax.errors import InputError
from hsi_jax.models import MODELS, find_trait
from hsi_jax.models.encoder import CODE, build_autoencoder, find_head

TRAINED = [name for name in MODELS if find_trait(name, "trained_by_gradient")]


def shape_of(name):
    if "patch" not in find_trait(name, "kinds"):
        return (32, 32, 3)
    size = find_trait(name, "default_patch_size")
    return (size, size, find_trait(name, "default_components") or 20)


@pytest.mark.parametrize("name", TRAINED)
def test_the_head_of_every_network_is_one_dense_layer(name):
    head = find_head(name, 5, {}, shape_of(name))
    (layer,) = {parameter.rpartition("/")[0] for parameter in head}
    assert head == {f"{layer}/kernel", f"{layer}/bias"}


class Nothing(nn.Module):
    num_classes: int

    @nn.compact
    def __call__(self, x, *, train=False, mask=None):
        return nn.Dense(self.num_classes)(x.reshape(len(x), -1))


def test_a_network_that_is_all_head_has_no_encoder():
    with pytest.raises(InputError, match="has no encoder: all of its parameters"):
        find_head(Nothing, 3, {}, (1, 1, 4))


def test_the_autoencoder_gives_patches_of_the_same_shape():
    module = build_autoencoder("mlp", {"hidden": (6, 5)})
    patches = jnp.ones((2, 3, 3, 4))
    variables = module.init(jax.random.key(0), patches)
    assert module.apply(variables, patches).shape == patches.shape
    assert set(variables["params"]) == {"encoder", "decoder"}
    assert variables["params"]["decoder"]["kernel"].shape == (CODE, 3 * 3 * 4)
