"""Tables of paired tests."""

from collections.abc import Mapping, Sequence

from hsi_jax.evaluate.measures.paired import PairedTest
from hsi_jax.evaluate.tables.formats import MISSING, csv_text, markdown

_HEADER = ("difference", "n", "mean OA (points)", "95 % interval", "p", "p (Holm)")


def markdown_of_tests(tests: Sequence[PairedTest]) -> str:
    """A row for each pair; where there is no test, the reason stands instead of the interval."""
    return markdown([_HEADER, *map(_row, tests)])


def _row(test: PairedTest) -> list[str]:
    mean = MISSING if test.mean is None else f"{100 * test.mean:+.2f}"
    interval, p_values = test.reason, [MISSING, MISSING]
    if test.interval:
        interval = " to ".join(f"{100 * bound:+.2f}" for bound in test.interval)
        p_values = [_p(test.p_value), _p(test.adjusted_p_value)]
    return [f"{test.first} - {test.second}", str(len(test.differences)), mean, interval, *p_values]


def _p(value: float | None) -> str:
    assert value is not None
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"


def csv_of_tests(tests: Mapping[str, Sequence[PairedTest]]) -> str:
    """CSV with a row for each protocol and pair; differences are fractions of 1."""
    rows: list[list[object]] = [
        ["protocol", "first", "second", "n", "mean", "low", "high", "p", "p_holm", "reason"]
    ]
    for protocol, of_protocol in tests.items():
        for test in of_protocol:
            low, high = test.interval or (None, None)
            count = len(test.differences)
            own = [protocol, test.first, test.second, count, test.mean, low, high]
            rows.append([*own, test.p_value, test.adjusted_p_value, test.reason])
    return csv_text(rows)
