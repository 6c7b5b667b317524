"""Which pixels of a collection train, validate and test, and what the sets share."""

import numpy as np
import pytest

from hsi_jax.data import CollectionSplit, LabelledPixels, SceneCollection, SplitRequest
from hsi_jax.data.collection.shared_places import find_shared
from hsi_jax.data.collection.unlabelled_pixels import split_unlabelled, without_labels
from hsi_jax.data.splits.split import Split
from hsi_jax.errors import InputError
from tests.data.collection import made_scenes as made

SITES = ["a", "b", "a", "c", "b", ""]
NO_LABELS = np.zeros((0, 0), int)


@pytest.fixture(scope="module")
def pixels(tmp_path_factory):
    """Six scenes at three sites; the last two lie half on one another."""
    folder = tmp_path_factory.mktemp("scenes")
    roles = ["train", "train", "validation", "test", "test", ""]
    rows = []
    for number, (site, role) in enumerate(zip(SITES, roles, strict=True)):
        cube, labels = made.learnable(number, 24, 20)
        right = 500_000 + (1000 * number if number < 5 else 4100)
        made.write_scene(folder / f"s{number}.tif", cube, place=(right, 4_000_000))
        made.write_labels(folder / f"s{number}_labels.tif", labels, made.NAMES)
        own = {"image": f"s{number}.tif", "labels": f"s{number}_labels.tif"}
        rows.append(own | {"role": role, "site": site})
    table = made.write_table(folder / "scenes.csv", rows)
    return LabelledPixels.of(SceneCollection.open(table), 16)


def scenes_of(pixels, ids):
    return set(pixels.scene_of(ids).tolist())


def sets_of(pixels, split, check_sets):
    check_sets(split, pixels.labels)
    return [scenes_of(pixels, ids) for ids in (split.train, split.validation, split.test)]


def test_roles_decide(pixels, check_sets):
    split = CollectionSplit(kind="scenes").divide(pixels)
    assert sets_of(pixels, split, check_sets) == [{0, 1}, {2}, {3, 4}]
    assert "1 scenes have no role and are in no set." in split.remarks


def test_each_group_tests_once_and_whole_groups_validate(pixels, check_sets):
    tested = []
    for fold in range(3):
        split = CollectionSplit(kind="group", column="site", fold=fold).divide(pixels)
        train, validation, test = sets_of(pixels, split, check_sets)
        tested.append(test)
        assert not (train | validation) & test
        assert not train & validation
        assert {SITES[k] for k in train}.isdisjoint({SITES[k] for k in validation})
        assert 5 not in train | validation | test
    assert tested == [{0, 2}, {1, 4}, {3}]
    two = CollectionSplit(kind="group", column="site", folds=2, fold=0).divide(pixels)
    assert scenes_of(pixels, two.test) == {0, 2, 3}  # a and c


@pytest.mark.parametrize("kind", ["random", "disjoint"])
def test_each_scene_is_divided_by_itself(pixels, check_sets, kind):
    request = SplitRequest(labels=NO_LABELS, seed=3, train_fraction=0.3, guard=1, block_size=4)
    split = CollectionSplit(kind=kind, seed=3, request=request).divide(pixels)
    train, _, test = sets_of(pixels, split, check_sets)
    assert train == test == set(range(6))
    shared = find_shared(pixels, split, 3)
    assert shared.fractions["scene"] == 1
    assert (shared.in_patch > 0) == (kind == "random")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"kind": "group", "column": "date"}, "has no such column; it has site"),
        ({"kind": "group", "column": "site", "fold": 3}, r"has 3 groups \(a, b, c\); give 2 to 3"),
        ({"kind": "group", "column": "site", "folds": 4}, "`folds`=4"),
    ],
)
def test_what_a_split_lacks_is_named(pixels, changes, problem):
    with pytest.raises(InputError, match=problem):
        CollectionSplit(**changes).divide(pixels)


def test_a_role_without_labels_is_named(tmp_path):
    cube, labels = made.learnable(0, 20, 20)
    made.write_scene(tmp_path / "a.tif", cube)
    made.write_labels(tmp_path / "l.tif", labels)
    rows = [{"image": "a.tif", "labels": "l.tif", "role": "train"}]
    rows.append({"image": "a.tif", "name": "b", "role": "test"})
    table = made.write_table(tmp_path / "t.csv", rows)
    own = LabelledPixels.of(SceneCollection.open(table), 16)
    with pytest.raises(InputError, match="no scene with labels has the role test"):
        CollectionSplit(kind="scenes").divide(own)


def whole(pixels, *numbers):
    parts = [pixels.ids_of_scene(number) for number in numbers]
    ids = [np.arange(part.start, part.stop, dtype=np.int32) for part in parts]
    return np.concatenate([np.empty(0, np.int32), *ids])


def test_what_is_shared_is_counted(pixels):
    def shared(train, validation, test):
        sets = (whole(pixels, *numbers) for numbers in (train, validation, test))
        return find_shared(pixels, Split("scenes", *sets), 3).fractions

    assert shared([0], [], [2]) == {"scene": 0, "site": 1, "ground": 0}
    assert shared([0], [1], [4]) == {"scene": 0, "site": 1, "ground": 0}
    assert shared([0], [], [3]) == {"scene": 0, "site": 0, "ground": 0}
    assert shared([4], [], [5]) == {"scene": 0, "site": 0, "ground": 1}  # half on one another
    sizes = [len(whole(pixels, number)) for number in (1, 3)]
    found = shared([4], [], [1, 3])
    assert found["site"] == pytest.approx(sizes[0] / sum(sizes))


def test_test_pixels_with_a_training_pixel_in_their_patch_are_counted(pixels):
    ids = pixels.ids_of_scene(1)
    place = pixels.pixels[ids]
    train = np.arange(ids.start, ids.stop, 5, dtype=np.int32)
    test = np.setdiff1d(np.arange(ids.start, ids.stop, dtype=np.int32), train)
    found = find_shared(pixels, Split("random", train, train[:0], test), 5)
    row, column = np.divmod(place, 20)
    near = 0
    for sample in test - ids.start:
        seen = train - ids.start
        far = np.maximum(abs(row[seen] - row[sample]), abs(column[seen] - column[sample]))
        near += far.min() <= 2
    assert found.in_patch == near


def test_scenes_that_test_are_named_and_give_no_pixels(pixels):
    collection = pixels.collection
    assert CollectionSplit(kind="scenes").testing_scenes(collection) == [3, 4]
    two = CollectionSplit(kind="group", column="site", folds=2, fold=0)
    assert two.testing_scenes(collection) == [0, 2, 3]  # a and c
    with pytest.raises(InputError, match="made within scenes"):
        CollectionSplit(kind="random").testing_scenes(collection)
    with pytest.raises(InputError, match="none is left"):
        without_labels(collection, range(6))


@pytest.mark.parametrize(("most", "rows"), [(4 * 480, 24), (4 * 480 - 1, 12), (480, 12), (479, 8)])
def test_pixels_without_labels_lie_all_over_their_scenes(pixels, most, rows):
    """Of 24 x 20 pixels every one, or those of every second or third row and column."""
    step = 24 // rows
    found = LabelledPixels.of(without_labels(pixels.collection, [0, 5], most=most), 16)
    assert len(found) == 4 * rows * -(-20 // step)
    assert scenes_of(found, np.arange(len(found))) == {1, 2, 3, 4}
    own_rows, columns = np.divmod(found.pixels[found.ids_of_scene(1)], 20)
    assert set(own_rows.tolist()) == set(range(0, 24, step))
    assert set(columns.tolist()) == set(range(0, 20, step))
    split = split_unlabelled(found, 0, 0.1, [0, 5])
    together = np.concatenate([split.train, split.validation])
    assert np.array_equal(np.sort(together), np.arange(len(found)))
    held = np.unique(found.tile_of(split.validation))
    assert len(held) == 1  # of 16 tiles
    assert not set(held.tolist()) & set(found.tile_of(split.train).tolist())
    assert split_unlabelled(found, 0, 0.0).validation.size == 0
