"""Rows as text: Markdown, CSV and LaTeX.

Own code, because pandas needs more than this file has: `DataFrame.to_csv` writes "=cmd" as it is
(tests/evaluate/tables/test_formats.py, spreadsheets), `to_markdown` needs tabulate, and `Styler`
leaves "<", "|" and "±" as they are when it escapes for LaTeX.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence

from hsi_jax.errors import printable

MISSING = "-"

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text as a Markdown table; the first row is the header."""
    lines = [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]]) + "\n"


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Rows as CSV; the first row is the header.

    A text that a spreadsheet would run as a formula gets an apostrophe before it, which
    spreadsheets take as the mark of a text. Numbers stay, also those that are given as text.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([_harmless(cell) for cell in row] for row in rows)
    return text.getvalue()


def _harmless(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    text = printable(cell)
    if text == MISSING or not text.startswith(("=", "+", "-", "@", "\t", "\n")):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def escape(text: str) -> str:
    """Text that LaTeX prints as it is; a line break becomes a space."""
    text = " ".join(text.split())
    return re.sub("|".join(map(re.escape, _ESCAPES)), lambda found: _ESCAPES[found[0]], text)


def latex_table(
    header: Sequence[str],
    groups: Sequence[Sequence[Sequence[str]]],
    *,
    caption: str,
    label: str,
) -> str:
    """A floating table; the document needs \\usepackage{booktabs}.

    Args:
        header: a cell for each column, as plain text.
        groups: rows of cells, as plain text, with a rule between groups. A cell within ** is bold.
        caption: plain text.
        label: for \\ref; characters that a label cannot have become hyphens.
    """
    rows = [[_line(row) for row in group] for group in groups]
    body = "\n\\midrule\n".join("\n".join(group) for group in rows)
    return (
        "\\begin{table}\n\\centering\n"
        f"\\caption{{{escape(caption)}}}\n"
        f"\\label{{{re.sub(r'[^A-Za-z0-9:.-]+', '-', label)}}}\n"
        f"\\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}\n\\toprule\n"
        f"{_line(header)}\n\\midrule\n{body}\n\\bottomrule\n"
        "\\end{tabular}\n\\end{table}\n"
    )


def _line(cells: Sequence[str]) -> str:
    return f"{' & '.join(map(_cell, cells))} \\\\"


def _cell(text: str) -> str:
    if len(text) > 4 and text.startswith("**") and text.endswith("**"):
        return f"\\textbf{{{escape(text[2:-2])}}}"
    return escape(text)
