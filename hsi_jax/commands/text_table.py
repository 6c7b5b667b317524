"""Tables for people to read on a terminal."""

from collections.abc import Sequence


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]], right: str = "") -> str:
    """Columns as wide as their longest cell.

    Args:
        header: a name for each column.
        rows: their cells.
        right: names of columns whose cells end on the right, as numbers do, between commas.
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    numbers = right.split(",")
    lines = [
        "  ".join(
            cell.rjust(width) if name in numbers else cell.ljust(width)
            for name, cell, width in zip(header, row, widths, strict=True)
        ).rstrip()
        for row in (header, ["-" * width for width in widths], *rows)
    ]
    return "\n".join(lines)
