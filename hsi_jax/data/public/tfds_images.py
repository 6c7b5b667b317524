"""An image set from a data set that TFDS has prepared."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from hsi_jax.data.images.image_set import ImageSet
from hsi_jax.data.images.picture import picture_facts, read_picture
from hsi_jax.data.public.tfds_store import FILE_FORMAT
from hsi_jax.data.splits.split import NO_IDS, Split
from hsi_jax.errors import InputError

_CHUNK = 256  # records read at a time
_FILE_NAME = "filename"  # feature of examples, in our sets and many others


def tfds_image_set(name: str, builder, size: tuple[int, int] | None = None) -> ImageSet:
    """Reads the labels of a prepared data set; each image is read when it is needed.

    Sample ids count through the splits train, validation and test, in the order of TFDS, which
    depends only on the keys of the examples. Images are decoded by PIL and not by TFDS, as for
    every other image set.

    Args:
        name: name for the set.
        builder: a TFDS builder whose set is prepared, as by `tfds_store.prepare`.
        size: (rows, columns) to resize every image to, or None if all have one size.

    Returns:
        The set; it has an official split if TFDS has examples to train and to test or validate.

    Raises:
        InputError: if its examples are not images of 8 or 16 bits with a class label each, or if
            the sizes of the images differ.
    """
    image, label = _image_and_label(name, builder.info)
    splits = _used_splits(builder.info.splits)
    records = _Records(builder, splits, image, label)
    labels = np.concatenate([records.labels(k) for k in range(len(splits))])
    rows, columns, channels = builder.info.features[image].shape
    if size is not None:
        rows, columns = size
    elif None in (rows, columns):
        rows, columns = _common_size(records, len(labels), name)
    shape = (rows, columns, channels or 3)

    def read_image(i: int) -> np.ndarray:
        return read_picture(records.image(i), f"image {i} of {name}", shape[2], size)

    return ImageSet(
        name=name,
        labels=labels,
        class_names=tuple(builder.info.features[label].names),
        shape=shape,
        read_image=read_image,
        source=f"{name} in {builder.data_path}",
        dtype=np.dtype(builder.info.features[image].np_dtype),
        official=_official(splits, records.offsets, labels, list(builder.info.splits)),
        read_names=records.names if _FILE_NAME in builder.info.features else None,
    )


class _Records:
    """The encoded examples of several splits, one split after another.

    Attributes:
        offsets: sample id of the first example of each split, then the number of all examples.
    """

    def __init__(self, builder, splits: Sequence[str], image: str, label: str):
        import tensorflow_datasets as tfds
        from tensorflow_datasets.proto import tf_example_pb2

        try:
            self._sources = [
                builder.as_data_source(
                    split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES
                )
                for split in splits
            ]
        except (NotImplementedError, ValueError) as error:
            raise InputError(
                f"{builder.data_path} is not prepared in the format {FILE_FORMAT}, which can be "
                f"read without TensorFlow; prepare it in that format in another folder, and give "
                f"that folder with `data_dir`."
            ) from error
        self.offsets = np.cumsum([0, *(len(source) for source in self._sources)])
        # protobuf makes the class at run time
        self._parse = tf_example_pb2.Example.FromString  # pyright: ignore[reportAttributeAccessIssue]
        self._image, self._label = image, label

    def labels(self, split: int) -> np.ndarray:
        """Class indexes of the examples of split number `split`, int32 [n]."""
        features = self._features(self._sources[split])
        return np.array([own[self._label].int64_list.value[0] for own in features], np.int32)

    def names(self) -> list[str]:
        """The file name of each example."""
        features = itertools.chain.from_iterable(map(self._features, self._sources))
        return [own[_FILE_NAME].bytes_list.value[0].decode() for own in features]

    def _features(self, source: Any) -> Iterator[Any]:
        """The features of each example of a split."""
        for start in range(0, len(source), _CHUNK):  # much faster than one by one
            ids = range(start, min(start + _CHUNK, len(source)))
            for record in source.__getitems__(list(ids)):
                yield self._parse(record).features.feature

    def image(self, i: int) -> bytes:
        """The encoded image of sample i; any thread may ask for it."""
        split = int(np.searchsorted(self.offsets, i, side="right")) - 1
        record = self._sources[split].__getitem__(i - int(self.offsets[split]))
        return self._parse(record).features.feature[self._image].bytes_list.value[0]


def _image_and_label(name: str, info) -> tuple[str, str]:
    """The names of two features: the image and its class."""
    import tensorflow_datasets as tfds

    named = isinstance(info.features, tfds.features.FeaturesDict)
    features = dict(info.features.items()) if named else {}
    images = [k for k, f in features.items() if type(f) is tfds.features.Image]
    labels = [k for k, f in features.items() if type(f) is tfds.features.ClassLabel]
    keys = info.supervised_keys or ()
    image = [k for k in images if k in keys] or images
    label = [k for k in labels if k in keys] or labels
    if len(image) != 1 or len(label) != 1:
        raise InputError(
            f"'{name}' of TFDS is not for the classification of images: its examples have "
            f"{', '.join(features) or 'no named features'} instead of one image and one class "
            f"label."
        )
    if features[image[0]].np_dtype not in (np.uint8, np.uint16):
        raise InputError(
            f"The images of '{name}' have type {np.dtype(features[image[0]].np_dtype).name}; "
            f"only images of 8 or 16 bits can be used."
        )
    return image[0], label[0]


def _used_splits(available: Sequence[str]) -> list[str]:
    """The splits to read: the usual three, or all if there is none to train on."""
    if "train" not in available:
        return [*available]
    return [split for split in ("train", "validation", "test") if split in available]


def _common_size(records: _Records, count: int, name: str) -> tuple[int, int]:
    sizes = {
        picture_facts(records.image(i), f"image {i} of {name}").shape[:2] for i in range(count)
    }
    if len(sizes) != 1:
        raise InputError(
            f"The images of '{name}' have {len(sizes)} sizes, from {min(sizes)} to {max(sizes)} "
            f"rows and columns; give `image_size` to resize all of them."
        )
    return sizes.pop()


def _official(splits, offsets, labels: np.ndarray, available: list[str]) -> Split | None:
    ids = {
        split: (start + np.flatnonzero(labels[start:end] >= 0)).astype(np.int32)
        for split, start, end in zip(splits, offsets[:-1], offsets[1:], strict=True)
    }
    ids = {split: found for split, found in ids.items() if found.size}
    remarks = []
    if "test" not in ids and "validation" in ids:
        ids["test"] = ids.pop("validation")
        remarks.append("There is no labelled test split, so the validation split tests.")
    if not {"train", "test"} <= set(ids):
        return None
    unused = [split for split in available if split not in splits]
    if unused:
        remarks.append(f"The splits {', '.join(unused)} are not used.")
    return Split(
        "official", ids["train"], ids.get("validation", NO_IDS), ids["test"], tuple(remarks)
    )
