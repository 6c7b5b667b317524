"""Models by name, checked against the patches or images that they will get."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hsi_jax.errors import InputError
from hsi_jax.models.factory import check_module, import_factory

if TYPE_CHECKING:
    from flax import linen as nn

# Short names, each for package.module:factory. A model is imported when it is first used.
MODELS = {
    "mlp": "hsi_jax.models.mlp:MLP",
    "cnn1d": "hsi_jax.models.cnn1d:CNN1D",
    "cnn2d": "hsi_jax.models.cnn2d:CNN2D",
    "cnn3d": "hsi_jax.models.cnn3d:CNN3D",
    "hybridsn": "hsi_jax.models.hybridsn:HybridSN",
    "ssrn": "hsi_jax.models.ssrn:SSRN",
    "dbda": "hsi_jax.models.dbda:DBDA",
    "spectralformer": "hsi_jax.models.spectralformer:SpectralFormer",
    "ssftt": "hsi_jax.models.ssftt:SSFTT",
    "gaht": "hsi_jax.models.gaht:GAHT",
    "mamba": "hsi_jax.models.mamba:PatchMamba",
    "svm": "hsi_jax.models.svm:SVM",
    "random_forest": "hsi_jax.models.random_forest:RandomForest",
    "resnet18": "hsi_jax.models.resnet:ResNet18",
    "resnet20": "hsi_jax.models.resnet:ResNet20",
    "resnet34": "hsi_jax.models.resnet:ResNet34",
    "resnet50": "hsi_jax.models.resnet:ResNet50",
    "resnet101": "hsi_jax.models.resnet:ResNet101",
    "vgg16": "hsi_jax.models.vgg:VGG16",
    "densenet121": "hsi_jax.models.densenet:DenseNet121",
}

# Class attributes by which a model describes itself, and the values of those that it lacks.
TRAITS = {
    "kinds": ("patch", "image"),  # of inputs: patches of a scene, images, or both
    "min_patch_size": 1,  # side of a patch or image, pixels
    "max_patch_size": None,
    "min_bands": 1,
    "default_patch_size": 11,
    "default_components": 0,  # principal components; 0 is all bands
    "one_pass": False,  # whether it can be called with the layers of whole tiles
    "by_steps": True,  # whether it is trained by steps, not fitted by scikit-learn
    "found_by_fit": (),  # options that such a fit finds
    "has_probabilities": True,  # whether its probabilities do more than order the classes
}


def find_model(name: str) -> "Callable[..., nn.Module]":
    """The class of a model, or the user's own factory; call it with num_classes and options.

    Args:
        name: of `MODELS`, or package.module:factory.

    Raises:
        InputError: listing the names of `MODELS`; or as `import_factory`.
    """
    if name not in MODELS and ":" not in name:
        raise InputError(
            f"`model`={name}: choose one of {', '.join(MODELS)}, or your own as "
            f"package.module:factory"
        )
    return import_factory(MODELS.get(name, name))


def build_model(name: str, num_classes: int, options: dict[str, Any]) -> "nn.Module":
    """Makes the network.

    Args:
        name: of `MODELS`, or package.module:factory.
        num_classes: number of classes.
        options: of the model, as `parse_options` returns them.

    Raises:
        InputError: if a user's own factory does not accept the options, or does not return a
            module that can be trained.
    """
    factory = find_model(name)
    if name in MODELS:
        return factory(num_classes=num_classes, **options)
    try:
        module = factory(num_classes=num_classes, **options)
    except TypeError as error:
        given = ", ".join(f"{key}={value!r}" for key, value in options.items())
        raise InputError(
            f"`model`={name} cannot be called with num_classes={num_classes}"
            f"{' and ' if given else ''}{given}: {error}"
        ) from error
    check_module(name, module)
    return module


def find_trait(name: str, trait: str) -> Any:
    """The value of a trait: the model's own, or else that of `TRAITS`."""
    return getattr(find_model(name), trait, TRAITS[trait])


def check_kind(name: str, kind: str) -> None:
    """Checks that a model takes inputs of a kind, "patch" or "image".

    Raises:
        InputError: listing the models that do.
    """
    kinds = find_trait(name, "kinds")
    if kind not in kinds:
        fitting = ", ".join(other for other in MODELS if kind in find_trait(other, "kinds"))
        raise InputError(
            f"`model`={name} takes {' or '.join(map(_plural, kinds))}, but the data are "
            f"{_plural(kind)}; choose one of {fitting}"
        )


def check_input(name: str, patch_size: int, bands: int, kind: str = "patch") -> None:
    """Checks that a model can take patches, or images, of this size.

    Args:
        name: of the model.
        patch_size: side of the patches, or shorter side of the images, pixels.
        bands: bands or components.
        kind: "patch" or "image".

    Raises:
        InputError: naming the argument to change.
    """
    check_kind(name, kind)
    min_size = find_trait(name, "min_patch_size")
    max_size = find_trait(name, "max_patch_size") or patch_size
    if not min_size <= patch_size <= max_size:
        bound = f"at least {min_size}" if patch_size < min_size else f"at most {max_size}"
        takes = f"{patch_size}: {name} takes {_plural(kind)} of {bound}"
        if kind == "patch":
            raise InputError(f"`patch_size`={takes}")
        raise InputError(f"images of side {takes}; change `image_size` or choose another `model`")
    min_bands = find_trait(name, "min_bands")
    if bands < min_bands:
        raise InputError(
            f"{name} needs at least {min_bands} bands or components, but gets {bands}; "
            f"raise `components` or choose another `model`"
        )


def _plural(kind: str) -> str:
    return {"patch": "patches", "image": "images"}[kind]
