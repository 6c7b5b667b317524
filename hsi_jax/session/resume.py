"""What a checkpoint of a run holds besides its arrays, and how a run goes on from one."""

import logging
from collections.abc import Callable, Sequence

import msgspec

from hsi_jax.cluster.exchange import is_first, on_first
from hsi_jax.cluster.processes import broadcast, rank
from hsi_jax.command_line import with_flags
from hsi_jax.errors import InputError
from hsi_jax.run import Checkpoint, Checkpoints
from hsi_jax.run.records import Record, Start, Step
from hsi_jax.session.results import model_of
from hsi_jax.session.resume_check import check_same_run
from hsi_jax.session.setup import Setup
from hsi_jax.train import Hook, Progress, Rebalancing
from hsi_jax.trained.from_training import library_versions

_log = logging.getLogger(__name__)


class Saver(Hook):
    """Saves a training's progress with all else that the run depends on.

    The first process saves. Where it may be lost, the others keep what it was to save: whoever
    becomes the first then saves that, unless it is there, because the lost one may not have.
    """

    def __init__(self, setup: Setup, rebalancing: Rebalancing | None, checkpoints: Checkpoints):
        """Into the checkpoints of the run."""
        self._folder, self._kept = setup.folder, None
        on_first(self._take_over)
        model = model_of(setup, setup.state, 0)
        self._rebalancing, self._checkpoints = rebalancing, checkpoints
        self._facts = {
            "config": setup.options.to_json(),
            "data": setup.fingerprint.whole,
            "versions": _versions(),
            "model": msgspec.to_builtins(model.description),
        }
        self._arrays = {"model": model.arrays_beside()} if model.preprocessing else {}

    def on_save(self, progress: Progress) -> None:
        """See `Hook`."""
        plan = progress.plan
        assert plan is not None  # steps have been taken
        facts = {
            **self._facts,
            "weights": plan.sample_weights.tolist(),
            "shares": list(plan.shares),
            "rebalancing": self._rebalancing.state(plan) if self._rebalancing else None,
        }
        if is_first():
            self._checkpoints.save(progress, facts, self._arrays)
        else:
            self._kept = progress, facts

    def _take_over(self) -> None:
        self._checkpoints.path = self._folder.checkpoints.absolute()
        if self._kept:
            self._checkpoints.save(*self._kept, self._arrays)


def find_checkpoint(setup: Setup, checkpoints: Checkpoints) -> Checkpoint | None:
    """The newest sound checkpoint, in every process; process 0 alone needs to reach the files.

    Raises:
        InputError: if it is of another run or of other data, or the folder cannot be used.
    """
    try:
        found = checkpoints.newest() if rank() == 0 else None
    except OSError as error:
        raise InputError(f"`resume`: {checkpoints.path} cannot be used: {error}") from None
    data = broadcast(found.to_bytes() if found else b"")
    if not data:
        if rank() == 0:
            _log.warning(
                with_flags(
                    "`resume`: there is no sound checkpoint in %s yet; the run starts at step 0."
                ),
                checkpoints.path,
            )
        return None
    checkpoint = Checkpoint.of_bytes(data)
    check_same_run(checkpoint.facts["config"], setup.options)
    if checkpoint.facts["data"] != setup.fingerprint.whole:
        raise InputError(
            "`resume`: the data are not those that the run was started with (their SHA-256 "
            "differs); put the same files in place"
        )
    if rank() == 0 and checkpoint.facts["versions"] != _versions():
        _log.warning(
            "The checkpoint was written with %s, and this is %s: the training goes on, but need "
            "not end in the same bits.",
            checkpoint.facts["versions"],
            _versions(),
        )
    return checkpoint


def check_weights(setup: Setup, checkpoint: Checkpoint) -> None:
    """Checks that a scheme whose result depends on the devices has the same ones.

    Raises:
        InputError: if their shares or weights are others.
    """
    plan, facts = setup.plan, checkpoint.facts
    if plan.scheme.exact:
        return
    if (facts["shares"], facts["weights"]) != (list(plan.shares), plan.sample_weights.tolist()):
        raise InputError(
            f"`resume`: with `scheme`={plan.scheme.name} the result depends on the devices, whose "
            f"shares were {facts['shares']} and would be {list(plan.shares)} or weigh otherwise; "
            f"give the profile of before (where it was measured, the profile.json of the run)"
        )


def keeps_record(
    step: int, sets: Sequence[str], validate_every: int, num_steps: int
) -> Callable[[Record], bool]:
    """Which records of metrics.jsonl are of the first `step` steps and of the training's course.

    A validation after Ctrl-C, or of steps that are to be done again, is not; `sets` are those that
    are evaluated while training.
    """

    def keep(record: Record) -> bool:
        if isinstance(record, Start):
            return True
        if isinstance(record, Step):
            return record.step < step
        regular = record.step % validate_every == 0 or record.step == num_steps
        return record.set in sets and record.step <= step and regular

    return keep


def _versions() -> dict[str, str]:
    """Of the libraries on whose release the bits of a training depend."""
    versions = library_versions()
    return {name: versions[name] for name in ("hsi_jax", "jax", "jaxlib")}
