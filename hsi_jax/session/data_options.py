"""The options of a run on its data, and on which of the samples train, validate and test."""

import difflib
from dataclasses import dataclass
from pathlib import Path

from hsi_jax.data.public.catalogue import CATALOGUE
from hsi_jax.data.public.image_catalogue import FOLDER, IMAGE_CATALOGUE, TFDS_PREFIX
from hsi_jax.data.scene.read_options import ReadOptions
from hsi_jax.data.splits.name_lists import SUFFIX as LIST_SUFFIX
from hsi_jax.errors import InputError
from hsi_jax.options import check_options, defaults, option
from hsi_jax.session.protocols import PROTOCOLS
from hsi_jax.train.tables import AUGMENTATIONS

MADE_UP = "synthetic"
GIVEN = "given"  # in Python, to `session.run`, which sets it
SCENES = (MADE_UP, *CATALOGUE, "file", "scenes")
IMAGE_SETS = (*IMAGE_CATALOGUE, FOLDER)
OF_ARRAYS = ("cube", "cube_variable", "labels_variable")
OF_FILES = (*OF_ARRAYS, "labels", "labels_attribute", "labels_touched")
READING = ("unlabelled", "nodata", "drop_bands", "band_axis", "keep_fill_values")


@dataclass(frozen=True)
class DataOptions:
    """Where the samples come from, and how they are read.

    Raises:
        InputError: on a value that cannot be used.
    """

    dataset: str = option(
        "synthetic",
        f"a scene ({', '.join(SCENES)}: many) or a set of images ({', '.join(IMAGE_SETS)}, or "
        f"{TFDS_PREFIX}NAME for any of TensorFlow Datasets)",
    )
    data_dir: str = option(
        "",
        "folder of the data's standard files; without it they are downloaded, if that is allowed, "
        "and kept by TensorFlow Datasets",
        path=True,
        may_change=True,
    )
    cube: str = option(
        "",
        "with `dataset`=file: the scene, .mat, .npy, .npz, HDF5, netCDF, Zarr, GeoTIFF or ENVI; or "
        "several GeoTIFF files with commas, or a pattern in quotes",
        path=True,
        may_change=True,
    )
    labels: str = option(
        "",
        "with `dataset`=file: its labels, such a file, 2-D, 0 = unlabelled; or polygons or points, "
        ".geojson, .shp or .gpkg",
        path=True,
        may_change=True,
    )
    cube_variable: str = option(
        "",
        "array in the cube's file, where it has several",
    )
    labels_variable: str = option(
        "",
        "array in the labels' file, where it has several",
    )
    labels_attribute: str = option(
        "",
        "attribute of the polygons that names the class; default one called so",
    )
    labels_touched: bool = option(
        False,
        "polygons label all pixels that they touch, not those with their centre in it",
    )
    classes: str = option(
        "",
        "names and colours of a scene's classes by their ids: a style of QGIS (.qml), or a table "
        "(.csv) with the columns id, name and, if wanted, colour (#rrggbb)",
        path=True,
        may_change=True,
    )
    unlabelled: str = option(
        "",
        "ids of pixels without a class, such as 0,255, or none; default 0, NaN and ids below 0",
    )
    nodata: str = option(
        "",
        "values of pixels without data, such as -9999, nan for all that is not finite; those that "
        "the file declares are known",
    )
    drop_bands: str = option(
        "",
        "bands to leave out, counted from 0, such as 103-107,219; constant: those of one value "
        "alone; bad: those that the file declares as bad",
    )
    band_axis: str = option(
        "auto",
        "axis of the cube along which the bands lie; auto: as the shape of the labels says",
        choices=("auto", "0", "1", "2"),
    )
    keep_fill_values: bool = option(
        False,
        "take values that look like no data as data, even if they spoil the scaling",
    )
    rgb: str = option(
        "",
        "bands of a scene to show as red, green and blue in its pictures, counted from 0, such as "
        "29,19,9; default those nearest to 640, 550 and 460 nm, where wavelengths are known",
        may_change=True,
    )
    components: int | None = option(
        None,
        "principal components, 0 = all bands; default by model",
        kind=int,
        at_least=0,
    )
    image_size: int | None = option(
        None,
        "side that images are resized to; default as they are",
        kind=int,
        at_least=1,
    )
    augment: str = option(
        "",
        f"changes of the inputs in training, some of {','.join(AUGMENTATIONS)}",
    )
    feed: str = option(
        "auto",
        "where images, or a collection of scenes, are while training: on the devices, or sent for "
        "each step; auto: on the devices where they take at most a quarter of the memory",
        choices=("auto", "resident", "streamed"),
        may_change=True,
    )
    cache_mb: int = option(
        2048,
        "decoded images, or tiles of scenes, kept in memory, MiB",
        at_least=0,
        may_change=True,
    )

    def __post_init__(self):
        check_options(self)
        self._check_name()
        if self.dataset == "file" and not self.cube:
            raise InputError("`dataset`=file needs both `cube`=FILE and `labels`=FILE")
        if self.dataset == FOLDER and not self.data_dir:
            raise InputError("`dataset`=folder needs `data_dir`=FOLDER, with a folder a class")
        of_files = OF_FILES if self.dataset != "scenes" else OF_ARRAYS
        for name in of_files:
            if getattr(self, name) and self.dataset != "file":
                raise InputError(f"`{name}` goes with `dataset`=file, not `dataset`={self.dataset}")
        _ = self.reading, self.rgb_bands  # reads their texts
        unset = defaults(DataOptions)
        if self.classes and self.dataset == "scenes":
            raise InputError("`classes` goes with one scene; the labels of many name their classes")
        for name in (*READING, "classes"):
            if getattr(self, name) != unset[name] and (
                self.is_image_set or self.dataset in (MADE_UP, GIVEN)
            ):
                raise InputError(
                    f"`{name}` goes with scenes from files, not with `dataset`={self.dataset}"
                )

    def _check_name(self) -> None:
        if self.is_image_set or self.dataset in (*SCENES, GIVEN):
            return
        names = [*SCENES, *IMAGE_SETS]
        near = difflib.get_close_matches(self.dataset, names)
        hint = f"did you mean {' or '.join(near)}?" if near else f"choose one of {', '.join(names)}"
        raise InputError(
            f"`dataset`={self.dataset}: {hint}; or {TFDS_PREFIX}NAME of TensorFlow Datasets"
        )

    @property
    def is_image_set(self) -> bool:
        """Whether the data are images, and not the pixels of a scene."""
        return self.dataset in IMAGE_SETS or self.dataset.startswith(TFDS_PREFIX)

    @property
    def rgb_bands(self) -> tuple[int, int, int] | None:
        """The bands to show, or None where the scene is to choose.

        Raises:
            InputError: if the text is not three numbers.
        """
        numbers = [text.strip() for text in self.rgb.split(",")] if self.rgb else []
        if self.rgb and not (len(numbers) == 3 and all(n.isdecimal() for n in numbers)):
            raise InputError(f"`rgb`={self.rgb}: give three bands, counted from 0, such as 29,19,9")
        red, green, blue = map(int, numbers) if numbers else (0, 0, 0)
        return (red, green, blue) if numbers else None

    @property
    def reading(self) -> ReadOptions:
        """What the user says of a scene's arrays."""
        return ReadOptions.parse(**{name: getattr(self, name) for name in READING})


@dataclass(frozen=True)
class SplitOptions:
    """Which samples train, validate and test.

    Raises:
        InputError: on a value that cannot be used.
    """

    protocol: str = option(
        "",
        f"a scene and split of papers, instead of `dataset` and the flags below: "
        f"{', '.join(PROTOCOLS)}; experiments.datasets --protocols tells of each",
        may_change=True,
    )
    split: str = option(
        "random",
        "random, disjoint, polygons, official, a FILE with maps train and test, or "
        "package.module:function of your own; of a collection also scenes (by the roles in its "
        "table) and group; of images also lists of names, such as 'eurosat-spatial-*.txt'",
        path=True,
    )
    train_fraction: float | None = option(
        None,
        "part of each class to train on; default 0.1 of a scene, of images by set",
        kind=float,
        above=0,
        below=1,
    )
    train_per_class: int | None = option(
        None,
        "pixels of each class, instead of a fraction",
        kind=int,
        at_least=1,
    )
    small_classes: str = option(
        "error",
        "what to do with classes smaller than `train_per_class`",
        choices=("error", "half"),
    )
    block_size: int = option(
        8,
        "side of the blocks of `split`=disjoint",
        at_least=1,
    )
    guard: int | None = option(
        None,
        "with `split`=disjoint: pixels kept free between training and test; default half a patch",
        kind=int,
        at_least=0,
    )
    validation_fraction: float | None = option(
        None,
        "part of the training samples kept to choose the epoch; default 0.1, of images by set",
        kind=float,
        at_least=0,
        below=1,
    )
    as_published: bool = option(
        False,
        "as many papers do, let test pixels have a say: fit scaling and components on the whole "
        "scene, and choose the epoch on test pixels; what validation would choose is told as well",
    )

    def __post_init__(self):
        check_options(self)
        amount = self.train_fraction is not None or self.train_per_class is not None
        if self.train_fraction is not None and self.train_per_class is not None:
            raise InputError("`train_fraction` and `train_per_class` exclude each other; give one")
        if self.guard is not None and self.split != "disjoint":
            raise InputError(f"`guard`={self.guard} goes with `split`=disjoint; leave it out")
        of_file = Path(self.split).suffix in (".npz", ".mat", LIST_SUFFIX)
        fixed = self.split == "official" or of_file
        if amount and fixed:
            raise InputError(
                f"`split`={self.split} already says which pixels to train on; leave out "
                f"`train_fraction` and `train_per_class`"
            )

    @property
    def by_lists(self) -> bool:
        """Whether lists of names say which images train, validate and test."""
        return self.split.endswith(LIST_SUFFIX)
