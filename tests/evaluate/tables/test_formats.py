import csv
import io
import shutil
import subprocess

import pytest

from hsi_jax.evaluate.tables.formats import csv_text, escape, latex_table

ODD = "50 % of A_b & {c} \\ #1 $x^2 ~ a|b <c> ±"
ROWS = [[[ODD, "**1.00 ± 0.10**", "2"]], [["b", "-", "**3**"]]]
TABLE = latex_table(["", "svm (n = 5)", "m_1"], ROWS, caption=ODD, label="tab:a_b c")


def test_what_latex_reads_as_code_is_escaped():
    assert escape("a_b & 5 % {#1} $") == r"a\_b \& 5 \% \{\#1\} \$"
    assert escape("\\~^<>|±") == (
        r"\textbackslash{}\textasciitilde{}\textasciicircum{}\textless{}\textgreater{}"
        r"\textbar{}$\pm$"
    )
    assert escape("two\nlines") == "two lines"


def test_rows_groups_and_bold_cells():
    lines = TABLE.splitlines()
    assert [line for line in lines if line.endswith("rule")] == [
        *(r"\toprule", r"\midrule", r"\midrule", r"\bottomrule")
    ]
    assert r"b & - & \textbf{3} \\" in lines
    assert r"\textbf{1.00 $\pm$ 0.10}" in TABLE
    assert r"\label{tab:a-b-c}" in lines
    assert r"\begin{tabular}{lrr}" in lines


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs pdflatex")
def test_latex_takes_the_table(tmp_path):
    document = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n"
    (tmp_path / "t.tex").write_text(f"{document}{TABLE}\\end{{document}}\n", encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_spreadsheets_run_no_cell():
    hostile = ["=cmd()", "+1+cmd", "-cmd", "@sum", "\tx", "\n=x"]
    harmless = ["\r=x", "a=b", "-", "-0.5", "+1e3", "", "x", -0.5, 3]
    (read, numbers) = csv.reader(io.StringIO(csv_text([hostile, harmless]), newline=""))
    assert read == [f"'{text}" for text in hostile]
    assert numbers == ["\\r=x", *map(str, harmless[1:])]
