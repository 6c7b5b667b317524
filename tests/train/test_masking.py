"""What is hidden of a patch: as much as was asked for, and a function of the key alone."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_jax.errors import InputError
from hsi_jax.train.masking import Masking


@given(
    st.integers(0, 2).map(lambda half: 2 * half + 1),
    st.integers(1, 9),
    st.integers(1, 4),
    st.floats(0, 0.99),
    st.floats(0, 0.99),
)
def test_as_many_groups_and_pixels_are_hidden_as_were_asked_for(size, bands, group, part, space):
    masking = Masking(mask_bands=part, mask_pixels=space, mask_group=group)
    shape = (size, size, bands)
    groups, pixels = -(-bands // group), size * size
    if not int(part * groups) and not int(space * pixels):
        with pytest.raises(InputError, match="hide nothing"):
            masking.counts(shape)
        return
    hidden = np.asarray(masking.draw(jax.random.key(7), shape))
    assert hidden.shape == shape
    whole_pixels = hidden.all(axis=2)
    whole_bands = hidden.all(axis=(0, 1))
    # A value is hidden because its band is, or because its pixel is.
    assert np.array_equal(hidden, whole_bands | whole_pixels[..., None])
    assert whole_pixels.sum() == int(space * pixels)
    of_groups = [set(whole_bands[start : start + group]) for start in range(0, bands, group)]
    assert all(len(values) == 1 for values in of_groups)
    assert sum(values == {True} for values in of_groups) == int(part * groups)


def test_a_mask_depends_on_its_key_alone():
    masking, shape = Masking(mask_group=2), (3, 3, 12)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(0), np.arange(6))
    together = np.asarray(jax.vmap(lambda key: masking.draw(key, shape))(keys))
    for key, mask in zip(keys, together, strict=True):
        assert np.array_equal(masking.draw(key, shape), mask)
    assert len({mask.tobytes() for mask in together}) == 6


def test_three_quarters_are_hidden_by_default():
    hidden = np.asarray(Masking().draw(jax.random.key(1), (10, 10, 160)))
    assert hidden.mean() == 0.75
