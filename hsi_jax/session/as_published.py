"""What `as_published` does as many papers do, said in words, and what the honest choice gives."""

from collections.abc import Sequence

from hsi_jax.models import find_trait
from hsi_jax.run.records import Evaluation, Record
from hsi_jax.run.summary_parts import AsPublished, ChosenState
from hsi_jax.session.options import RunOptions

SCALING = "scaling and components fitted on the whole scene, test pixels included"
EPOCH = "epoch chosen on test pixels"


def deviations(options: RunOptions) -> tuple[str, ...]:
    """What test pixels have a say in though they should not; empty without `as_published`."""
    if not options.split.as_published:
        return ()
    return (SCALING, EPOCH) if find_trait(options.model_name, "trained_by_gradient") else (SCALING,)


def summarise_as_published(options: RunOptions, records: Sequence[Record]) -> AsPublished | None:
    """The deviations of a run, and its state that the honest choice of the epoch gives.

    The honest choice is the highest validation accuracy (of equals the lower loss, then the earlier
    state), or the last state where no pixels validate. The training is the same.

    Args:
        options: of the run.
        records: of all its evaluations.
    """
    said = deviations(options)
    if not said:
        return None
    evaluations = [record for record in records if isinstance(record, Evaluation)]
    tested = {record.step: record for record in evaluations if record.set == "test"}
    validated = [r for r in evaluations if r.set == "validation" and r.step in tested]
    chosen = None
    if EPOCH in said and tested:  # a process other than the first may lack earlier records
        best = max(validated, key=lambda r: (r.overall_accuracy, -r.loss, -r.step), default=None)
        scores = tested[best.step if best else max(tested)]
        names = ("step", "overall_accuracy", "average_accuracy", "kappa")
        chosen = ChosenState(**{name: getattr(scores, name) for name in names})
    return AsPublished(deviations=said, by_validation=chosen)
