"""The cases of the field: some of every subject, and the judge."""

from collections import Counter

import pytest

from hsi_jax.errors import InputError
from tests.field import field
from tests.field.cases.case import REFUSED, RIGHT, WRONG, Case, Mistake, judge
from tests.field.cases.expected import REFUSED as EXPECTED
from tests.field.cases.expected import REMEDIES

EVERY = 6  # of the cases of reading; all of them are tried by tests.field.field
ALL = {subject: field.cases_of(subject) for subject in field.SUBJECTS}
SOME = [case for cases in ALL.values() for case in cases if not case.apart][::EVERY]


def test_each_case_has_a_name_of_its_own_and_what_is_expected_has_a_case():
    names = Counter(case.name for cases in ALL.values() for case in cases)
    assert names.most_common(1)[0][1] == 1
    assert names.total() > 500
    assert {*EXPECTED} <= {*names}
    assert {*REMEDIES} <= {*EXPECTED}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", SOME, ids=lambda case: case.name)
def test_a_case_is_right_or_refused(case):
    outcome = judge(case)
    assert outcome.verdict != WRONG, outcome.said


def raising(error):
    def try_it(folder):
        raise error

    return try_it


@pytest.mark.parametrize(
    ("try_it", "refused", "verdict"),
    [
        (lambda folder: "well", "", RIGHT),
        (lambda folder: "well", "no", WRONG),
        (raising(InputError("`labels`=3: no")), "--?labels=3|labels=3", REFUSED),
        (raising(InputError("something else")), "no", WRONG),
        (raising(InputError("no")), "", WRONG),
        (raising(Mistake("silently")), "", WRONG),
        (raising(KeyError("x")), "", WRONG),
        (raising(KeyError("x")), "x", WRONG),
    ],
)
def test_the_judge(try_it, refused, verdict):
    assert judge(Case("it", try_it, refused)).verdict == verdict


def test_what_takes_too_long_is_wrong(monkeypatch):
    monkeypatch.setattr("tests.field.cases.case.SECONDS", 1)

    def hang(folder):
        try:
            while True:
                pass
        except Exception:  # as readers do
            raise InputError("x") from None

    assert "more than 1 s" in judge(Case("it", hang, "x")).said
