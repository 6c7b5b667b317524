"""What a trained model says of itself, checked so that nothing in it can mislead or harm a reader.

Bounds of single fields stand in their types, which are checked where a description is read; what
fields say of one another is checked wherever one is made.
"""

import math
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from hsi_jax.errors import InputError

FORMAT = 1
CLASSIFIER, PRETRAINED = "classify", "pretrain"  # tasks
MAX_CLASSES = 2**16 - 1  # whose maps are written as uint16
MAX_VALUES = 2**30  # of the inputs that are predicted together

Int32 = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
Size = Annotated[int, Meta(ge=1, le=2**20)]
Count = Annotated[int, Meta(ge=0, le=2**62)]
Name = Annotated[str, Meta(max_length=1000)]
Text = Annotated[str, Meta(max_length=20_000)]
Colour = Annotated[str, Meta(pattern=r"^#[0-9a-fA-F]{6}\Z")]


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """Where a model comes from; what is not known is empty.

    Attributes:
        dataset: name of the data it was trained on.
        note: what a reader of its results has to know.
        split: kind of the split.
        counts: samples of each set of the split.
        seed: of the training.
        steps: updates of the parameters.
        test: OA, AA and kappa on the test samples, fractions of 1.
        test_digest: of the samples that it was not to see; empty where it is not known.
        unseen_scenes: names of the scenes of a collection of which it has seen no pixel.
        versions: of the libraries it was trained with.
    """

    dataset: Name = ""
    note: Text = ""
    split: Name = ""
    counts: dict[Name, Count] = {}
    seed: Count | None = None
    steps: Count = 0
    test: dict[Name, float] = {}
    test_digest: Name = ""
    unseen_scenes: tuple[Name, ...] = ()
    versions: dict[Name, Name] = {}


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """All of a trained model but its arrays: the content of model.json.

    Attributes:
        format: number of the format of the folder.
        kind: "patch" for the pixels of scenes, "image" for whole images.
        task: "pretrain" for a network that was trained without labels: a `MaskedAutoencoder`, which
            has no classes; its channels may outnumber its bands, as those of any model may that
            started from one of more bands.
        architecture: name of `hsi_jax.models.MODELS`, or package.module:factory.
        options: of the architecture, as `hsi_jax.models.parse_options` reads them.
        class_names: C names.
        class_ids: the id that each class has in label files.
        colours: of each class, "#rrggbb".
        unlabelled_id: the id of pixels without a class in label files.
        input_shape: of one input: rows, columns and channels after preprocessing.
        num_bands: bands of the scenes, or channels of the images, that it takes.
        wavelengths: of these bands, nm, or None where they are not known.
        band_names: of these bands; empty where they are not known.
        value_ranges: of each such band, the 1st and the 99th percentile of the training scene;
            empty where they are not known.
        file_bands: bands of the training scene's file; None if all of them were used.
        kept_bands: those of them that were used, counted from 0; None if all were.
        band_axis: axis along which the bands lay in that file.
        nodata_values: values that stood for no data in the training scene; NaN is null.
        image_dtype: of the images, such as "uint16"; empty for scenes, and where it is not known.
        mean: subtracted from each channel of an image; empty for scenes.
        deviation: by which it is then divided.
        microbatch_size: samples that are predicted together; another number may round otherwise.
        provenance: where the model comes from.

    Raises:
        InputError: if fields contradict each other, such as 3 ids for 4 classes.
    """

    format: int = FORMAT
    kind: Literal["patch", "image"]
    task: Literal["classify", "pretrain"] = CLASSIFIER
    architecture: Name
    options: Text
    class_names: Annotated[tuple[Name, ...], Meta(max_length=MAX_CLASSES)]
    class_ids: tuple[Int32, ...]
    colours: tuple[Colour, ...]
    unlabelled_id: Int32 = -1
    input_shape: tuple[Size, Size, Size]
    num_bands: Size
    wavelengths: tuple[float, ...] | None = None
    band_names: tuple[str, ...] = ()
    value_ranges: tuple[tuple[float, float], ...] = ()
    file_bands: Size | None = None
    kept_bands: tuple[Annotated[int, Meta(ge=0)], ...] | None = None
    band_axis: Literal[0, 1, 2] = 2
    nodata_values: Annotated[tuple[float | None, ...], Meta(max_length=1000)] = ()
    image_dtype: Annotated[str, Meta(pattern=r"^(u?int(8|16|32|64)|float(16|32|64)|bool)?\Z")] = ""
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()
    microbatch_size: Size = 16
    provenance: Provenance = msgspec.field(default_factory=Provenance)

    def __post_init__(self):
        if bool(self.class_names) == (self.task == PRETRAINED):
            raise InputError(f"`class_names` has {len(self.class_names)} entries: {self.task}")
        self._check_lengths()
        self._check_numbers()
        if len(set(self.class_ids)) < len(self.class_ids):
            raise InputError("`class_ids`: two classes have the same id")
        if self.kept_bands is not None and max(self.kept_bands) >= (self.file_bands or 0):
            raise InputError(
                f"`kept_bands`: band {max(self.kept_bands)} is not one of the "
                f"{self.file_bands or 'unknown'} bands of the file, counted from 0"
            )
        values = math.prod(self.input_shape) * self.microbatch_size
        if values > MAX_VALUES:
            raise InputError(
                f"`input_shape`={self.input_shape} and `microbatch_size`={self.microbatch_size}: "
                f"{values} numbers are predicted together, and at most {MAX_VALUES} can be"
            )

    def require_classes(self) -> None:
        """Checks that the model predicts classes.

        Raises:
            InputError: if it was trained without labels, and so is an encoder alone.
        """
        if self.task == PRETRAINED:
            raise InputError(
                "the model is an encoder that was trained without labels, and has no classes to "
                "predict; train a classifier from it first, with `init` and its folder"
            )

    def _check_lengths(self) -> None:
        classes, bands = len(self.class_names), self.num_bands
        rows, columns, channels = self.input_shape
        of_images = channels if self.kind == "image" else 0
        lengths = {
            "class_ids": classes,
            "colours": classes,
            "wavelengths": bands,
            "kept_bands": bands,
            "value_ranges": bands if self.value_ranges else 0,
            "mean": of_images,
            "deviation": of_images,
        }
        for name, length in lengths.items():
            value = getattr(self, name)
            if value is not None and len(value) != length:
                raise InputError(
                    f"`{name}` has {len(value)} entries; {length} are needed for {classes} classes "
                    f"and {bands} bands"
                )
        if self.kind == "patch" and (rows != columns or rows % 2 == 0):
            raise InputError(
                f"`input_shape`={self.input_shape}: a patch is square and has an odd side"
            )
        if self.kind == "image" and channels != bands:
            raise InputError(f"`input_shape`={self.input_shape}, but `num_bands`={bands}")

    def _check_numbers(self) -> None:
        ranges = tuple(number for pair in self.value_ranges for number in pair)
        numbers = {
            "wavelengths": self.wavelengths or (),
            "value_ranges": ranges,
            "mean": self.mean,
            "deviation": self.deviation,
        }
        for name, values in numbers.items():
            if not all(map(math.isfinite, values)):
                raise InputError(f"`{name}` has a number that is not finite")
        if min(self.deviation, default=1) <= 0:
            raise InputError("`deviation` has a number that is not above 0")


class _Format(msgspec.Struct):
    """The part of model.json by which its format is known."""

    format: Any = None


def read_description(content: Any, source: str) -> Description:
    """The description in a text of JSON, or in what was read from JSON.

    Args:
        content: text, or what JSON gave.
        source: where it comes from, for messages.

    Raises:
        InputError: if it is of another format or does not describe a model.
    """
    read: Any = msgspec.json.decode if isinstance(content, str) else msgspec.convert
    try:
        number = read(content, type=_Format).format
        if number != FORMAT:
            raise InputError(
                f"{source} has format {str(number)[:20]}, but this version of hsi_jax reads format "
                f"{FORMAT}; use the version that wrote it"
            )
        return read(content, type=Description)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise InputError(f"{source} does not describe a trained model: {error}") from None
