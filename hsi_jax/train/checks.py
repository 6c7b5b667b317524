"""What is compared among the devices while they train; nothing is saved where it differs."""

from collections.abc import Callable

from hsi_jax.cluster.exchange import num_processes
from hsi_jax.hetero import Work
from hsi_jax.train.audit import Audit, Auditing
from hsi_jax.train.drift import DriftCheck
from hsi_jax.train.replicas import Replicas
from hsi_jax.train.state import TrainState


class Checks:
    """Compares the devices' states, and what they compute."""

    def __init__(
        self,
        replicas: Replicas,
        live: TrainState,
        work: Work,
        *,
        step: int,
        is_due: Callable[[int], bool],
        auditing: Auditing | None,
    ):
        """Compiles for a replicated state after so many steps.

        Args:
            replicas: the devices.
            live: a replicated state.
            work: of a step.
            step: steps that it has taken.
            is_due: whether states are compared after this many steps, also without a checkpoint.
            auditing: of the devices, or None.
        """
        self._is_due = is_due
        self._drift = DriftCheck(replicas, live, step) if num_processes() > 1 else None
        self._audit = Audit(replicas, live, work, auditing) if auditing else None

    def check(self, live: TrainState, work: Work, done: int, *, saves: bool) -> None:
        """Compares what is due after a step, and all before a checkpoint.

        Raises:
            DriftError: see `DriftCheck`.
            AuditError: see `Audit`.
        """
        if self._drift and (saves or self._is_due(done)):
            self._drift.check(live, done)
        if self._audit and (saves or self._audit.is_due(done)):
            self._audit.check(live, work, done)
