"""A classifier in one call: from a scene and a split to a trained model."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from hsi_jax.cluster.devices import emulate_devices
from hsi_jax.data.scene.scene import Scene
from hsi_jax.data.splits.split import Split
from hsi_jax.hetero import Profile, make_plan, parse_profile
from hsi_jax.models import Model, find_trait, parse_options
from hsi_jax.train.baseline import fit_baseline
from hsi_jax.train.dataset import Dataset, first_state, scene_dataset
from hsi_jax.train.evaluation import Assessment, evaluate
from hsi_jax.train.loop import Fit, fit, unstepped
from hsi_jax.train.recipe import Recipe
from hsi_jax.train.replicas import Replicas
from hsi_jax.train.state import TrainState
from hsi_jax.trained.from_training import model_of_training, provenance_of
from hsi_jax.trained.trained_model import TrainedModel


class Trained(NamedTuple):
    """A trained model and how its training went."""

    model: TrainedModel
    fitted: Fit


def train_scene(
    scene: Scene,
    split: Split,
    *,
    model: Model = "cnn2d",
    options: str = "",
    patch_size: int | None = None,
    components: int | None = None,
    augment: tuple[str, ...] = (),
    profile: str | Profile = "1",
    scheme: str = "balanced",
    recipe: Recipe | None = None,
    on_step: Callable[[int, float, float], object] = lambda step, loss, seconds: None,
    on_validation: Callable[[int, Assessment], object] = lambda step, assessment: None,
) -> Trained:
    """Trains a classifier of a scene's pixels, as `python -m experiments.run` does.

    The state with the highest OA on the validation pixels of the split is kept (see
    `hsi_jax.data.hold_out`), or the last one where the split has none.

    Args:
        scene: with labels.
        split: of its labelled pixels.
        model: name of the architecture, package.module:factory, a factory, or a network.
        options: of the architecture, such as "features=(32, 32, 64); hidden=64".
        patch_size: side of a patch, odd; None for the model's own.
        components: principal components, 0 for all bands; None for the model's own.
        augment: names of `hsi_jax.train.AUGMENTATIONS`.
        profile: of the devices, such as "4:2:1:1"; on a CPU they are emulated.
        scheme: of `hsi_jax.hetero.SCHEMES`.
        recipe: how it is trained; None for the defaults of `Recipe`.
        on_step: told each step's number, from 0, its loss and its measured time, s.
        on_validation: told how many steps have been taken, and how well the state does on the
            validation pixels.

    Raises:
        InputError: on a value that cannot be used.
        DivergenceError: if the training diverges.
    """
    recipe = recipe or Recipe()
    profile = parse_profile(profile) if isinstance(profile, str) else profile
    emulate_devices(len(profile))
    plan = make_plan(scheme, profile, recipe.batch_size, recipe.microbatch_size)
    dataset = scene_dataset(
        scene, split, model=model, patch_size=patch_size, components=components, augment=augment
    )
    parsed = parse_options(model, options)
    if not find_trait(model, "trained_by_gradient"):
        baseline = fit_baseline(dataset, model, parsed, recipe.seed)
        fitted = unstepped(baseline.state, plan)
        return Trained(_trained_model(dataset, fitted, model, baseline.options, recipe), fitted)
    state = first_state(dataset, recipe, model, options)
    replicas = Replicas(len(profile), dataset.samples)
    count = len(split.train)

    def validate(state: TrainState, step: int) -> tuple:
        assessment = evaluate(
            replicas,
            state,
            split.validation,
            dataset.labels,
            num_classes=dataset.num_classes,
            profile=profile,
            plan=plan,
        )
        on_validation(step, assessment)
        return assessment.rank

    fitted = fit(
        replicas,
        state,
        split.train,
        plan=plan,
        num_steps=recipe.num_steps(count),
        seed=recipe.seed,
        validate=validate if len(split.validation) else None,
        validate_every=recipe.steps_between_validations(count),
        on_step=on_step,
        batches=recipe.batches(split.train, dataset.labels),
    )
    return Trained(_trained_model(dataset, fitted, model, parsed, recipe), fitted)


def _trained_model(
    dataset: Dataset, fitted: Fit, model: Model, options: Mapping[str, Any], recipe: Recipe
) -> TrainedModel:
    return model_of_training(
        dataset,
        fitted.state,
        architecture=model,
        options=options,
        microbatch_size=recipe.microbatch_size,
        provenance=provenance_of(dataset, recipe.seed, fitted.best_step),
    )
