"""The table and the picture of modelled clusters."""

import itertools
from collections.abc import Sequence
from pathlib import Path

from hsi_jax.evaluate.tables.formats import csv_text
from hsi_jax.run.figure_file import save_figure
from hsi_jax.simulation.losses import Losses
from hsi_jax.simulation.sweep import GOODPUT, Sweep


def format_table(rows: Sequence[dict]) -> str:
    """The clusters that are like the profile, a line each."""
    lines = [
        "All figures are modelled, none is measured.",
        "",
        f"{'':>8}{'':>12}{'':>12}{'step, ms':>12}{'':>10}{'':>8}{'utilisation':>13}",
        f"{'devices':>8}{'batch':>12}{'all-reduce':>12}{'balanced':>12}{'even':>10}{'gain':>8}"
        f"{'balanced':>13}{'even':>8}",
    ]
    for row in rows:
        times = ("all_reduce", "balanced_step", "even_step")
        reduce, balanced, even = (1e3 * row[f"modelled_{time}_seconds"] for time in times)
        lines.append(
            f"{row['devices']:>8}{row['batch_size']:>12}{reduce:>12.4g}{balanced:>12.4g}"
            f"{even:>10.4g}{row['modelled_gain']:>8.3f}"
            f"{row['modelled_balanced_utilisation']:>13.1%}"
            f"{row['modelled_even_utilisation']:>8.1%}"
        )
    if GOODPUT[0] in rows[0]:
        lines += ["", f"{'':>8}{'goodput, where survivors':>26}{'all start':>12}"]
        lines += [f"{'devices':>8}{'finish the step':>26}{'again':>12}"]
        lines += [
            f"{row['devices']:>8}{row[GOODPUT[0]]:>26.2%}{row[GOODPUT[1]]:>12.2%}" for row in rows
        ]
    return "\n".join(lines)


def write(
    folder: Path,
    sweep: Sweep,
    clusters: list[dict],
    mixtures: list[dict],
    *,
    formats: Sequence[str] = ("png",),
) -> None:
    """Writes modelled.csv and the pictures, in each of the formats."""
    # Here, because --help does without Matplotlib.
    from hsi_jax.evaluate.figures.goodput import draw_goodput
    from hsi_jax.evaluate.figures.scaling import draw_scaling

    rows = [[row.get(name, "") for name in clusters[0]] for row in clusters + mixtures]
    (folder / "modelled.csv").write_text(csv_text([list(clusters[0]), *rows]), encoding="utf-8")
    batch = f"{sweep.batch_size:,} samples" + (" a device" if sweep.scaling == "weak" else "")
    network = sweep.network
    title = (
        f"Modelled, {sweep.scaling} scaling: batch of {batch}; {sweep.parameters:,} parameters; "
        f"{8e-9 * network.bandwidth:g} Gbit/s, {1e6 * network.latency:g} µs"
    )
    if network.devices_per_process > 1:
        title += f"; {network.devices_per_process} devices a process"
    figures = {"modelled": draw_scaling(clusters, mixtures, title)}
    if GOODPUT[0] in clusters[0]:
        figures["modelled_goodput"] = draw_goodput(clusters, _describe(sweep.losses))
    for (name, figure), suffix in itertools.product(figures.items(), formats):
        with open(folder / f"{name}.{suffix}", "wb") as file:
            save_figure(figure, file, suffix)


def _describe(losses: Losses) -> str:
    return (
        f"Modelled: {losses.losses_per_device_day:g} losses a day of each device; recovery "
        f"{losses.recovery_seconds:g} s; restart {losses.restart_seconds:g} s, checkpoints every "
        f"{losses.checkpoint_seconds:g} s; replaced after {losses.replace_seconds:g} s"
    )
