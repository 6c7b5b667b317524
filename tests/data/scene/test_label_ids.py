import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_jax.data.scene.label_ids import UNLABELLED, read_label_map
from hsi_jax.errors import InputError


@given(
    ids=st.lists(st.integers(-3, 300), min_size=2, max_size=40),
    unlabelled=st.lists(st.integers(-3, 300), max_size=3),
    data=st.data(),
)
def test_each_pixel_is_of_its_class_or_unlabelled_as_it_was_said(ids, unlabelled, data):
    numbers = np.array([ids])
    nodata = np.array([data.draw(st.lists(st.booleans(), min_size=len(ids), max_size=len(ids)))])
    classes = sorted(
        {i for i, gone in zip(ids, nodata[0], strict=True) if not gone} - {*unlabelled}
    )
    if len(classes) < 2:
        with pytest.raises(InputError):
            read_label_map(numbers, unlabelled=unlabelled, nodata=nodata, source="it")
        return
    found = read_label_map(numbers, unlabelled=unlabelled, nodata=nodata, source="it")
    assert list(found.class_ids) == classes
    for number, label, gone in zip(ids, found.labels[0], nodata[0], strict=True):
        expected = UNLABELLED if gone or number in unlabelled else classes.index(number)
        assert label == expected
    assert found.unlabelled_ids[0] not in classes
    told = sum(found.unlabelled_counts.values()) + found.hidden
    never_a_class = sum(gone and i in unlabelled for i, gone in zip(ids, nodata[0], strict=True))
    assert told + never_a_class == np.count_nonzero(found.labels == UNLABELLED)


@given(st.lists(st.integers(1, 60), min_size=2, max_size=12, unique=True))
def test_usual_ids_are_never_asked_about(ids):
    found = read_label_map(np.array([[0, *ids]]), source="it")
    assert found.class_ids == tuple(sorted(ids))


@given(
    ids=st.lists(st.integers(1, 16), min_size=2, max_size=12, unique=True),
    fill=st.sampled_from([255, 32767, 65535, 2**31 - 1, 99, 999, 9999]),
)
def test_what_looks_like_no_data_is_always_asked_about(ids, fill):
    with pytest.raises(InputError, match=f"{fill} .*`unlabelled`=0,{fill} "):
        read_label_map(np.array([[0, *ids, fill]]), source="it")


def test_an_id_that_the_file_declares_is_unlabelled():
    found = read_label_map(np.array([[7, 1, 2]]), declared=(7.0,), source="it")
    assert found.class_ids == (1, 2)
    assert found.unlabelled_ids == (7,)
    assert "7 (1 pixels) is taken as unlabelled" in " ".join(found.remarks)
    with pytest.raises(InputError, match="0 is a class"):
        read_label_map(np.array([[7, 0, 1, 2]]), declared=(7.0,), source="it")


def test_where_classes_are_named_nothing_is_asked_about_zero():
    ids = np.array([[0, -1, 1, 2]])
    found = read_label_map(ids, names={1: "corn", 2: "oats"}, source="it")
    assert found.class_ids == (1, 2)
    assert found.unlabelled_ids == (0, -1)
    assert read_label_map(ids, names={0: "soy", 1: "corn", 2: "oats"}, source="it").class_ids == (
        0,
        1,
        2,
    )
    assert (
        read_label_map(
            np.array([[255, 1, 2]]), names={1: "corn", 2: "oats", 255: "soy"}, source="it"
        ).remarks
        == ()
    )


def test_maps_get_an_id_that_is_no_class():
    every = np.array([[0, -1, 5]])
    assert read_label_map(every, unlabelled=(), source="it").unlabelled_ids == (-2,)
    large = np.array([[2**40, 0, 5]])
    assert read_label_map(large, unlabelled=(2**40,), source="it").unlabelled_ids == (-1,)


def test_a_class_without_data_is_named():
    ids = np.repeat([0, 1, 2, 3], 40).reshape(8, 20)
    nodata = ids == 2
    nodata[ids == 3] = np.arange(40) > 1
    found = read_label_map(ids, nodata=nodata, source="it")
    assert found.class_ids == (1, 3)
    assert found.hidden == 40 + 38
    said = " ".join(found.remarks)
    assert "id 2 is left out: none of its 40 pixels" in said
    assert "Only 2 of 40 pixels of the class of id 3" in said
    assert "id 1 " not in said
    with pytest.raises(InputError, match=r"80 labelled pixels of it have no data.*id 1 alone"):
        read_label_map(ids, nodata=ids > 1, source="it")


@pytest.mark.parametrize("far", [100, 127, 200, 250])
def test_a_far_id_is_asked_about_where_nothing_else_is_unlabelled(far):
    ids = np.array([[1, 1, 2, 2, 3, far]])
    with pytest.raises(InputError, match=f"{far} .*`unlabelled`={far} .*=none if {far} is a class"):
        read_label_map(ids, source="it")
    assert read_label_map(ids, unlabelled=(far,), source="it").class_ids == (1, 2, 3)
    assert read_label_map(ids, unlabelled=(), source="it").class_ids == (1, 2, 3, far)


@pytest.mark.parametrize("large", [2**31, 2**40, 2**63 - 1, 10**20])
def test_the_advice_on_an_id_of_more_than_32_bits_helps(large):
    ids = (
        np.array([[1.0, 1, 2, 2, 0, large]])
        if large > 2**64
        else np.array([[1, 1, 2, 2, 0, large]])
    )
    number = int(ids[0, -1])
    with pytest.raises(InputError, match=f"`unlabelled`=0,{number}"):
        read_label_map(ids, source="it")
    assert read_label_map(ids, unlabelled=(0, number), source="it").class_ids == (1, 2)


@pytest.mark.parametrize(
    "name", ["NoData", "No data", "none", "Background", "VOID", "un-classified", "Unlabelled", "NA"]
)
def test_a_class_whose_name_says_that_it_is_none_is_named(name):
    ids = np.array([[0, 1, 2, 2, 7]])
    names = {1: "corn", 2: "oats", 7: name}
    found = read_label_map(ids, names=names, source="it")
    assert found.class_ids == (1, 2, 7)
    (remark,) = found.remarks
    assert re.search(rf"7 \({name}, 1 pixels\).*`unlabelled`=0,7", remark)
    assert read_label_map(ids, names=names, unlabelled=(0, 7), source="it").class_ids == (1, 2)
    assert read_label_map(ids, names=names | {7: "Nonesuch fields"}, source="it").remarks == ()
