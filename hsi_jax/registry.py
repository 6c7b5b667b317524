"""Tables of parts by name: models, losses, optimisers, schemes and the like.

A name of a table leads to a value, or to the text `package.module:attribute`, which is imported
when it is first asked for, so that a program can list the names without waiting for JAX. A part of
your own is registered under a name, or named by such a text itself.

A name is imported only because a user has given it. Never pass a name that was read from the file
of a model or of a run to `find`: its author would choose what is imported.
"""

import difflib
import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from hsi_jax.errors import InputError

Target = TypeVar("Target")

MAX_LISTED = 12  # names of a module, in a message


class Registry(Mapping[str, Target], Generic[Target]):
    """The parts of one kind by name, in the order of registration."""

    def __init__(self, argument: str, targets: Mapping[str, Target | str], kind: Any = Callable):
        """Makes a table.

        Args:
            argument: that takes these names, as messages call it.
            targets: value, or package.module:attribute, of each name.
            kind: class of the values; by default all that can be called.
        """
        self.argument = argument
        self._targets: dict[str, Target | str] = dict(targets)
        self._kind = kind

    def __getitem__(self, name: str) -> Target:
        target = self._targets[name]
        if isinstance(target, str):
            target = self._targets[name] = self._import(target)
        return target

    def __iter__(self) -> Iterator[str]:
        return iter(self._targets)

    def __len__(self) -> int:
        return len(self._targets)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._targets  # and imports nothing

    def register(self, name: str, target: Target | str) -> None:
        """Adds a part.

        Args:
            name: that nothing in the table has yet, without a colon.
            target: the part, or package.module:attribute.

        Raises:
            InputError: if the name is taken or cannot be one.
        """
        if name in self:
            raise InputError(f"`{self.argument}`={name} exists already; choose another name")
        if not name or ":" in name:
            raise InputError(f"`{self.argument}`={name!r}: give a name without a colon")
        self._targets[name] = target

    def check(self, name: "str | Target") -> None:
        """Checks that a name is in the table or looks like package.module:attribute.

        Nothing is imported, so this is safe for names from files.

        Raises:
            InputError: listing the names there are, the nearest first.
        """
        if not isinstance(name, str):
            if not isinstance(name, self._kind):
                raise InputError(
                    f"`{self.argument}`={name!r}: give a name, or a {self._kind.__name__}"
                )
        elif ":" in name:
            module, _, attribute = name.partition(":")
            if not all(part.isidentifier() for part in (*module.split("."), attribute)):
                raise InputError(
                    f"`{self.argument}`={name}: give package.module:name, such as mine:make"
                )
        elif name not in self:
            near = difflib.get_close_matches(name, self, 1)
            meant = f"did you mean {near[0]}? The names are" if near else "choose one of"
            raise InputError(
                f"`{self.argument}`={name}: {meant} {', '.join(self)}; your own is "
                f"package.module:name"
            )

    def find(self, name: "str | Target") -> Target:
        """The part of a name, or of package.module:attribute; a part itself is given back.

        Raises:
            InputError: as `check`; or if the module cannot be imported, or has no such part.
        """
        self.check(name)
        if not isinstance(name, str):
            return name
        return self[name] if name in self else self._import(name)

    def _import(self, reference: str) -> Target:
        """The value of package.module:attribute, from any folder on Python's path."""
        module_name, _, attribute = reference.partition(":")
        given = f"`{self.argument}`={reference}"
        try:
            module = importlib.import_module(module_name)
        except ImportError as error:
            raise InputError(
                f"{given}: {module_name} cannot be imported ({error}); start in the folder that "
                f"holds it, or install it"
            ) from error
        if not hasattr(module, attribute):
            public = [name for name, value in vars(module).items() if self._fits(name, value)]
            raise InputError(
                f"{given}: {module_name} has no {attribute!r}; it has "
                f"{', '.join(public[:MAX_LISTED]) or 'nothing that fits'}"
            )
        value = getattr(module, attribute)
        if not isinstance(value, self._kind):
            raise InputError(
                f"{given}: {attribute} is a {type(value).__name__}; name a {self._kind.__name__}"
            )
        return value

    def _fits(self, name: str, value: object) -> bool:
        return not name.startswith("_") and isinstance(value, self._kind)
