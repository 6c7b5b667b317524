"""Other data sets of TFDS, through builders that the tests define."""

import io
import json

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from hsi_jax.data.images.image_loader import load_image_set
from hsi_jax.data.images.picture import as_png
from hsi_jax.data.public.tfds_images import tfds_image_set
from hsi_jax.data.public.tfds_store import find_builder
from hsi_jax.errors import InputError

NAMES = ["a", "b"]
SPLITS = {"test": 3, "train": 5, "validation": 2, "extra": 1}


def pixels(split, i, shape=(4, 5, 3)):
    return np.full(shape, 10 * list(SPLITS).index(split) + i, np.uint8)


class _Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    VERSION = tfds.core.Version("1.0.0")
    SPLITS = SPLITS
    UNLABELLED = ()
    IMAGE = tfds.features.Image(shape=(4, 5, 3))
    LABEL = tfds.features.ClassLabel(names=NAMES)

    def _info(self):
        features = {"id": np.int32, "picture": self.IMAGE, "kind": self.LABEL}
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(split) for split in self.SPLITS}

    def _generate_examples(self, split):
        for i in range(self.SPLITS[split]):
            label = -1 if split in self.UNLABELLED else i % 2
            image = as_png(pixels(split, i, self.shape(i)))
            yield i, {"id": i, "picture": image, "kind": label}

    def shape(self, i) -> tuple[int, int, int]:
        return (4, 5, 3)


class HsiJaxTestOfficial(_Builder):
    """Train, validation and test."""


class HsiJaxTestTwo(_Builder):
    """No labels in test."""

    UNLABELLED = ("test",)


class HsiJaxTestOne(_Builder):
    """Only train."""

    SPLITS = {"train": 6}  # noqa: RUF012


class HsiJaxTestOther(_Builder):
    """No train."""

    SPLITS = {"some": 6, "more": 4}  # noqa: RUF012

    def _generate_examples(self, split):
        for key in range(self.SPLITS[split]):
            yield key, {"id": key, "picture": as_png(pixels("train", key)), "kind": key % 2}


class HsiJaxTestSizes(_Builder):
    """Images of several sizes."""

    IMAGE = tfds.features.Image()

    def shape(self, i):
        return (4 + i // 4, 5, 3)


class HsiJaxTestFree(_Builder):
    """Images of one size that TFDS is not told."""

    IMAGE = tfds.features.Image()


class HsiJaxTestGrey(_Builder):
    """One channel."""

    IMAGE = tfds.features.Image(shape=(4, 5, 1))

    def shape(self, i):
        return (4, 5, 1)


class HsiJaxTestNoImage(_Builder):
    """Not for image classification."""

    IMAGE = tfds.features.Text()


class HsiJaxTestDeep(_Builder):
    """16 bits."""

    IMAGE = tfds.features.Image(shape=(4, 5, 1), dtype=np.uint16)
    SPLITS = {"train": 6}  # noqa: RUF012

    def _generate_examples(self, split):
        for i in range(self.SPLITS[split]):
            stream = io.BytesIO()
            Image.fromarray(np.full((4, 5), 1000 * i, np.uint16)).save(stream, "PNG")
            yield i, {"id": i, "picture": stream.getvalue(), "kind": i % 2}


class HsiJaxTestReal(_Builder):
    """Real numbers, which TFDS hides in four channels."""

    IMAGE = tfds.features.Image(shape=(4, 5, 1), dtype=np.float32)


class HsiJaxTestBroken(_Builder):
    """Needs what is not there."""

    def _split_generators(self, dl_manager):
        raise ModuleNotFoundError("No module named 'tensorflow'")


def load(name, tmp_path, size=None):
    return load_image_set(f"tfds:hsi_jax_test_{name}", tmp_path, size)


def values(images, ids):
    return sorted(images.read(ids)[:, 0, 0, 0].tolist())


def test_an_official_split_is_honoured(tmp_path):
    images = load("official", tmp_path)
    split = images.official
    assert split is not None
    assert (split.kind, images.class_names, images.shape) == ("official", ("a", "b"), (4, 5, 3))
    assert values(images, split.train) == [10, 11, 12, 13, 14]
    assert values(images, split.validation) == [20, 21]
    assert values(images, split.test) == [0, 1, 2]
    assert split.remarks == ("The splits extra are not used.",)
    assert {ids.dtype for ids in (split.train, split.validation, split.test)} == {np.dtype("int32")}
    everything = images.read(np.arange(10))
    np.testing.assert_array_equal(images.labels, everything[:, 0, 0, 0] % 10 % 2)


def test_without_labels_to_test_on_validation_tests(tmp_path):
    images = load("two", tmp_path)
    split = images.official
    assert split is not None
    assert values(images, split.test) == [20, 21]
    assert split.validation.size == 0
    assert "validation split tests" in split.remarks[0]
    assert np.bincount(images.labels + 1).tolist() == [3, 4, 3]


def test_one_split_is_none(tmp_path):
    images = load("one", tmp_path)
    assert images.official is None
    assert values(images, np.arange(6)) == [10, 11, 12, 13, 14, 15]
    assert len(load("other", tmp_path)) == 10


def test_sizes_agree_or_are_made_to(tmp_path):
    with pytest.raises(InputError, match=r"\(4, 5\).*\(5, 5\).*image_size"):
        load("sizes", tmp_path)
    assert load("sizes", tmp_path, 3).read([0, 4]).shape == (2, 3, 3, 3)
    assert load("free", tmp_path).shape == (4, 5, 3)


def test_grey_has_one_channel(tmp_path):
    images = load("grey", tmp_path)
    assert images.read([1]).shape == (1, 4, 5, 1)


def test_16_bits_are_kept(tmp_path):
    images = load("deep", tmp_path)
    assert images.dtype == np.uint16
    assert values(images, np.arange(6)) == [0, 1000, 2000, 3000, 4000, 5000]


def test_real_numbers_are_refused(tmp_path):
    builder = find_builder("hsi_jax_test_real", tmp_path)
    with pytest.raises(InputError, match="float32"):
        tfds_image_set("real", builder)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_image", "id, picture"),
        ("broken", "'tensorflow'"),
        ("officiel", r"'hsi_jax_test_officiel'.*hsi_jax_test_official"),
        ("official/odd", "'hsi_jax_test_official/odd'"),
        ("official:2.0.0", "hsi_jax_test_official"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path, name, message):
    with pytest.raises(InputError, match=message):
        load(name, tmp_path)


def test_a_set_prepared_for_tensorflow_is_refused(tmp_path):
    load("one", tmp_path)
    path = tmp_path / "hsi_jax_test_one" / "1.0.0" / "dataset_info.json"
    info = json.loads(path.read_text())
    info["fileFormat"] = "tfrecord"
    path.write_text(json.dumps(info))
    with pytest.raises(InputError, match="array_record"):
        load("one", tmp_path)
