from fractions import Fraction
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hsi_jax.hetero.exact import (
    FRACTION_BITS,
    LARGE,
    accumulate,
    add_fixed,
    exact_sum,
    from_wire,
    is_whole,
    term_limit,
    to_wire,
)

TERMS, WIDTH = 6, 3
LIMIT = float(np.float32(2**30 / TERMS))

values = st.floats(-LIMIT, LIMIT, width=32) | st.floats(-1, 1, width=32)
term_arrays = arrays(np.float32, (TERMS, WIDTH), elements=values)


@st.composite
def splits(draw):
    """Shares of TERMS terms for one to four devices; 0 is allowed."""
    cuts = draw(st.lists(st.integers(0, TERMS), max_size=3))
    return np.diff([0, *sorted(cuts), TERMS]).tolist()


def exact_reference(terms):
    """The sum in Python's whole numbers: every term rounded to 2**-32, half to even."""
    totals = [
        sum(round(Fraction(float(value)) * 2**FRACTION_BITS) for value in column)
        for column in terms.T
    ]
    return np.array([np.float32(float(total) * 2.0**-FRACTION_BITS) for total in totals])


@cache
def compiled(devices):
    def total(terms, count):
        return exact_sum(lambda index: terms[index], count, max_terms=TERMS, axis_name="d")

    return jax.pmap(total, axis_name="d", devices=jax.devices()[:devices])


def sum_over(shares, terms):
    """Sums over as many devices as shares; what a device does not own is NaN there."""
    own = np.full((len(shares), *terms.shape), np.nan, np.float32)
    ends = np.cumsum(shares)
    for device, (end, share) in enumerate(zip(ends, shares, strict=True)):
        own[device, :share] = terms[end - share : end]
    return np.asarray(compiled(len(shares))(own, np.array(shares, np.int32)))


def bits(array):
    return np.asarray(array, np.float32).view(np.int32)


@given(term_arrays, splits())
@settings(max_examples=60)
def test_any_split_has_the_bits_of_the_sum_in_whole_numbers(terms, shares):
    totals = sum_over(shares, terms)
    for total in totals:
        np.testing.assert_array_equal(bits(total), bits(exact_reference(terms)))


@given(term_arrays, st.permutations(range(TERMS)))
@settings(max_examples=30)
def test_the_order_of_the_terms_does_not_matter(terms, order):
    shares = (1, 3, 2)
    np.testing.assert_array_equal(
        bits(sum_over(shares, terms)), bits(sum_over(shares, terms[list(order)]))
    )


@given(term_arrays)
@settings(max_examples=30)
def test_the_sum_is_the_true_one_within_the_stated_resolution(terms):
    truth = terms.astype(np.float64).sum(axis=0)
    resolution = TERMS * 2.0 ** -(FRACTION_BITS + 1)
    rounding = np.spacing(np.abs(truth).astype(np.float32)).astype(np.float64)
    assert (np.abs(sum_over([TERMS], terms)[0] - truth) <= resolution + rounding).all()


def test_float32_sums_do_depend_on_the_order():
    terms = np.tile(np.array([[1e5], [1e-3], [-1e5]], np.float32), (2, WIDTH))
    plain = [np.add.accumulate(terms[order])[-1] for order in (np.arange(6), [0, 2, 3, 5, 1, 4])]
    assert (plain[0] != plain[1]).all()
    np.testing.assert_array_equal(sum_over([6], terms), sum_over([6], terms[[0, 2, 3, 5, 1, 4]]))
    np.testing.assert_allclose(sum_over([6], terms), 2e-3, atol=6 * 2.0**-FRACTION_BITS)


def test_one_device_without_an_axis_has_the_same_bits():
    terms = np.random.default_rng(0).normal(size=(TERMS, WIDTH)).astype(np.float32)
    alone = jax.jit(
        lambda count: exact_sum(lambda i: jnp.asarray(terms)[i], count, max_terms=TERMS)
    )
    np.testing.assert_array_equal(bits(alone(TERMS)), bits(exact_reference(terms)))
    np.testing.assert_array_equal(bits(alone(2)), bits(exact_reference(terms[:2])))
    np.testing.assert_array_equal(alone(0), np.zeros(WIDTH))


def test_no_terms_at_all_are_zero():
    terms = np.full((4, TERMS, WIDTH), np.nan, np.float32)
    np.testing.assert_array_equal(compiled(4)(terms, np.zeros(4, np.int32)), np.zeros((4, WIDTH)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30, -2e8])
@pytest.mark.parametrize("device", [0, 3])
def test_a_value_that_cannot_be_added_spoils_the_sum_on_every_device(bad, device):
    terms = np.ones((4, TERMS, WIDTH), np.float32)
    terms[device, 1, 2] = bad
    counts = np.ones(4, np.int32)
    np.testing.assert_array_equal(compiled(4)(terms, counts), np.full((4, WIDTH), 4))
    counts[device] = 2
    assert np.isnan(compiled(4)(terms, counts)).all()


@pytest.mark.parametrize("count", [1, 3, 4, 1000])
@pytest.mark.parametrize("sign", [1, -1])
def test_as_many_terms_as_allowed_at_the_limit_do_not_overflow(count, sign):
    largest = np.float32(2.0**30 / count)
    total = jax.jit(lambda term: exact_sum(lambda _: term, jnp.int32(count), count))
    np.testing.assert_allclose(total(sign * largest), sign * 2.0**30, rtol=1e-7)
    assert np.isnan(total(sign * np.nextafter(largest, np.float32(np.inf))))


def test_a_tree_comes_back_in_its_shape_and_type():
    def term(index):
        scale = jnp.float32(index)
        return {"a": scale, "b": (scale * jnp.ones((2, 3)), {}), "c": scale * jnp.arange(4.0)}

    total = jax.jit(lambda: exact_sum(term, jnp.int32(4), max_terms=4))()
    assert jax.tree.map(lambda x: (x.shape, x.dtype), total) == jax.tree.map(
        lambda x: (x.shape, jnp.dtype("float32")), term(0)
    )
    jax.tree.map(np.testing.assert_array_equal, total, term(6))


def test_64_bit_types_stay_inside():
    seen = []

    def term(index):
        seen.append((index.dtype, jnp.arange(2.0).dtype, jnp.arange(2).dtype))
        return jnp.arange(2.0)

    total = jax.jit(lambda: exact_sum(term, jnp.int32(1), max_terms=1))()
    assert set(seen) == {(jnp.dtype("int32"), jnp.dtype("float32"), jnp.dtype("int32"))}
    assert total.dtype == jnp.float32
    assert not jax.config.jax_enable_x64  # pyright: ignore[reportAttributeAccessIssue] (dynamic)
    assert jnp.arange(2).dtype == jnp.int32


@given(arrays(np.float32, 5, elements=st.floats(-1000, 1000, width=32)))
def test_fixed_point_is_the_nearest_multiple_of_the_resolution(vector):
    with jax.enable_x64(True):
        fixed = add_fixed(jnp.full(5, 3, jnp.int64), jnp.asarray(vector), max_terms=1)
    assert fixed.dtype == np.int64
    expected = [3 + round(Fraction(float(value)) * 2**FRACTION_BITS) for value in vector]
    assert fixed.tolist() == expected


UNSOUND = -(2**63)


def test_a_sum_that_cannot_hold_a_term_stays_unsound():
    limit = np.float32(term_limit(8))
    terms = np.ones((3, 6), np.float32)
    terms[1] = [1, np.nan, 2.5, 2 * limit, limit, -np.inf]
    with jax.enable_x64(True):
        sums = accumulate(lambda index: jnp.asarray(terms)[index], jnp.int32(3), 8)
    ones = 2 << FRACTION_BITS
    assert sums.tolist() == [
        *(ones + (1 << 32), UNSOUND, ones + (5 << 31)),
        *(UNSOUND, ones + (int(limit) << 32), UNSOUND),
    ]


@cache
def summed(sizes):
    """Sums int64 arrays of these sizes over four devices; tells whether 32 bits did."""

    def total(halves):
        with jax.enable_x64(True):
            sums = [jax.lax.bitcast_convert_type(half, jnp.int64) for half in halves]
        wires = jax.lax.psum(to_wire(sums, 4), "d")
        return from_wire(wires, sums, lambda: jax.lax.psum(sums, "d")), is_whole(wires)

    mapped = jax.pmap(total, axis_name="d", devices=jax.devices()[:4])

    def apply(sums):
        floats, whole = mapped([own.view(np.int32).reshape(4, -1, 2) for own in sums])
        assert len(set(np.asarray(whole).tolist())) == 1
        return [np.asarray(array) for array in floats], bool(whole[0])

    return apply


SIZES = (3, LARGE, 1, LARGE + 1)  # small and large ones in turn


def to_float(sums):
    return (sums.astype(np.float64) * 2.0**-FRACTION_BITS).astype(np.float32)


@given(
    arrays(np.int64, (4, 4), elements=st.integers(-(2**59), 2**59)),
    arrays(np.int64, (4, 9), elements=st.integers(-(2**29) + 1, 2**29 - 1)),
    st.sampled_from([0, 1, 2, 30]),
)
@settings(max_examples=60)
def test_sums_of_devices_are_right_whatever_is_sent(small, large, shift):
    """Small arrays of any size; large ones within 32 bits, just beyond, or of any size."""
    own = [np.zeros((4, size), np.int64) for size in SIZES]
    own[0][:], own[2][:] = small[:, :3], small[:, 3:]
    own[1][:, -4:], own[3][:, :5] = large[:, :4] << shift, large[:, 4:] << shift
    floats, whole = summed(SIZES)(own)
    assert whole == all(np.abs(own[i]).max() <= (2**31 - 1) // 4 for i in (1, 3))
    for found, sums in zip(floats, own, strict=True):
        for copy in found:
            np.testing.assert_array_equal(bits(copy), bits(to_float(sums.sum(axis=0))))


@pytest.mark.parametrize("array", range(4))
@pytest.mark.parametrize("devices", [[0], [1, 3]])
def test_an_unsound_sum_anywhere_spoils_the_whole_on_every_device(array, devices):
    """Two of them add up to 0 in 64 bits and in 32, so it is told apart from the sums."""
    own = [np.ones((4, size), np.int64) for size in SIZES]
    own[array][devices, -1] = UNSOUND
    floats, _ = summed(SIZES)(own)
    assert all(np.isnan(found).all() for found in floats)
    own[array][devices, -1] = 2
    assert all(np.isfinite(found).all() for found in summed(SIZES)(own)[0])


@pytest.mark.parametrize("size", [LARGE - 1, LARGE, LARGE + 1])
@pytest.mark.parametrize("largest", [1e-3, 0.2499, 0.26, 3e5])
def test_arrays_of_any_size_have_the_sum_in_whole_numbers(size, largest):
    """Beside a small one, on devices of uneven shares; up to 0.5 / devices 32 bits are sent."""
    rng = np.random.default_rng(size)
    scale = np.float32(largest / TERMS)
    terms = rng.uniform(-scale, scale, (TERMS, size)).astype(np.float32)
    terms[:, 0], terms[:, 1] = scale, -scale  # the sums reach the limit on both sides
    shares = (3, 0, 1, 2)
    own = np.full((4, TERMS, size), np.nan, np.float32)
    for device, (end, share) in enumerate(zip(np.cumsum(shares), shares, strict=True)):
        own[device, :share] = terms[end - share : end]

    def total(own, count):
        def term(index):
            return {"a": own[index], "b": own[index, :TERMS] * 1000}

        return exact_sum(term, count, max_terms=TERMS, axis_name="d")

    found = jax.pmap(total, axis_name="d", devices=jax.devices()[:4])(
        own, np.array(shares, np.int32)
    )
    for device in range(4):
        np.testing.assert_array_equal(bits(found["a"][device]), bits(exact_reference(terms)))
        small = exact_reference(terms[:, :TERMS] * np.float32(1000))
        np.testing.assert_array_equal(bits(found["b"][device]), bits(small))
