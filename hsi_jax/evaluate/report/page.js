"use strict";
// Charts that tell their values, commands that can be copied, and the start of all. Without the
// scripts the page shows the same maps as pictures.

class ChartReader {
  constructor(plot) {
    this.plot = plot;
    this.content = JSON.parse(plot.dataset.chart);
    this.cursor = plot.querySelector(".cursor");
    this.output = plot.parentElement.querySelector(".axis");
    const label = this.output.textContent;
    this.places = [...new Set(this.content.series.flatMap((s) => s.x))].sort((a, b) => a - b);
    this.index = -1;
    plot.addEventListener("pointermove", (event) => this.point(event));
    plot.addEventListener("keydown", (event) => this.key(event));
    for (const name of ["pointerleave", "blur"]) {
      plot.addEventListener(name, () => {
        this.cursor.hidden = true;
        this.output.textContent = label;
      });
    }
  }

  point(event) {
    const box = this.plot.getBoundingClientRect();
    const [low, high] = this.content.range;
    const x = low + ((event.clientX - box.left) / box.width) * (high - low);
    this.tell(nearest(this.places, x));
  }

  key(event) {
    const next = { ArrowLeft: this.index - 1, ArrowRight: this.index + 1, Home: 0, End: this.places.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    this.tell(clamp(next, 0, this.places.length - 1));
  }

  tell(index) {
    this.index = index;
    const x = this.places[index];
    const [low, high] = this.content.range;
    const values = this.content.series
      .map((series) => [series, series.x.indexOf(x)])
      .filter(([, at]) => at >= 0)
      .map(([series, at]) => `${series.name} ${series.y[at] ?? "not finite"}`);
    this.output.textContent = `${this.content.label} ${x}: ${values.join(", ")}`;
    this.cursor.hidden = false;
    this.cursor.style.left = `${(100 * (x - low)) / (high - low)}%`;
  }
}

function nearest(sorted, x) {
  return sorted.reduce((best, value, index) => (Math.abs(value - x) < Math.abs(sorted[best] - x) ? index : best), 0);
}

function copy(button) {
  const text = button.parentElement.querySelector("pre");
  getSelection().selectAllChildren(text);
  navigator.clipboard?.writeText(text.textContent).catch(() => {});
  button.textContent = "copied";
  setTimeout(() => (button.textContent = "copy"), 1500);
}

document.querySelectorAll("[data-chart]").forEach((plot) => new ChartReader(plot));
document.querySelectorAll("[data-copy]").forEach((button) => button.addEventListener("click", () => copy(button)));
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => (one.open = true)));
if ("DecompressionStream" in window) document.querySelectorAll("[data-map]").forEach(openMap);
