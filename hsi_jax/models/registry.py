"""Models by name, checked against the patches or images that they will get."""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from hsi_jax.errors import InputError
from hsi_jax.registry import Registry

if TYPE_CHECKING:
    from flax import linen as nn

# What makes a network: its name, or a class or function of num_classes and its options, or the
# network itself.
Model: TypeAlias = str | Callable[..., Any]

MODELS: "Registry[Callable[..., nn.Module]]" = Registry(
    "model",
    {
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
        "vit": "hsi_jax.models.vit:ViT",
        "svm": "hsi_jax.models.svm:SVM",
        "random_forest": "hsi_jax.models.random_forest:RandomForest",
        "resnet18": "hsi_jax.models.resnet:ResNet18",
        "resnet20": "hsi_jax.models.resnet:ResNet20",
        "resnet34": "hsi_jax.models.resnet:ResNet34",
        "resnet50": "hsi_jax.models.resnet:ResNet50",
        "resnet101": "hsi_jax.models.resnet:ResNet101",
        "vgg16": "hsi_jax.models.vgg:VGG16",
        "densenet121": "hsi_jax.models.densenet:DenseNet121",
    },
)
BUILT_IN = frozenset(MODELS)  # and so not registered by a user

_CALL = (
    "write __call__(self, x, *, train=False, mask=None), where mask is 0 for samples that only pad "
    "the microbatch"
)

# Class attributes by which a model describes itself, and the values of those that it lacks.
TRAITS = {
    "kinds": ("patch", "image"),  # of inputs: patches of a scene, images, or both
    "min_patch_size": 1,  # side of a patch or image, pixels
    "max_patch_size": None,
    "min_bands": 1,
    "default_patch_size": 11,
    "default_components": 0,  # principal components; 0 is all bands
    "one_pass": False,  # whether it can be called with the layers of whole tiles
    "trained_by_gradient": True,  # and not fitted by scikit-learn
    "found_by_fit": (),  # options that such a fit finds
    "has_probabilities": True,  # whether its probabilities do more than order the classes
}


def find_model(model: Model) -> "Callable[..., nn.Module]":
    """The class of a model, or the user's own factory; call it with num_classes and options.

    Args:
        model: a name of `MODELS`, package.module:factory, a factory, or a network.

    Raises:
        InputError: if there is none; see `hsi_jax.registry.Registry.find`.
    """
    return MODELS.find(model)


def name_model(model: Model) -> str:
    """What messages and files call a model."""
    if isinstance(model, str):
        return model
    named = model if hasattr(model, "__qualname__") else type(model)
    return f"{named.__module__}:{named.__qualname__}"


def build_model(model: Model, num_classes: int, options: dict[str, Any]) -> "nn.Module":
    """Makes the network.

    Args:
        model: as of `find_model`.
        num_classes: number of classes.
        options: of the model, as `parse_options` returns them.

    Raises:
        InputError: if a user's own factory does not accept the options, or does not return a
            module that can be trained.
    """
    factory = find_model(model)
    if isinstance(model, str) and model in BUILT_IN:
        return factory(num_classes=num_classes, **options)
    name = name_model(model)
    module: Any = factory
    if _is_module(factory):
        if options:
            raise InputError(f"`model`={name} is a finished network; leave out its options")
        if getattr(module, "num_classes", num_classes) != num_classes:
            raise InputError(
                f"`model`={name} has num_classes={module.num_classes}, but the data have "
                f"{num_classes} classes"
            )
    else:
        try:
            module = factory(num_classes=num_classes, **options)
        except TypeError as error:
            given = ", ".join(f"{key}={value!r}" for key, value in options.items())
            raise InputError(
                f"`model`={name} cannot be called with num_classes={num_classes}"
                f"{' and ' if given else ''}{given}: {error}"
            ) from error
    _check_module(name, module)
    return module


def _is_module(value: object) -> bool:
    from flax import linen as nn  # here, because finding a model must not wait for Flax

    return isinstance(value, nn.Module)


def _check_module(name: str, module: object) -> None:
    """Checks that what a factory has returned can be trained.

    Raises:
        InputError: unless it is a module of flax.linen that can be called as our models are.
    """
    if not _is_module(module):
        raise InputError(
            f"`model`={name} returns a {type(module).__name__}; it must return an instance of "
            f"flax.linen.Module"
        )
    call: Any = getattr(module, "__call__", None)  # noqa: B004, its signature is wanted
    if call is None:
        raise InputError(f"`model`={name}: {type(module).__name__} has no method __call__; {_CALL}")
    signature = inspect.signature(call)
    try:
        signature.bind(None)
        signature.bind(None, train=True, mask=None)
    except TypeError as error:
        raise InputError(
            f"`model`={name}: {type(module).__name__} has __call__{signature} ({error}); {_CALL}"
        ) from error


def find_trait(model: Model, trait: str) -> Any:
    """The value of a trait: the model's own, or else that of `TRAITS`."""
    return getattr(find_model(model), trait, TRAITS[trait])


def check_kind(model: Model, kind: str) -> None:
    """Checks that a model takes inputs of a kind, "patch" or "image".

    Raises:
        InputError: listing the models that do.
    """
    kinds = find_trait(model, "kinds")
    if kind not in kinds:
        fitting = ", ".join(other for other in MODELS if kind in find_trait(other, "kinds"))
        raise InputError(
            f"`model`={name_model(model)} takes {' or '.join(map(_plural, kinds))}, but the data "
            f"are {_plural(kind)}; choose one of {fitting}"
        )


def check_input(model: Model, patch_size: int, bands: int, kind: str = "patch") -> None:
    """Checks that a model can take patches, or images, of this size.

    Args:
        model: as of `find_model`.
        patch_size: side of the patches, or shorter side of the images, pixels.
        bands: bands or components.
        kind: "patch" or "image".

    Raises:
        InputError: naming the argument to change.
    """
    check_kind(model, kind)
    name = name_model(model)
    min_size = find_trait(model, "min_patch_size")
    max_size = find_trait(model, "max_patch_size") or patch_size
    if not min_size <= patch_size <= max_size:
        bound = f"at least {min_size}" if patch_size < min_size else f"at most {max_size}"
        takes = f"{patch_size}: {name} takes {_plural(kind)} of {bound}"
        if kind == "patch":
            raise InputError(f"`patch_size`={takes}")
        raise InputError(f"images of side {takes}; change `image_size` or choose another `model`")
    min_bands = find_trait(model, "min_bands")
    if bands < min_bands:
        raise InputError(
            f"{name} needs at least {min_bands} bands or components, but gets {bands}; "
            f"raise `components` or choose another `model`"
        )


def _plural(kind: str) -> str:
    return {"patch": "patches", "image": "images"}[kind]
