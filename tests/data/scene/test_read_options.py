import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_jax.data.scene.read_options import ReadOptions, bands_to_text
from hsi_jax.errors import InputError


def test_nothing_said_is_the_default():
    assert ReadOptions.parse() == ReadOptions()


@pytest.mark.parametrize(
    ("text", "ids"),
    [("0,255", (0, 255)), (" -1 , 0", (-1, 0)), ("none", ()), ("nan", ()), ("nan,0", (0,))],
)
def test_unlabelled_ids(text, ids):
    assert ReadOptions.parse(unlabelled=text).unlabelled == ids


def test_values_without_data():
    values = ReadOptions.parse(nodata="-9999,1e30,-3.4028235e+38,NaN,inf").nodata
    assert values[:3] == (-9999, 1e30, -3.4028235e38)
    assert all(math.isnan(value) for value in values[3:])


def test_bands_are_numbers_ranges_and_words():
    reading = ReadOptions.parse(drop_bands="104-106,constant,3,bad")
    assert reading.drop_bands == (104, 105, 106, "constant", 3, "bad")


@given(st.sets(st.integers(0, 300), min_size=1))
def test_bands_come_back_from_their_text(bands):
    assert ReadOptions.parse(drop_bands=bands_to_text(sorted(bands))).drop_bands == tuple(
        sorted(bands)
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("unlabelled", "zero"),
        ("unlabelled", "0.5"),
        ("unlabelled", "none,0"),
        ("unlabelled", "0,,1"),
        ("nodata", "low"),
        ("nodata", "1,"),
        ("drop_bands", "3-1"),
        ("drop_bands", "-3"),
        ("drop_bands", "1.5"),
        ("drop_bands", "dead"),
        ("band_axis", "3"),
        ("band_axis", "first"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(name, text):
    with pytest.raises(InputError, match=f"`{name}`={text}"):
        ReadOptions.parse(**{name: text})


def test_values_of_python_are_checked_as_well():
    with pytest.raises(InputError, match="band_axis"):
        ReadOptions(band_axis=3)
    with pytest.raises(InputError, match="drop_bands"):
        ReadOptions(drop_bands=("dead",))
