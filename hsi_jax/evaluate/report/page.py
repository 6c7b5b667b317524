"""Fills the template of the report. Names of runs, classes and devices stay text."""

import base64
import functools
import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from hsi_jax.errors import InputError, printable
from hsi_jax.evaluate.figures.run_figures import use_figures
from hsi_jax.evaluate.report.classes import Accuracy, ClassRow, class_rows, floor_of, overall
from hsi_jax.evaluate.report.comparing import compare_maps, differing_options, distinct_names
from hsi_jax.evaluate.report.devices import DeviceRow, device_rows, measured_parts
from hsi_jax.evaluate.report.maps import ClassMaps, data_uri, make_maps
from hsi_jax.evaluate.run_files import RunFiles
from hsi_jax.run.class_sets import ClassSets
from hsi_jax.run.figure_file import save_figure
from hsi_jax.run.pretraining_summary import PretrainingSummary
from hsi_jax.run.summary import Outcome, RunFacts, Summary
from hsi_jax.run.verification import Verification

if TYPE_CHECKING:
    import jinja2
    from matplotlib.figure import Figure

_HERE = Path(__file__).parent
_SCRIPTS = ("map.js", "page.js")
_PIXELS = (
    96 * 1.3
)  # of the page for an inch of a figure, so that its text of 7 points has 12 pixels
_Made = TypeVar("_Made")


@dataclass(frozen=True)
class Picture:
    """A figure as a data URI, and its width on the page, pixels."""

    address: str
    width: int


@dataclass(frozen=True, kw_only=True)
class RunView:
    """What the template shows of one run; missing parts are None or empty.

    `number` counts the runs of the page from 1, `names` and `colours` are those of the classes,
    `outcome` is the summary, `summary` is set only where the summary is complete, `pretraining` is
    that of a run without labels, `facts` is either, `unit` is what a sample is, `floor` the
    accuracy at which drawn intervals begin, and `figures` are those of
    `hsi_jax.evaluate.figures.run_figures.FIGURES`, by name.
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
    facts: RunFacts | None
    pretraining: PretrainingSummary | None
    unit: str
    overall: Accuracy | None
    rows: tuple[ClassRow, ...]
    floor: float
    maps: ClassMaps | None
    gallery: str
    figures: dict[str, Picture]
    devices: tuple[DeviceRow, ...]
    parts: list[tuple[str, float, float, float]]
    missing: list[str]
    verification: Verification | None
    class_sets: ClassSets | None

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
            pairs=compare_maps(runs),
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
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    environment.filters["percent"] = lambda value, digits=2: f"{100 * value:.{digits}f}"
    environment.filters["grouped"] = lambda value: f"{value:,}"
    environment.filters["short"] = lambda value: f"{value:,.4g}"
    # Names such as Corn_senesced_green_weeds may be broken after an underscore.
    environment.filters["breakable"] = lambda name: escape(printable(name)).replace(
        "_", Markup("_<wbr>")
    )
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
    facts = summary or run.pretraining
    of_scene = outcome and (run.prediction is not None or outcome.split.leakage)
    names = tuple(map(printable, run.class_names))
    rows = class_rows(outcome, names, run.colours) if outcome else ()
    return RunView(
        number=number,
        name=name,
        names=names,
        colours=run.colours,
        config=run.config,
        profile=run.profile,
        commands=commands,
        outcome=outcome,
        summary=summary,
        facts=facts,
        pretraining=run.pretraining,
        unit="pixels" if of_scene or run.pretraining else "images",
        overall=overall(outcome) if outcome else None,
        rows=rows,
        floor=floor_of(rows),
        maps=_made(make_maps, run, missing) if outcome and run.prediction else None,
        gallery=data_uri(run.gallery) if run.gallery else "",
        figures=_draw(run, missing),
        devices=device_rows(facts) if facts else (),
        parts=_made(measured_parts, run, missing) or [],
        missing=missing,
        verification=run.verification,
        class_sets=run.class_sets,
    )


def _draw(run: RunFiles, missing: list[str]) -> dict[str, Picture]:
    """The figures of a run by name, as vectors, which stay sharp and can be printed."""
    pictures = {}

    def keep(name: str, figure: "Figure") -> None:
        file = io.BytesIO()
        save_figure(figure, file, "svg")
        address = data_uri(file.getvalue(), "svg+xml")
        pictures[name] = Picture(address, round(figure.get_figwidth() * _PIXELS))

    missing += use_figures(run, keep)
    return pictures


def _made(make: Callable[[RunFiles], _Made], run: RunFiles, missing: list[str]) -> _Made | None:
    try:
        return make(run)
    except InputError as error:
        missing.append(f"{error}.")
        return None
