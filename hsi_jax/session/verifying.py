"""Replays the steps of a run and compares every one with what the run has written.

A microbatch is a function of the seed, the step and its number, and sums do not depend on who adds
them. So a replay on other devices of the same kind gives the same bits, and a step that does not
is a fault: of the data, of the options, of a device, or of a file that was changed.
"""

import platform
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from hsi_jax.errors import InputError
from hsi_jax.kernels import use_compilation_cache
from hsi_jax.models import find_trait
from hsi_jax.run import Checkpoint, Checkpoints, RunFolder
from hsi_jax.run.manifest import find_damage
from hsi_jax.run.records import Step
from hsi_jax.run.verification import Verification
from hsi_jax.session.kernels import with_kernels
from hsi_jax.session.resolve import resolve
from hsi_jax.session.resume_check import differing_options
from hsi_jax.session.setup import Setup, join_devices, set_up
from hsi_jax.session.summarise_devices import describe_hardware
from hsi_jax.session.written_run import Written
from hsi_jax.temporary import temporary_folder
from hsi_jax.train import Course, Hook, Progress, fit
from hsi_jax.train.digest import VERSION, digest_text
from hsi_jax.trained import TrainedModel
from hsi_jax.trained.from_training import library_versions
from hsi_jax.trained.network import flatten


def verify(written: Written, *, first: int | None = None, last: int | None = None) -> Verification:
    """Replays steps of a run and compares them, its checkpoints, its data and its model.

    Args:
        written: what the run has left.
        first: the first step to compare; None for 0. The replay starts from the newest checkpoint
            before it, or from the beginning.
        last: the last one; None for the last that the run has written.

    Raises:
        InputError: if the run cannot be replayed here.
    """
    first, last = first or 0, max(written.steps) if last is None else last
    if not 0 <= first <= last <= max(written.steps):
        raise InputError(
            f"`steps`={first}..{last}: the run has written the steps 0..{max(written.steps)}"
        )
    resolved = resolve(written.options, in_cluster=False)
    if not find_trait(written.options.model_name, "trained_by_gradient"):
        raise InputError(f"{written.options.model_name} is fitted at once; it has no steps")
    profile = join_devices(resolved)
    use_compilation_cache()
    with temporary_folder() as nowhere:
        setup = set_up(with_kernels(resolved), profile, RunFolder(nowhere))
        return _Replay(written, setup).run(first, last)


class _Replay:
    """A replay that is going on, and what it has found so far."""

    def __init__(self, written: Written, setup: Setup):
        self._written, self._setup = written, setup
        self._checkpoints = Checkpoints(written.folder / "checkpoints")
        self._differences: list[str] = []
        self._hardware = describe_hardware(setup.replicas)
        self._versions = {"python": platform.python_version(), **library_versions()}
        self._unlike = self._find_unlike()
        self._step, self._max_difference = 0, 0.0
        self._compared = {"checkpoints": 0, "model": 0}

    def run(self, first: int, last: int) -> Verification:
        """Replays from a checkpoint or the beginning."""
        self._compare_data()
        checkpoints = self._sound_checkpoints()
        progress = self._start(first, checkpoints)
        start = self._step = progress.step
        try:
            for end in self._stops(start, last, checkpoints):
                progress = self._advance(progress, end)
                if end in checkpoints:
                    self._compare_checkpoint(progress, checkpoints[end])
                if self._written.summary and end == self._written.summary.best_step:
                    self._compare_model(progress)
        except _FirstDifferenceError as found:
            last = found.step
        return Verification(
            equal=not self._differences,
            first_step=start,
            last_step=last,
            differences=self._differences,
            digests_compared=self._written.digests == VERSION,
            compared=self._list_compared(),
            max_loss_difference=self._max_difference,
            promised=not self._unlike,
            unlike=self._unlike,
            hardware=self._hardware,
            run_hardware=self._written.summary.hardware if self._written.summary else "",
            versions=self._versions,
            when=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def compare_step(self, step: int, digest: str, loss: float) -> None:
        """Compares a step with what was written of it.

        Raises:
            _FirstDifferenceError: at the first difference, where equal bits were to be expected.
        """
        known = self._written.steps.get(step)
        if known is None:
            return
        if known.loss is not None:
            self._max_difference = max(self._max_difference, abs(known.loss - loss))
        same_loss = known.loss == (loss if np.isfinite(loss) else None)
        same_sums = known.digest == digest or self._written.digests != VERSION
        if same_sums and same_loss:
            return
        if not any(text.startswith("step") for text in self._differences):
            self._differences.append(self._name_step(step, known, loss, same_loss))
        if not self._unlike:
            raise _FirstDifferenceError(step)

    def _name_step(self, step: int, known: Step, loss: float, same_loss: bool) -> str:
        if not same_loss:
            found = f"step {step} has the loss {loss!r}, but {known.loss!r} is written"
        else:
            found = f"step {step} has the written loss, but other sums of the gradients"
        if step == self._step:
            return f"{found}; it is the first one, so data, options or a device differ"
        return f"{found}; the sums before are equal, so the update, the batch or a device differ"

    def _find_unlike(self) -> list[str]:
        """What makes other bits likely: versions and processors that the run did not have."""
        summary = self._written.summary
        if summary is None:
            return []
        unlike = [
            f"{name} is {self._versions[name]}, and was {version}"
            for name, version in summary.versions.items()
            if self._versions.get(name, version) != version
        ]
        own, then = (text.partition("(")[2].partition(")")[0] for text in self._hardwares())
        if own != then:
            unlike.append(f"the hardware is {self._hardware}, and was {summary.hardware}")
        return unlike

    def _hardwares(self) -> tuple[str, str]:
        assert self._written.summary is not None
        return self._hardware, self._written.summary.hardware

    def _compare_data(self) -> None:
        for name, digest in self._setup.fingerprint.parts.items():
            if self._written.data.get(name, digest) != digest:
                self._differences.append(f"the {name} is not the one of the run (SHA-256)")
        model = self._written.folder / "model"
        if model.is_dir() and (damage := find_damage(model)):
            self._differences.append(f"the model is damaged: {damage}")

    def _sound_checkpoints(self) -> dict[int, Checkpoint]:
        """The checkpoints by their steps; what is wrong with one is a difference."""
        sound = {}
        for step in self._checkpoints.steps():
            try:
                sound[step] = self._checkpoints.at(step)
            except InputError as error:
                self._differences.append(str(error))
                continue
            others = differing_options(sound[step].facts["config"], self._written.options)
            if others := [name for name in others if name != "scheme"]:  # an exact one is another
                names = ", ".join(others)
                self._differences.append(
                    f"config.json has another {names} than the checkpoint of step {step}"
                )
        return sound

    def _start(self, first: int, checkpoints: dict[int, Checkpoint]) -> Progress:
        """The progress to start from: of the newest checkpoint up to a step, or none."""
        before = [step for step in checkpoints if step <= first]
        if not before:
            return Progress.start(self._setup.state)
        return Progress.of_checkpoint(checkpoints[max(before)], self._setup.state)

    def _stops(self, start: int, last: int, checkpoints: dict[int, Checkpoint]) -> Sequence[int]:
        """Numbers of steps taken, at which the state is compared, and the end."""
        best = [self._written.summary.best_step] if self._written.summary else []
        return sorted({n for n in (*checkpoints, *best, last + 1) if start < n <= last + 1})

    def _advance(self, progress: Progress, end: int) -> Progress:
        setup, reached = self._setup, _Reached(self)
        course = Course(
            batches=setup.dataset.batches(setup.recipe),
            num_steps=end,
            skip_nonfinite=setup.options.checkpoints.on_nonfinite == "skip",
        )
        fit(setup.replicas, progress, course, plan=setup.plan, hooks=[reached])
        assert reached.progress is not None  # the last step of a course is saved
        return reached.progress

    def _compare_checkpoint(self, progress: Progress, checkpoint: Checkpoint) -> None:
        self._compared["checkpoints"] += 1
        if name := _first_unequal(progress.to_tree()["state"], checkpoint.tree["state"]):
            self._differences.append(
                f"the checkpoint of step {checkpoint.step} has another {name} than the replay, "
                f"although all sums before are equal: the update differs, or it was changed"
            )

    def _compare_model(self, progress: Progress) -> None:
        folder = self._written.folder / "model"
        if not folder.is_dir() or find_damage(folder):
            return
        model, state = TrainedModel.load(folder), progress.state
        self._compared["model"] = 1
        own = {"params": state.params, "batch_stats": state.batch_stats}
        if name := _first_unequal(own, {"params": model.params, "batch_stats": model.batch_stats}):
            self._differences.append(f"the model has another {name} than the replay")

    def _list_compared(self) -> list[str]:
        count = self._compared["checkpoints"]
        words = [f"{count} checkpoint{'s' if count > 1 else ''}"] if count else []
        return words + (["the model"] if self._compared["model"] else [])


class _Reached(Hook):
    """Compares each step, and keeps the state at the end of a part."""

    def __init__(self, replay: _Replay):
        self._replay, self._digest, self.progress = replay, "", None

    def on_sums(self, step: int, digest: np.ndarray) -> None:
        """See `Hook`."""
        self._digest = digest_text(digest)

    def on_step(self, step: int, loss: float, seconds: float) -> None:
        """See `Hook`."""
        self._replay.compare_step(step, self._digest, loss)

    def on_save(self, progress: Progress) -> None:
        """See `Hook`."""
        self.progress = progress


class _FirstDifferenceError(Exception):
    """A step differs; the steps after it tell nothing more."""

    def __init__(self, step: int):
        super().__init__(step)
        self.step = step


def _first_unequal(one: dict, other: dict) -> str:
    """The name of the first array that differs between two trees, "" where none does."""
    ours, theirs = flatten(one), flatten(other)
    for name in sorted(ours.keys() | theirs.keys()):
        if name not in ours or name not in theirs:
            return name
        if np.asarray(ours[name]).tobytes() != np.asarray(theirs[name]).tobytes():
            return name
    return ""
