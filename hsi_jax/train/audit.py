"""A microbatch of each device computed by another like device as well, and both compared.

Bits that flip in a state are found by `DriftCheck`. A device that has other labels, another value
in its cube or another seed, or whose core multiplies wrongly, leaves all states equal: its sums are
added as any other's. But a microbatch is a pure function of what every device should have.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from hsi_jax.cluster.exchange import devices_of_processes, gather, lost_devices
from hsi_jax.cluster.processes import gather_texts
from hsi_jax.errors import AuditError
from hsi_jax.hetero import Work
from hsi_jax.hetero.exact import accumulate
from hsi_jax.kernels.compilation_cache import place_name
from hsi_jax.train.digest import digest
from hsi_jax.train.replicas import Replicas
from hsi_jax.train.samples import SampleSource
from hsi_jax.train.state import TrainState
from hsi_jax.train.step import contribution, split_halves


@dataclass(frozen=True)
class Auditing:
    """When devices are audited, and which of them are like each other.

    Attributes:
        every: steps from one audit to the next; the first step and each checkpoint are audited too.
        seed: which device computes whose microbatch is a function of (seed, step).
        kinds: of each device; see `find_kinds`.
    """

    every: int
    seed: int
    kinds: Sequence[str]


def find_kinds(replicas: Replicas) -> list[str]:
    """What each device is; those of the same kind compute the same bits, [devices].

    Every process must call it.
    """
    kind = next(d for d in replicas.devices if d.process_index == jax.process_index()).device_kind
    own = f"{kind} {place_name()}" if replicas.devices[0].platform == "cpu" else kind
    kinds = [text.decode() for text in gather_texts(own.encode())]
    counts = devices_of_processes()
    if len(counts) == 1:  # of which JAX may have more than are dealt work
        return kinds * replicas.count
    return [kind for kind, count in zip(kinds, counts, strict=True) for _ in range(count)]


def audit_step(state: TrainState, samples: SampleSource, work: Work) -> jax.Array:
    """The digest of the fixed-point sums of the device's own microbatches, uint32 [2]."""
    sums = accumulate(contribution(state, samples, work), work.count, max_terms=len(work.ids))
    return digest(split_halves(sums))


class Audit:
    """Has microbatches computed twice, now and then."""

    def __init__(self, replicas: Replicas, live: TrainState, work: Work, auditing: Auditing):
        """Compiles for a replicated state and the work of a step."""
        self._replicas, self._auditing = replicas, auditing
        nobody = np.zeros(replicas.count, int)
        ready = replicas.ready(pick(work, nobody, nobody))
        self._digest: Any = replicas.parallel(audit_step).lower(live, *ready).compile()
        self._agreed: int | None = None  # steps that had been taken

    def is_due(self, done: int) -> bool:
        """Whether there is an audit after this many steps, also without a checkpoint."""
        return self._agreed is None or done % self._auditing.every == 0

    def check(self, live: TrainState, work: Work, done: int) -> None:
        """Audits a microbatch of each device; every process must call it.

        Args:
            live: a replicated state.
            work: of the step before it.
            done: steps that have been taken.

        Raises:
            AuditError: in every process, if two like devices differ.
        """
        auditing, counts = self._auditing, work.count
        rng = np.random.default_rng((auditing.seed, done))
        pairs = draw_pairs(auditing.kinds, counts, lost_devices(), rng)
        places = rng.integers(np.maximum(counts, 1))

        def digests(owners: Mapping[int, int]) -> np.ndarray:
            """By device, of a microbatch of its own or of another owner."""
            whose = np.array([owners.get(device, device) for device in range(len(counts))])
            return self._digests(live, pick(work, whose, places))

        own = digests({})
        checked = digests({checker: owner for owner, checker in pairs.items()})
        differing = [(o, c) for o, c in pairs.items() if (own[o] != checked[c]).any()]
        # Those that are lost meanwhile give 0.
        differing = [pair for pair in differing if not lost_devices() & set(pair)]
        if differing:
            # A third one decides, where there is one.
            judges = {pair: pairs[pair[1]] for pair in differing}
            judged = digests({judge: owner for (owner, _), judge in judges.items()})
            wrong = [
                _find_wrong(pair, own[pair[0]], checked[pair[1]], judged[judge])
                if judge != pair[0]
                else pair
                for pair, judge in judges.items()
            ]
            raise AuditError(_describe(wrong, since=self._agreed, step=done - 1))
        self._agreed = done

    def _digests(self, live: TrainState, work: Work) -> np.ndarray:
        """Of what each device computes of its work, uint32 [devices, 2]."""
        counts, own = devices_of_processes(), len(self._replicas.own)
        shards = self._digest(live, *self._replicas.ready(work)).addressable_shards[:own]
        found = np.zeros((max(*counts, own), 2), np.uint32)
        found[:own] = [np.asarray(shard.data)[0] for shard in shards]
        rows = gather(found)
        if len(counts) == 1:  # of which JAX may have more than are dealt work
            return rows[0]
        return np.concatenate([row[:count] for row, count in zip(rows, counts, strict=True)])


def draw_pairs(
    kinds: Sequence[str],
    counts: Sequence[int] | np.ndarray,
    lost: Collection[int],
    rng: np.random.Generator,
) -> Mapping[int, int]:
    """Which device computes a microbatch of whom as well: the checker of each owner.

    The devices of a kind that have work go round in a circle, in an order drawn at random.
    """
    pairs = {}
    for kind in sorted(set(kinds)):
        like = [d for d, own in enumerate(kinds) if own == kind and counts[d] and d not in lost]
        if len(like) > 1:
            order = rng.permutation(like)
            pairs |= dict(zip(order.tolist(), np.roll(order, -1).tolist(), strict=True))
    return pairs


def pick(work: Work, owners: np.ndarray, places: np.ndarray) -> Work:
    """Work in which each device has one microbatch, with the weights of the device that owns it.

    Args:
        work: of a step.
        owners: whose microbatch each device is to compute, int [devices].
        places: which of an owner's microbatches, int [devices], by the owner.
    """
    at = places[owners]
    return Work(
        ids=work.ids[owners, at][:, None],
        mask=work.mask[owners, at][:, None],
        first=(work.first[owners] + at).astype(np.int32),
        count=np.ones(len(owners), np.int32),
        sample_weight=work.sample_weight[owners],
        sample_fraction=work.sample_fraction[owners],
    )


def _find_wrong(
    pair: tuple[int, int], own: np.ndarray, checked: np.ndarray, judged: np.ndarray
) -> tuple[int, ...]:
    """The owner or the checker, of which a third device found otherwise; or both of them."""
    owner, checker = pair
    agrees = (own == judged).all(), (checked == judged).all()
    return {(True, False): (checker,), (False, True): (owner,)}.get(agrees, pair)


def _describe(wrong: Sequence[tuple[int, ...]], *, since: int | None, step: int) -> str:
    named = {devices[0] for devices in wrong if len(devices) == 1}
    if named:
        names = ", ".join(map(str, sorted(named)))
        who = f"device {names} does not compute what like devices compute of the same microbatch"
    else:
        names = " and ".join(map(str, sorted({device for pair in wrong for device in pair})))
        who = f"devices {names} differ on the same microbatch, and no like one tells which is wrong"
    before = "this was the first audit" if since is None else f"after {since} steps all agreed"
    return (
        f"{who}: audit of step {step} ({before}). The likely cause is other data, another seed or "
        f"a processor that computes wrongly; nothing is saved from this step on"
    )
