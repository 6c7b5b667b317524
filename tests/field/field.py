"""Inputs and environments as people have them, and what becomes of each.

    python -m tests.field.field [--only labels,cubes] [--quick] [--wrong]

A case makes its files in a folder of its own and reads them, or starts a command on them. It is
right if what comes out is the truth that the case knows: labels, pixels without data, and an
accuracy; refused if it ends in one line that has the words that a user needs, and in many cases if
what this line advises then works. Anything else is WRONG: a traceback, a hang, another message, or
a wrong result without a word. Cases of reading are tried in this process (`--quick` tries no
others), commands in processes of their own, which takes some minutes.
"""

import argparse
import importlib
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from tests.field.cases.case import WRONG, Case, Outcome, judge

# Modules of tests.field.cases, and the names of their tables.
SUBJECTS = {
    "labels": ("CASES",),
    "cubes": ("CASES",),
    "matlab": ("CASES",),
    "rasters": ("CASES",),
    "pictures": ("CASES",),
    "real": ("CASES",),
    "settings": ("CASES", "COMMANDS"),
    "environments": ("CASES",),
}
AT_ONCE = 2  # commands
WIDTH = 160  # of what was said


def cases_of(subject: str) -> list[Case]:
    """All cases of a subject."""
    module = importlib.import_module(f"tests.field.cases.{subject}")
    return [case for table in SUBJECTS[subject] for case in getattr(module, table)]


def outcomes(cases: list[Case]) -> Iterator[Outcome]:
    """Tries cases: those of reading one after the other, then the commands."""
    yield from map(judge, (case for case in cases if not case.apart))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(judge, (case for case in cases if case.apart))


def main() -> None:
    """Prints case, verdict and what was said, and counts; ends with 1 if one is WRONG."""
    parser = argparse.ArgumentParser(description="Tries inputs and environments of the field.")
    parser.add_argument("--only", default=",".join(SUBJECTS), help="subjects, between commas")
    parser.add_argument("--quick", action="store_true", help="no commands")
    parser.add_argument("--wrong", action="store_true", help="print only what is WRONG")
    arguments = parser.parse_args()
    subjects = arguments.only.split(",")
    if unknown := sorted({*subjects} - {*SUBJECTS}):
        parser.error(f"--only={','.join(unknown)}: choose some of {', '.join(SUBJECTS)}")
    warnings.simplefilter("ignore")  # of libraries that write the files
    cases = [case for subject in subjects for case in cases_of(subject)]
    counts: Counter[str] = Counter()
    for outcome in outcomes([case for case in cases if not (arguments.quick and case.apart)]):
        counts[outcome.verdict] += 1
        if outcome.verdict == WRONG or not arguments.wrong:
            said = " ".join(outcome.said.split())
            shown = said if outcome.verdict == WRONG else said[:WIDTH]
            print(f"{outcome.verdict:<9} {outcome.case.name!r}: {shown}", flush=True)
    print(f"{counts.total()} cases: {', '.join(f'{n} {name}' for name, n in counts.items())}")
    sys.exit(1 if counts[WRONG] else 0)


if __name__ == "__main__":
    main()
