"""Checkpoints that can be trusted: written by Orbax, sealed by digests, verified before use."""

import contextlib
import json
import logging
import math
import re
import shutil
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import jax
import numpy as np
import orbax.checkpoint as ocp
from flax import serialization

from hsi_jax.errors import InputError
from hsi_jax.json_file import read_json
from hsi_jax.run.manifest import find_damage, sync_folder, write_manifest

FORMAT = 1
FACTS = "facts.json"
PARTIAL, DAMAGED = ".partial", ".damaged"
# A run's weights hardly get smaller in a file; the state of an optimiser may be zeros at first.
_MAX_INFLATION, _SMALL = 100, 2**26

_log = logging.getLogger(__name__)


class Saveable(Protocol):
    """What can be saved, such as `hsi_jax.train.Progress`."""

    @property
    def step(self) -> int:
        """Steps that have been taken."""
        ...

    def to_tree(self) -> dict:
        """Dictionaries of NumPy arrays, none of them empty, that nobody changes afterwards."""
        ...

    def to_facts(self) -> dict:
        """The rest, as JSON can hold it."""
        ...


@dataclass(frozen=True)
class Checkpoint:
    """What was read from a sound checkpoint.

    Attributes:
        step: steps that had been taken.
        facts: what was saved beside the arrays.
        tree: dictionaries of NumPy arrays.
    """

    step: int
    facts: dict
    tree: dict

    def to_bytes(self) -> bytes:
        """All of it, for processes that cannot read the files; `of_bytes` takes it back."""
        whole = {"step": self.step, "facts": json.dumps(self.facts), "tree": self.tree}
        return serialization.msgpack_serialize(whole)

    @classmethod
    def of_bytes(cls, data: bytes) -> "Checkpoint":
        """The checkpoint whose `to_bytes` was given."""
        whole: Any = serialization.msgpack_restore(data)
        return cls(whole["step"], json.loads(whole["facts"]), whole["tree"])


class Checkpoints:
    """The checkpoints of one run, a folder each, named by step; one process alone has them.

    A checkpoint is written to a folder NAME.partial: the arrays by Orbax, the facts as JSON, and
    last a manifest of the SHA-256 of each file. When all that has reached the disk the folder gets
    its name, and only then are older ones removed. So a kill at any instant leaves every earlier
    checkpoint as it was. Each holds the best state by validation besides the current one, so that
    removing the others never loses it.

    Saving that fails (a full disk, a folder that has become read-only) does not end the training,
    whose course it does not touch and which may outlast the trouble: the reason is logged at once
    and kept in `failures`, to be told again at the end.

    Use it in a `with` statement, or call `wait` before the program ends.

    Attributes:
        path: the folder that holds them.
        keep: how many are kept, the newest, at least 1.
        failures: why a save has failed, a line each.
    """

    def __init__(self, path: str | Path, keep: int = 3):
        self.path = Path(path).absolute()
        self.keep = keep
        self.failures: list[str] = []
        self._pool = ThreadPoolExecutor(1, "checkpoint")
        self._saving: Future | None = None
        # In a cluster Orbax would otherwise wait for processes that never call it.
        alone = ocp.options.MultiprocessingOptions(
            primary_host=jax.process_index(),
            active_processes={jax.process_index()},
            barrier_sync_key_prefix="hsi_jax",
        )
        handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=alone)
        # Not Orbax's AsyncCheckpointer, which cannot seal a checkpoint after it is complete.
        self._orbax = ocp.Checkpointer(handler, multiprocessing_options=alone)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *exception) -> None:
        self.wait()

    def save(
        self,
        progress: Saveable,
        facts: Mapping | None = None,
        arrays: Mapping[str, dict] | None = None,
    ) -> None:
        """Saves in the background; waits only for an earlier save that is not done yet.

        Args:
            progress: what is saved.
            facts: what else is to be kept, as JSON can hold it.
            arrays: further trees of arrays to keep, by name.
        """
        self.wait()
        facts = {**(facts or {}), **progress.to_facts()}
        tree = {**progress.to_tree(), **(arrays or {})}
        self._saving = self._pool.submit(self._save, progress.step, tree, facts)

    def wait(self) -> None:
        """Returns when the last save is done, or has failed."""
        if self._saving is None:
            return
        future, self._saving = self._saving, None
        error = future.exception()
        # Orbax and TensorStore have no error of their own for a disk that is full.
        if error is not None:
            self.failures.append(" ".join(str(error).split())[:300])
            _log.warning(
                "A checkpoint could not be saved, and training goes on without it: %s",
                self.failures[-1],
            )

    def steps(self) -> list[int]:
        """Steps of the checkpoints that were written whole, sound or not, in order."""
        if not self.path.is_dir():
            return []
        return sorted(int(p.name) for p in self.path.iterdir() if _is_named(p, ""))

    def newest(self, repair: bool = True) -> Checkpoint | None:
        """Reads the newest checkpoint that is sound, or gives None where there is none.

        A newer one that is damaged is passed over, and a warning says what is wrong with it.

        Args:
            repair: whether to put damaged checkpoints aside under another name, and to remove what
                a kill left half-written. Leave it out where the run may still be going on.

        Raises:
            InputError: if the newest sound one was written by another version that this one cannot
                read.
        """
        if repair:
            self._remove_partial()
        for step in reversed(self.steps()):
            damage = self._damage(step)
            if not damage:
                return self._read(step)
            place = self._put_aside(step) if repair else self._folder(step)
            _log.warning(
                "The checkpoint of step %d is damaged: %s. It is %s, and an earlier one is looked "
                "for.",
                step,
                damage,
                f"now {place}" if repair else place,
            )
        return None

    def at(self, step: int) -> Checkpoint:
        """Reads the checkpoint of a step.

        Raises:
            InputError: saying what is wrong with it, if it is not sound.
        """
        if damage := self._damage(step):
            raise InputError(f"the checkpoint of step {step} is damaged: {damage}")
        return self._read(step)

    def clear(self) -> None:
        """Removes all checkpoints, damaged ones as well, and no other file."""
        if self.path.is_dir():
            for folder in list(self.path.iterdir()):
                if _is_named(folder, rf"({re.escape(PARTIAL)}|{re.escape(DAMAGED)}(-[0-9]+)?)?"):
                    shutil.rmtree(folder)
            with contextlib.suppress(OSError):  # it holds something else
                self.path.rmdir()

    def _folder(self, step: int) -> Path:
        return self.path / f"{step:08d}"

    def _save(self, step: int, tree: dict, facts: dict) -> None:
        folder = self._folder(step)
        partial = folder.with_name(folder.name + PARTIAL)
        if folder.exists():
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            self._orbax.save(partial / "arrays", args=ocp.args.PyTreeSave(tree))
            content = json.dumps({"format": FORMAT, "step": step, "facts": facts}, indent=2)
            (partial / FACTS).write_text(content + "\n", encoding="utf-8")
            write_manifest(partial)
            partial.rename(folder)
            sync_folder(self.path)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        for old in self.steps()[: -self.keep]:
            shutil.rmtree(self._folder(old))

    def _damage(self, step: int) -> str:
        """What is wrong with a checkpoint, or ""; what is sealed tells its step, not its name."""
        folder = self._folder(step)
        if damage := find_damage(folder, needed=[FACTS]):
            return damage
        try:
            sealed = read_json(folder / FACTS)["step"]
        except (InputError, KeyError, TypeError) as error:
            return f"its {FACTS} cannot be read ({error})"
        return "" if sealed == step else f"it holds step {sealed}, whatever its name says"

    def _read(self, step: int) -> Checkpoint:
        """Reads a sound checkpoint; what goes wrong here is not its damage."""
        folder = self._folder(step)
        content = read_json(folder / FACTS)
        if content["format"] != FORMAT:
            raise InputError(
                f"the checkpoint {folder} has format {content['format']}, but this version of "
                f"hsi_jax reads format {FORMAT}; go on with the version that wrote it"
            )
        try:
            # Without this, Orbax might ask for the devices that it was written on.
            metadata: Any = self._orbax.metadata(folder / "arrays").item_metadata
            _check_size(folder / "arrays", metadata.tree)
            as_arrays = jax.tree.map(
                lambda _: ocp.RestoreArgs(restore_type=np.ndarray), metadata.tree
            )
            arguments = ocp.args.PyTreeRestore(restore_args=as_arrays)
            tree = self._orbax.restore(folder / "arrays", args=arguments)
        except InputError:
            raise
        except (OSError, ValueError, KeyError, AttributeError) as error:
            raise InputError(
                f"the checkpoint {folder} is as it was written, but Orbax {ocp.__version__} cannot "
                f"read it ({' '.join(str(error).split())[:200]}); go on with the versions that "
                f"wrote it, which its facts.json may tell"
            ) from None
        return Checkpoint(step, content["facts"], tree)

    def _put_aside(self, step: int) -> Path:
        folder = self._folder(step)
        aside, number = folder.with_name(folder.name + DAMAGED), 1
        while aside.exists():
            number += 1
            aside = folder.with_name(f"{folder.name}{DAMAGED}-{number}")
        return folder.rename(aside)

    def _remove_partial(self) -> None:
        for folder in self.path.glob(f"*{PARTIAL}") if self.path.is_dir() else ():
            if _is_named(folder, re.escape(PARTIAL)):
                shutil.rmtree(folder)
                _log.warning("Removed %s, which was being written when the run ended.", folder)


def _check_size(folder: Path, tree: Any) -> None:
    """Raises an InputError if arrays of such shapes would take far more memory than the files."""
    claimed = sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if claimed > max(_SMALL, _MAX_INFLATION * size):
        raise InputError(
            f"the checkpoint {folder.parent} has {size} bytes, but claims arrays of {claimed} "
            f"bytes; no run writes so: remove it, or copy the run again"
        )


def _is_named(folder: Path, end: str) -> bool:
    """Whether it is a folder of ours, which is no link, by its step and the end of its name."""
    named = re.fullmatch(rf"[0-9]{{8,}}{end}", folder.name)
    return named is not None and folder.is_dir() and not folder.is_symlink()
