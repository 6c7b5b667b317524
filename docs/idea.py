"""Draws the figure of the README: `python docs/idea.py` writes docs/idea.svg."""

from pathlib import Path

from matplotlib.figure import Figure

from hsi_jax.hetero import make_plan, parse_profile

BUSY, WAITING, REDUCE = "#0072b2", "#dddddd", "#d55e00"


def draw_idea() -> Figure:
    """One step of 16 microbatches on devices of speeds 4:2:1:1, even and balanced, as modelled."""
    profile = parse_profile("4:2:1:1")
    plans = [make_plan(scheme, profile, 16, 1) for scheme in ("even", "balanced")]
    end = max(max(profile.times(plan.shares)) for plan in plans)
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    titles = ("even shares: everyone waits for the slowest", "shares by speed: all end together")
    for axes, plan, title in zip(panels, plans, titles, strict=True):
        draw_step(axes, profile, plan.shares)
        axes.set_title(title, fontsize=11)
        axes.set_xlim(0, end + 0.45)
        axes.set_xlabel("modelled time of a step")
    labels = [f"device {i}, speed {s:g}" for i, s in enumerate(profile.speeds)]
    panels[0].set_yticks(range(len(labels)), labels)
    panels[0].invert_yaxis()
    return figure


def draw_step(axes, profile, shares) -> None:
    """Numbered microbatches as blocks, then the sum over all devices."""
    end = max(profile.times(shares))
    number = 0
    for row, (device, share) in enumerate(zip(profile.devices, shares, strict=True)):
        axes.barh(row, end, color=WAITING, height=0.7)
        for turn in range(share):
            left, width = turn / device.speed, 1 / device.speed
            axes.barh(row, width, left=left, color=BUSY, height=0.7, edgecolor="white")
            axes.text(left + width / 2, row, number, ha="center", va="center", color="white")
            number += 1
    axes.axvspan(end + 0.05, end + 0.3, color=REDUCE)
    middle = (len(shares) - 1) / 2
    axes.text(
        end + 0.175, middle, "exact sum, one update", rotation=90, ha="center", va="center",
        color="white", fontsize=9,
    )  # fmt: skip
    axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    draw_idea().savefig(Path(__file__).with_name("idea.svg"))
