import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_jax.data.scene.scene import Scene
from hsi_jax.data.splits.class_maps import label_by_split
from hsi_jax.data.splits.file_split import file_split
from hsi_jax.errors import InputError

TRUTH = np.array([[0, 3, 3, 5], [7, 7, 5, 0]])
ORDER = (7, 3, 5)  # of the split's classes 1, 2, 3
TRAIN = np.array([[0, 2, 0, 3], [1, 0, 0, 1]])  # the last one is unlabelled in the truth
TEST = np.array([[3, 0, 2, 0], [0, 1, 0, 0]])  # and so is the first one


def scene_of(truth=TRUTH, **options):
    cube = np.arange(truth.size * 2, dtype=np.float32).reshape(*truth.shape, 2)
    names = {3: "wood", 5: "lake", 7: "road"}
    return Scene.from_arrays("made up", cube, truth, class_names=names, **options)


@pytest.fixture
def write(tmp_path):
    def write(**maps):
        np.savez(tmp_path / "split.npz", **maps)
        return tmp_path / "split.npz"

    return write


def test_labels_are_those_of_the_maps_in_the_order_of_the_truth(write):
    scene = label_by_split(scene_of(), write(train=TRAIN, test=TEST), ORDER)
    wanted = np.array([[5, 3, 3, 5], [7, 7, 0, 7]])
    assert np.array_equal(scene.original_labels(scene.require_labels()), wanted)
    assert scene.class_names == ("wood", "lake", "road")
    assert scene.unlabelled_counts == {"0": 1}
    (remark,) = scene.remarks
    assert "1 that train and 1 that test have no class there" in remark
    assert "0 have another one, and 1 of its labelled pixels" in remark


def test_the_split_then_fits_its_own_labels(write):
    path = write(train=TRAIN, test=TEST)
    with pytest.raises(InputError, match="unlabelled"):
        file_split(path, scene_of().require_labels())
    split = file_split(path, label_by_split(scene_of(), path, ORDER).require_labels())
    assert split.train.tolist() == [1, 3, 4, 7]
    assert split.test.tolist() == [0, 2, 5]


def test_pixels_without_data_have_no_label(write):
    nodata = np.zeros(TRUTH.shape, bool)
    nodata[0, 1] = True
    scene = label_by_split(scene_of(nodata=nodata), write(train=TRAIN, test=TEST), ORDER)
    assert scene.require_labels()[0, 1] == -1


@given(order=st.permutations([1, 2, 3, 4]), seed=st.integers(0, 99))
def test_a_split_of_the_truth_itself_changes_no_label(order, seed, tmp_path_factory):
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.repeat(np.arange(5), 4)).reshape(4, 5)
    own = np.array([0, *(order.index(k) + 1 for k in (1, 2, 3, 4))])[truth]
    inside = rng.random(truth.shape) < 0.5
    inside.flat[0], inside.flat[-1] = True, False
    own_train, own_test = np.where(inside, own, 0), np.where(inside, 0, own)
    if not (own_train.any() and own_test.any()):
        return
    path = tmp_path_factory.mktemp("maps") / "split.npz"
    np.savez(path, train=own_train, test=own_test)
    scene = Scene.from_arrays("any", np.arange(40.0).reshape(4, 5, 2), truth)
    assert np.array_equal(label_by_split(scene, path, order).labels, scene.labels)


@pytest.mark.parametrize(
    ("maps", "order", "word"),
    [
        ({"train": TRAIN, "test": TRAIN}, ORDER, "both"),
        ({"train": TRAIN + 1, "test": TEST}, ORDER, "1 to 3"),
        ({"train": -TRAIN, "test": TEST}, ORDER, "1 to 3"),
        ({"train": TRAIN}, ORDER, "test"),
        ({"train": TRAIN, "test": TEST}, (7, 3, 4), "id 4"),
        ({"train": TRAIN[:1], "test": TEST}, ORDER, "shape"),
    ],
)
def test_maps_that_cannot_be_used_are_named(maps, order, word, write):
    with pytest.raises(InputError, match=word):
        label_by_split(scene_of(), write(**maps), order)
