"""A classifier in one call: from a scene and a split to a trained model."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

from hsi_jax.data.scene.scene import Scene
from hsi_jax.data.splits.split import Split
from hsi_jax.hetero import Profile
from hsi_jax.models import Model, find_trait
from hsi_jax.run import RunFolder
from hsi_jax.session.data_options import DataOptions
from hsi_jax.session.device_options import DeviceOptions, ModelOptions
from hsi_jax.session.loading import pixels_of
from hsi_jax.session.options import RunOptions
from hsi_jax.session.resolve import resolve
from hsi_jax.session.results import model_of
from hsi_jax.session.setup import join_devices, set_up
from hsi_jax.session.training import fit_at_once, train
from hsi_jax.temporary import temporary_folder
from hsi_jax.train import Assessment, Fit, Hook, Progress, Recipe
from hsi_jax.trained import TrainedModel


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
    hooks: tuple[Hook, ...] = (),
    on_validation: Callable[[int, Assessment], object] = lambda step, assessment: None,
) -> Trained:
    """Trains a classifier of a scene's pixels, as `session.run` does, and leaves no folder.

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
        hooks: called as the training goes.
        on_validation: called with the number of steps taken, and the assessment of the state on
            the validation pixels.

    Raises:
        InputError: on a value that cannot be used.
        DivergenceError: if the training diverges.
    """
    declared = isinstance(profile, Profile)
    asked = RunOptions(
        data=DataOptions(components=components, augment=",".join(augment)),
        model=ModelOptions(model=model, patch_size=patch_size, model_options=options),
        devices=DeviceOptions(profile="1" if declared else profile, scheme=scheme),
        recipe=recipe or Recipe(),
    )
    resolved = resolve(asked, in_cluster=False)
    if declared:
        resolved = dataclasses.replace(resolved, profile=profile, profile_name=str(profile.name))
    with temporary_folder() as nowhere:
        dataset = pixels_of(scene, resolved, split)
        setup = set_up(resolved, join_devices(resolved), RunFolder(nowhere), dataset)
        if find_trait(model, "trained_by_gradient"):
            fitted = train(
                setup,
                Progress.start(setup.state),
                plan=setup.plan,
                hooks=hooks,
                on_validation=on_validation,
                quiet=True,
            )
        else:
            setup, fitted, _, _ = fit_at_once(setup)
    return Trained(model_of(setup, fitted.state, fitted.best_step), fitted)
