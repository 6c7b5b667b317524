"""What metrics.jsonl holds: one record a line, declared here for all who write or read it."""

import contextlib
from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

# What float32 can hold: a larger one was not written by a training.
Number = Annotated[float, msgspec.Meta(ge=-3.5e38, le=3.5e38)]


class Start(msgspec.Struct, frozen=True, tag_field="kind", tag="start"):
    """The first record.

    Attributes:
        num_steps: steps that the training will take.
        data: SHA-256 of each part of the data, by its name; empty in runs of older versions.
        digests: version of the digests of the steps (`hsi_jax.train.digest.VERSION`).
    """

    num_steps: int
    data: dict[str, str] = {}
    digests: int = 1


class Step(msgspec.Struct, frozen=True, tag_field="kind", tag="step"):
    """One step of training.

    Attributes:
        step: its number, from 0.
        loss: before its update; None where it was not finite.
        learning_rate: of its update.
        seconds: measured time of all steps so far, s, without compiling and validating.
        step_seconds: measured time of this step, s.
        digest: of the batch's sums of loss, gradient and statistics, 16 hexadecimal digits; "" in
            runs of older versions. Where it is equal, these are equal bit for bit.
    """

    step: int
    loss: Number | None
    learning_rate: Number
    seconds: Number
    step_seconds: Number
    digest: str = ""


class Evaluation(msgspec.Struct, frozen=True, tag_field="kind", tag="evaluation"):
    """The scores of a state on one set of the split.

    Attributes:
        set: "validation" or "test".
        step: steps taken by the state.
        loss: mean over the samples.
        overall_accuracy: OA, a fraction of 1.
        average_accuracy: AA, a fraction of 1.
        kappa: Cohen's kappa.
    """

    set: Literal["validation", "test"]
    step: int
    loss: Number
    overall_accuracy: Number
    average_accuracy: Number
    kappa: Number


class Reconstruction(msgspec.Struct, frozen=True, tag_field="kind", tag="reconstruction"):
    """How well a masked autoencoder fills in what is hidden, on one set of the split.

    Attributes:
        set: "validation", or "train" where no pixels are held out.
        step: steps taken by the state.
        error: mean squared error of the hidden values, in units of the scaled bands.
        error_of_mean: the same, if the mean were given for every one.
    """

    set: Literal["validation", "train"]
    step: int
    error: Number
    error_of_mean: Number


Record = Start | Step | Evaluation | Reconstruction


def write_record(record: Record) -> str:
    """The line of a record, with its line break.

    Raises:
        ValueError: if a number is NaN or infinite, which JSON cannot hold.
    """
    _check_finite(record)
    return msgspec.json.encode(record).decode() + "\n"


def read_records(lines: Iterable[bytes | str]) -> list[Record]:
    """The records of these lines; a line that holds none, as a kill may leave one, is left out."""
    records = []
    for line in lines:
        with contextlib.suppress(msgspec.MsgspecError, UnicodeError):
            records.append(_DECODER.decode(line))
    return records


def training_seconds(records: Iterable[Record]) -> float:
    """Measured time of all steps, s, also of those before a resumption; 0 where there are none."""
    return max((record.seconds for record in records if isinstance(record, Step)), default=0.0)


_DECODER = msgspec.json.Decoder(Record)


def _check_finite(record: Record) -> None:
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if isinstance(value, float) and not abs(value) < float("inf"):
            raise ValueError(f"{name} of a record is {value}; use None")
