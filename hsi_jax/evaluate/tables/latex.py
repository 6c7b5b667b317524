"""Tables for papers: LaTeX with booktabs."""

import re
from collections.abc import Sequence

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
