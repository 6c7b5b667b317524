"""The models of a comparison: names, or files of flags."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hsi_jax.errors import InputError

SUFFIX = ".flags"
PRESETS = Path(__file__).parents[1] / "presets"


@dataclass(frozen=True)
class ModelChoice:
    """A model to be compared.

    Attributes:
        label: what tables call it.
        flags: of experiments.run, its own.
    """

    label: str
    flags: tuple[str, ...]

    @property
    def folder_name(self) -> str:
        """The label without what has a meaning in paths."""
        return re.sub(r"[^\w.-]+", "_", self.label)


def choose_models(texts: Sequence[str]) -> list[ModelChoice]:
    """The models that are named, or described by files of flags.

    Args:
        texts: each a name of `model`, or NAME.flags, a path or a file of hsi_jax/presets.

    Raises:
        InputError: if a file is not there, or if two models would have the same name.
    """
    models = [_choose(text) for text in texts]
    names = [model.folder_name.lower() for model in models]
    for name in names:
        if names.count(name) > 1:
            raise InputError(
                f"--models={','.join(texts)}: two of them would be called {name}; give files of "
                f"different names"
            )
    return models


def _choose(text: str) -> ModelChoice:
    if not text.endswith(SUFFIX):
        return ModelChoice(text, (f"--model={text}",))
    for path in (Path(text).expanduser(), PRESETS / text):
        if path.is_file():
            return ModelChoice(path.stem, (f"--flagfile={path}",))
    shipped = ", ".join(sorted(path.name for path in PRESETS.glob(f"*{SUFFIX}")))
    raise InputError(f"--models={text}: there is no such file, here or among {shipped}")
