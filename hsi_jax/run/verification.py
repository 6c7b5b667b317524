"""What a replay of a run has found, as verification.json in its folder tells it."""

from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from hsi_jax.errors import InputError, StorageError
from hsi_jax.json_file import read_json

NAME = "verification.json"


@dataclass(frozen=True, kw_only=True)
class Verification:
    """A replay of the steps of a run on other devices, compared with what the run has written.

    Attributes:
        equal: whether all that was compared is equal, bit for bit.
        first_step: the first step that was replayed, from 0.
        last_step: the last one that was compared.
        differences: what differs, a sentence each, the first one first; empty where all is equal.
        digests_compared: whether digests of the steps were, and not only their losses, because
            another version wrote them.
        compared: what else was, such as "2 checkpoints".
        max_loss_difference: the largest difference of the losses of a step.
        promised: whether equal bits were to be expected: the same versions and processor.
        unlike: what is unlike the run, a sentence each.
        hardware: of the replay.
        run_hardware: of the run, "" where it is not known.
        versions: of the libraries of the replay.
        when: date and time of the replay, ISO 8601.
    """

    equal: bool
    first_step: int
    last_step: int
    differences: list[str] = field(default_factory=list)
    digests_compared: bool = True
    compared: list[str] = field(default_factory=list)
    max_loss_difference: float = 0.0
    promised: bool = True
    unlike: list[str] = field(default_factory=list)
    hardware: str = ""
    run_hardware: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    when: str = ""

    @property
    def line(self) -> str:
        """What was found, in a line."""
        steps = f"steps {self.first_step} to {self.last_step}"
        if not self.digests_compared:
            steps = f"the losses of {steps} (another version wrote the digests)"
        if self.equal:
            return f"{steps} are equal to the replay, bit for bit, and {_listed(self.compared)}"
        return f"{steps} were replayed, and not all is equal: {'; '.join(self.differences)}"

    def write(self, folder: Path) -> Path:
        """Writes it into the folder of the run, over that of an earlier replay.

        Raises:
            StorageError: if that fails.
        """
        path = folder / NAME
        partial = path.with_name(f".{NAME}.partial")
        try:
            partial.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")
            partial.replace(path)
        except OSError as error:
            raise StorageError(f"{path} cannot be written: {error.strerror}") from None
        return path


def read_verification(path: Path) -> Verification:
    """What `Verification.write` has written.

    Raises:
        InputError: if it cannot be read.
    """
    try:
        return msgspec.convert(read_json(path), Verification)
    except msgspec.ValidationError as error:
        raise InputError(f"{path} is not the verification of a run: {error}") from None


def _listed(things: list[str]) -> str:
    return f"so are {', '.join(things)}" if things else "nothing else was there to compare"
