"""Fills the template of the report. Whatever a run calls its things, it stays text."""

import base64
import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from hsi_jax.errors import InputError
from hsi_jax.evaluate.report.chart import Chart
from hsi_jax.evaluate.report.charts import Spectra, class_spectra_of, curves, history, reliability
from hsi_jax.evaluate.report.classes import (
    Accuracy,
    Cell,
    ClassRow,
    class_rows,
    confusion_cells,
    floor_of,
    overall,
)
from hsi_jax.evaluate.report.comparing import differing_options, distinct_names
from hsi_jax.evaluate.report.devices import (
    DeviceRow,
    MeasuredStep,
    device_rows,
    measured_parts,
    measured_steps,
)
from hsi_jax.evaluate.report.maps import ClassMaps, data_uri, make_maps
from hsi_jax.evaluate.report.reading import RunFiles
from hsi_jax.run.summary import Outcome, Summary

if TYPE_CHECKING:
    import jinja2

_HERE = Path(__file__).parent
_SCRIPTS = ("map.js", "page.js")
_Made = TypeVar("_Made")


@dataclass(frozen=True, kw_only=True)
class RunView:
    """What the template shows of one run; what the run does not have is None or empty.

    `number` counts the runs of the page from 1, `names` and `colours` are those of the classes,
    `outcome` is the summary, `summary` the same where it is whole, `unit` what a sample is, and
    `floor` the accuracy at which drawn intervals begin.
    """

    number: int
    name: str
    names: tuple[str, ...]
    colours: tuple[str, ...]
    config: dict
    profile: dict
    commands: Sequence[str]
    outcome: Outcome | None
    summary: Summary | None
    unit: str
    overall: Accuracy | None
    rows: tuple[ClassRow, ...]
    floor: float
    cells: list[list[Cell]]
    maps: ClassMaps | None
    gallery: str
    curves: list[Chart]
    reliability: list[Chart]
    spectra: Spectra | None
    devices: tuple[DeviceRow, ...]
    history: list[Chart]
    steps: tuple[MeasuredStep, ...]
    parts: list[tuple[str, float, float, float]]
    missing: list[str]

    @property
    def id(self) -> str:
        """By which links in the page find it."""
        return f"run-{self.number}"

    @property
    def has_steps(self) -> bool:
        """Whether it learns in steps; a baseline such as an SVM is fitted at once."""
        return self.outcome is None or self.outcome.steps > 0


def render_page(runs: Sequence[RunFiles], commands: Sequence[Sequence[str]]) -> str:
    """Makes the page about one or several runs.

    Args:
        runs: as `read_run` reads them, at least one.
        commands: of each run, the lines to type to repeat it.

    Returns:
        HTML that needs no other file and no network.
    """
    from markupsafe import Markup

    script = "".join((_HERE / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    views = [
        _view(run, number, name, lines)
        for number, (run, name, lines) in enumerate(
            zip(runs, distinct_names(runs), commands, strict=True), 1
        )
    ]
    return (
        _environment()
        .get_template("template.html")
        .render(
            runs=views,
            top=1 if len(runs) == 1 else 2,  # level of a run's heading
            floor=min((view.floor for view in views), default=0.0),
            same_classes=len({run.class_names for run in runs}) == 1 and bool(runs[0].class_names),
            differing=differing_options(runs),
            mark=mark_of(runs),
            style=Markup((_HERE / "style.css").read_text(encoding="utf-8")),
            script=Markup(script),
            # The page runs this one script: with the hash, no other would be run even if it got in.
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        )
    )


@functools.cache
def _environment() -> "jinja2.Environment":
    import jinja2
    from markupsafe import Markup, escape

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda value, digits=2: f"{100 * value:.{digits}f}"
    environment.filters["grouped"] = lambda value: f"{value:,}"
    environment.filters["short"] = lambda value: f"{value:,.4g}"
    # Names such as Corn_senesced_green_weeds may be broken after an underscore.
    environment.filters["breakable"] = lambda name: escape(name).replace("_", Markup("_<wbr>"))
    return environment


def mark_of(runs: Sequence[RunFiles]) -> str:
    """A tag at the top of a page by which a report of the same runs is known again."""
    paths = "\0".join(str(run.path.resolve()) for run in runs)
    digest = hashlib.sha256(paths.encode("utf-8", "surrogateescape")).hexdigest()
    return f"hsi_jax report {digest[:32]}"


def _view(run: RunFiles, number: int, name: str, commands: Sequence[str]) -> RunView:
    missing = list(run.missing)
    outcome = run.summary if run.class_names else None
    summary = outcome if isinstance(outcome, Summary) else None
    in_scene = outcome and (run.prediction is not None or outcome.split.leakage)
    rows = class_rows(outcome, run.class_names, run.colours) if outcome else ()
    return RunView(
        number=number,
        name=name,
        names=run.class_names,
        colours=run.colours,
        config=run.config,
        profile=run.profile,
        commands=commands,
        outcome=outcome,
        summary=summary,
        unit="pixels" if in_scene else "images",
        overall=overall(outcome) if outcome else None,
        rows=rows,
        floor=floor_of(rows),
        cells=confusion_cells(outcome) if outcome else [],
        maps=_made(make_maps, run, missing) if outcome and run.prediction else None,
        gallery=data_uri(run.gallery) if run.gallery else "",
        # Without steps, the curves of a baseline would be points above each other.
        curves=[]
        if outcome and not outcome.steps
        else curves(run.records, outcome.best_step if outcome else None),
        reliability=reliability(summary) if summary else [],
        spectra=_made(class_spectra_of, run, missing) if outcome and run.spectra else None,
        devices=device_rows(summary) if summary else (),
        history=history(summary) if summary else [],
        steps=measured_steps(summary) if summary else (),
        parts=measured_parts(summary) if summary else [],
        missing=missing,
    )


def _made(make: Callable[[RunFiles], _Made], run: RunFiles, missing: list[str]) -> _Made | None:
    try:
        return make(run)
    except InputError as error:
        missing.append(f"{error}.")
        return None
