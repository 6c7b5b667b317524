"""The list of protocols that `python -m experiments.datasets --protocols` prints."""

import textwrap
from collections.abc import Sequence
from typing import Any

from hsi_jax.command_line import text_table
from hsi_jax.session.protocols import PROTOCOLS, Protocol


def describe_protocols() -> list[dict[str, Any]]:
    """The facts about every protocol, as JSON holds them."""
    return [_describe(protocol) for protocol in PROTOCOLS.values()]


def _describe(protocol: Protocol) -> dict[str, Any]:
    return {
        "name": protocol.name,
        "flags": [f"--{name}={value}" for name, value in protocol.options.items()],
        "files": [str(protocol.options[name]) for name in protocol.files],
        "whose": protocol.whose,
        "source": protocol.source,
        "split": protocol.split,
        "leakage": {str(size): part for size, part in protocol.leakage.items()},
        "patch_size": protocol.patch_size,
    }


def format_protocols(protocols: Sequence[dict[str, Any]]) -> str:
    """A table of what leaks, and what each protocol is."""
    sizes = list(protocols[0]["leakage"])
    header = ["protocol", *(f"{size} x {size}" for size in sizes), "usual patch"]
    rows = [
        [
            each["name"],
            *(f"{each['leakage'][size]:.1%}" for size in sizes),
            str(each["patch_size"] or ""),
        ]
        for each in protocols
    ]
    parts = [
        "Test pixels with a training pixel in their patch, by its side (measured, seed 0)\n",
        text_table(header, rows, ",".join(header[1:])),
    ]
    for each in protocols:
        parts.append(f"\n{each['name']}")
        files = f"files of its own in --data_dir: {', '.join(each['files'])}"
        for text in (
            f"{each['split']}; {each['whose']}; {each['source']}",
            " ".join(each["flags"]),
            *([files] if each["files"] else []),
        ):
            parts.append(_indented(text))
    return "\n".join(parts)


def _indented(text: str) -> str:
    return textwrap.fill(
        text,
        98,
        initial_indent="  ",
        subsequent_indent="  ",
        break_on_hyphens=False,
        break_long_words=False,
    )
