"""A classifier in one call: from a scene and a split to a trained model."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from hsi_jax.data.scene.scene import Scene
from hsi_jax.data.splits.split import Split
from hsi_jax.hetero import Profile
from hsi_jax.models import BUILT_IN, Model, find_trait
from hsi_jax.run import RunFolder
from hsi_jax.session.data_options import DataOptions
from hsi_jax.session.device_options import DeviceOptions, ModelOptions
from hsi_jax.session.learning_options import LearningOptions
from hsi_jax.session.loading import pixels_of
from hsi_jax.session.options import RunOptions
from hsi_jax.session.resolve import resolve
from hsi_jax.session.results import model_of
from hsi_jax.session.setup import join_devices, set_up
from hsi_jax.session.training import fit_at_once, train
from hsi_jax.temporary import temporary_folder
from hsi_jax.train import Assessment, Fit, Hook, Progress, Recipe
from hsi_jax.trained import TrainedModel
from hsi_jax.trained.starting import Start


class Trained(NamedTuple):
    """A trained model and how its training went."""

    model: TrainedModel
    fitted: Fit


def train_scene(
    scene: Scene,
    split: Split,
    *,
    model: Model | None = None,
    options: str = "",
    patch_size: int | None = None,
    components: int | None = None,
    augment: tuple[str, ...] = (),
    profile: str | Profile = "1",
    scheme: str = "balanced",
    recipe: Recipe | None = None,
    init: str | Path | TrainedModel | None = None,
    freeze: bool = False,
    hooks: tuple[Hook, ...] = (),
    on_validation: Callable[[int, Assessment], object] = lambda step, assessment: None,
) -> Trained:
    """Trains a classifier of a scene's pixels, as `session.run` does, and leaves no folder.

    The state with the highest OA on the validation pixels of the split is kept (see
    `hsi_jax.data.hold_out`), or the last one where the split has none.

    Args:
        scene: with labels.
        split: of its labelled pixels.
        model: name of the architecture, package.module:factory, a factory, or a network; None for
            that of `init`, or cnn2d.
        options: of the architecture, such as "features=(32, 32, 64); hidden=64".
        patch_size: side of a patch, odd; None for the model's own.
        components: principal components, 0 for all bands; None for the model's own.
        augment: names of `hsi_jax.train.AUGMENTATIONS`.
        profile: of the devices, such as "4:2:1:1"; on a CPU they are emulated.
        scheme: of `hsi_jax.hetero.SCHEMES`.
        recipe: how it is trained; None for the defaults of `Recipe`.
        init: a trained or pretrained model, or its folder, whose network training starts from; give
            neither `model` nor its options then. Bands are matched by wavelength.
        freeze: whether the head alone is trained, and all else stays as it is in `init`.
        hooks: called as the training goes.
        on_validation: called with the number of steps taken, and the assessment of the state on
            the validation pixels.

    Raises:
        InputError: on a value that cannot be used.
        DivergenceError: if the training diverges.
    """
    declared = isinstance(profile, Profile)
    start = None if init is None else Start.of(init, None if model in BUILT_IN else model)
    asked = RunOptions(
        data=DataOptions(components=components, augment=",".join(augment)),
        model=ModelOptions(model=model, patch_size=patch_size, model_options=options),
        devices=DeviceOptions(profile="1" if declared else profile, scheme=scheme),
        recipe=recipe or Recipe(),
        learning=LearningOptions(init=start.source if start else "", freeze=freeze),
    )
    resolved = resolve(asked, in_cluster=False, start=start)
    if declared:
        resolved = dataclasses.replace(resolved, profile=profile, profile_name=str(profile.name))
    with temporary_folder() as nowhere:
        dataset = pixels_of(scene, resolved, split)
        setup = set_up(resolved, join_devices(resolved), RunFolder(nowhere), dataset)
        if find_trait(resolved.options.model_name, "trained_by_gradient"):
            how = {"plan": setup.plan, "hooks": hooks, "on_validation": on_validation}
            fitted = train(setup, Progress.start(setup.state), **how, quiet=True)
        else:
            setup, fitted, _, _ = fit_at_once(setup)
    return Trained(model_of(setup, fitted.state, fitted.best_step), fitted)
