"""The options by which a command is told which trained model it uses."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hsi_jax.errors import InputError
from hsi_jax.options import check_options, option

if TYPE_CHECKING:
    from hsi_jax.trained import TrainedModel


@dataclass(frozen=True)
class ModelSource:
    """A trained model, of a run or of a folder of its own; commands add their options to it.

    A command whose class adds checks calls `super().__post_init__()` first.

    Raises:
        InputError: on a value that cannot be used, or unless exactly one of `run` and `model_dir`
            is given.
    """

    run: str = option("", "folder of a run, finished or not", path=True, heading="Model")
    model_dir: str = option(
        "", "folder of a saved model, instead of --run", path=True, heading="Model"
    )
    factory: str = option(
        "",
        "package.module:factory that makes the network, where it is not one of hsi_jax; it is "
        "imported and called, so name only what you trust",
        heading="Model",
    )

    def __post_init__(self):
        check_options(self)
        if bool(self.run) == bool(self.model_dir):
            raise InputError("give either --run=FOLDER or --model_dir=FOLDER")

    def load(self) -> "TrainedModel":
        """Loads the model; nothing is imported from its folder from then on.

        Raises:
            InputError: if there is none, or it cannot be used.
        """
        from hsi_jax.session.map_inputs import load_model  # here: --help does without JAX

        return load_model(self.run, self.model_dir, self.factory)
