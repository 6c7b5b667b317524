"""The accuracies, or errors, of a run on a part of its split, and its trained model."""

from typing import Literal

from hsi_jax.run.records import Evaluation, Reconstruction
from hsi_jax.session.setup import Setup
from hsi_jax.train import Assessment, TrainState, evaluate
from hsi_jax.train.pretraining import ReconstructionErrors, measure_reconstruction
from hsi_jax.trained import TrainedModel
from hsi_jax.trained.from_training import model_of_training, provenance_of


def evaluate_set(
    setup: Setup, state: TrainState, name: Literal["validation", "test"], step: int
) -> Assessment:
    """Evaluates a state on one set of the split; the scores go into metrics.jsonl as well.

    Args:
        setup: of the run.
        state: not replicated.
        name: "validation" or "test".
        step: steps taken by the state.

    Raises:
        DivergenceError: if the loss is not finite.
    """
    dataset = setup.dataset
    assessment = evaluate(
        setup.replicas,
        state,
        getattr(dataset.split, name),
        dataset.labels,
        num_classes=dataset.num_classes,
        profile=setup.profile,
        plan=setup.plan,
    )
    scores = assessment.scores
    setup.folder.append_record(
        Evaluation(
            set=name,
            step=step,
            loss=assessment.loss,
            overall_accuracy=scores.overall_accuracy,
            average_accuracy=scores.average_accuracy,
            kappa=scores.kappa,
        )
    )
    return assessment


def reconstruct_set(
    setup: Setup, state: TrainState, name: Literal["validation", "train"], step: int
) -> ReconstructionErrors:
    """Measures a masked autoencoder on one set of the split; its error goes into metrics.jsonl.

    Args:
        setup: of the run.
        state: not replicated.
        name: "validation", or "train" where no pixels are held out.
        step: steps taken by the state.

    Raises:
        DivergenceError: if the error is not finite.
    """
    ids = getattr(setup.dataset.split, name)
    given = {"profile": setup.profile, "plan": setup.plan}
    found = measure_reconstruction(setup.replicas, state, ids, **given)
    setup.folder.append_record(
        Reconstruction(set=name, step=step, error=found.error, error_of_mean=found.error_of_mean)
    )
    return found


def model_of(
    setup: Setup, state: TrainState, step: int, test: Assessment | None = None
) -> TrainedModel:
    """The trained model of a state after this many steps.

    Args:
        setup: of the run.
        state: not replicated.
        step: steps taken by the state.
        test: its assessment on the test samples, where it is known.
    """
    accuracies = {}
    if test:
        names = ("overall_accuracy", "average_accuracy", "kappa")
        accuracies = {name: float(getattr(test.scores, name)) for name in names}
    start = setup.resolved.start
    unseen = start is None or start.has_not_seen(setup.dataset)
    return model_of_training(
        setup.dataset,
        state,
        architecture=setup.options.model_name,
        options=setup.resolved.model_options,
        microbatch_size=setup.plan.microbatch_size,
        provenance=provenance_of(
            setup.dataset, setup.options.recipe.seed, step, accuracies, unseen=unseen
        ),
    )
