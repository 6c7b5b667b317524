"use strict";
// A map with a movable border between two of its layers. It names the class of each pixel.

const SETS = ["", "train", "validation", "test"];
const CORRECT = [189, 189, 189], WRONG = [215, 25, 28], DIMMED = 30;
const MAX_ZOOM = 64;

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const buffer = await new Response(stream).arrayBuffer();
  return Uint16Array.from({ length: buffer.byteLength / 2 }, (_, i) => new DataView(buffer).getUint16(2 * i, true));
}

const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
const clamp = (x, low, high) => Math.min(Math.max(x, low), high);

class MapView {
  constructor(figure, facts, planes) {
    Object.assign(this, { figure, facts });
    const size = facts.rows * facts.columns;
    [this.truth, this.prediction, this.sets] = [0, 1, 2].map((i) => planes.subarray(i * size, (i + 1) * size));
    this.colours = facts.colours.map(rgb);
    const find = (selector) => figure.querySelector(selector);
    this.stage = find(".stage");
    this.canvas = find("canvas");
    this.divider = find(".divider");
    this.cross = find(".cross");
    this.tip = find(".tip");
    this.reading = find(".reading");
    this.range = find("input");
    this.selects = [...figure.querySelectorAll("select")];
    this.only = null; // the class that is shown alone
    this.zoom = 1;
    this.centre = [facts.columns / 2, facts.rows / 2]; // the pixel in the middle of the stage
    this.pixel = null; // that of the keyboard
    this.paint();
    this.listen();
    this.resize();
  }

  // Draws each layer once, a pixel for a pixel.
  paint() {
    const { rows, columns } = this.facts;
    this.layers = [0, 1, 2].map((layer) => {
      const canvas = Object.assign(document.createElement("canvas"), { width: columns, height: rows });
      const image = new ImageData(columns, rows);
      for (let i = 0; i < rows * columns; i++) {
        const colour = this.colourOf(layer, i);
        if (!colour) continue;
        image.data.set(colour, 4 * i);
        image.data[4 * i + 3] = this.isShown(layer, i) ? 255 : DIMMED;
      }
      canvas.getContext("2d").putImageData(image, 0, 0);
      return canvas;
    });
  }

  colourOf(layer, i) {
    if (layer < 2) return this.colours[(layer ? this.prediction : this.truth)[i] - 1];
    if (this.sets[i] !== 3 || !this.truth[i]) return null;
    return this.truth[i] === this.prediction[i] ? CORRECT : WRONG;
  }

  isShown(layer, i) {
    if (this.only === null) return true;
    return (layer === 1 ? this.prediction : this.truth)[i] === this.only + 1;
  }

  get scale() {
    const { rows, columns } = this.facts;
    return this.zoom * Math.min(this.width / columns, this.height / rows);
  }

  get border() {
    return (this.width * this.range.value) / 100;
  }

  resize() {
    const { rows, columns } = this.facts;
    this.width = this.stage.clientWidth;
    this.height = Math.round(clamp((this.width * rows) / columns, 160, Math.max(260, 0.72 * innerHeight)));
    this.stage.style.height = `${this.height}px`;
    this.canvas.width = Math.round(this.width * devicePixelRatio);
    this.canvas.height = Math.round(this.height * devicePixelRatio);
    this.draw();
  }

  draw() {
    const { rows, columns } = this.facts;
    const context = this.canvas.getContext("2d");
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    context.imageSmoothingEnabled = this.scale * devicePixelRatio < 1;
    const [left, top] = this.place(0, 0);
    const sides = [[0, this.border], [this.border, this.width]];
    sides.forEach(([from, to], side) => {
      context.save();
      context.beginPath();
      context.rect(from, 0, to - from, this.height);
      context.clip();
      const layer = this.layers[this.selects[side].value];
      context.drawImage(layer, left, top, columns * this.scale, rows * this.scale);
      context.restore();
      this.figure.querySelectorAll(".side")[side].textContent = this.selects[side].selectedOptions[0].text;
    });
    this.divider.style.left = `${this.border}px`;
    this.figure.querySelector(".zoom output").textContent = `${+this.zoom.toFixed(1)}×`;
    this.stage.classList.toggle("zoomed", this.zoom > 1);
    this.range.setAttribute("aria-valuetext", `${this.range.value} % of the width show ${this.selects[0].selectedOptions[0].text}`);
    this.placeCross();
  }

  place(column, row) {
    return [this.width / 2 + (column - this.centre[0]) * this.scale, this.height / 2 + (row - this.centre[1]) * this.scale];
  }

  pixelAt(x, y) {
    const column = Math.floor((x - this.width / 2) / this.scale + this.centre[0]);
    const row = Math.floor((y - this.height / 2) / this.scale + this.centre[1]);
    const inside = column >= 0 && row >= 0 && column < this.facts.columns && row < this.facts.rows;
    return inside ? [column, row] : null;
  }

  zoomTo(zoom, x = this.width / 2, y = this.height / 2) {
    const before = this.scale;
    const at = [(x - this.width / 2) / before + this.centre[0], (y - this.height / 2) / before + this.centre[1]];
    this.zoom = clamp(zoom, 1, MAX_ZOOM);
    this.moveTo(at[0] - (x - this.width / 2) / this.scale, at[1] - (y - this.height / 2) / this.scale);
  }

  // The map fills the stage as far as it can.
  moveTo(column, row) {
    const fit = (centre, size, length) => {
      const half = length / 2 / this.scale;
      return 2 * half >= size ? size / 2 : clamp(centre, half, size - half);
    };
    this.centre = [fit(column, this.facts.columns, this.width), fit(row, this.facts.rows, this.height)];
    this.draw();
  }

  // What a pixel is: the heading and the rest.
  describe([column, row]) {
    const { names, columns, every } = this.facts;
    const i = row * columns + column;
    const [truth, prediction] = [this.truth, this.prediction].map((plane) => names[plane[i] - 1]);
    const where = `row ${row * every}, column ${column * every}`;
    const set = SETS[this.sets[i]];
    if (!truth) return ["Unlabelled", `predicted ${prediction ?? "nothing"} · ${where}`];
    const verdict = truth === prediction ? "predicted correctly" : `predicted ${prediction ?? "nothing"}`;
    return [truth, `${verdict} · ${set ? `${set} pixel` : "in no set"} · ${where}`];
  }

  tell(pixel, x, y) {
    this.tip.hidden = !pixel;
    if (!pixel) return;
    const [head, rest] = this.describe(pixel);
    const heading = document.createElement("b");
    heading.textContent = head;
    this.tip.replaceChildren(heading, rest);
    this.reading.textContent = `${head}: ${rest}`;
    const beside = x + 16 + this.tip.offsetWidth > this.width ? x - 16 - this.tip.offsetWidth : x + 16;
    this.tip.style.left = `${clamp(beside, 0, Math.max(0, this.width - this.tip.offsetWidth))}px`;
    this.tip.style.top = `${clamp(y + 16, 0, Math.max(0, this.height - this.tip.offsetHeight))}px`;
  }

  placeCross() {
    this.cross.hidden = !this.pixel;
    if (!this.pixel) return;
    const [left, top] = this.place(...this.pixel);
    const side = Math.max(this.scale, 6);
    const shift = (this.scale - side) / 2;
    Object.assign(this.cross.style, { left: `${left + shift}px`, top: `${top + shift}px`, width: `${side}px`, height: `${side}px` });
  }

  step(columns, rows) {
    const at = this.pixel ?? [Math.floor(this.centre[0]) - columns, Math.floor(this.centre[1]) - rows];
    this.pixel = [clamp(at[0] + columns, 0, this.facts.columns - 1), clamp(at[1] + rows, 0, this.facts.rows - 1)];
    const [x, y] = this.place(this.pixel[0] + 0.5, this.pixel[1] + 0.5);
    const seen = x > 0 && y > 0 && x < this.width && y < this.height;
    seen ? this.draw() : this.moveTo(...this.pixel);
    this.tell(this.pixel, ...this.place(this.pixel[0] + 1, this.pixel[1] + 1));
  }

  listen() {
    new ResizeObserver(() => this.stage.clientWidth !== this.width && this.resize()).observe(this.stage);
    this.range.addEventListener("input", () => this.draw());
    this.selects.forEach((select) => select.addEventListener("change", () => this.draw()));
    this.figure.querySelectorAll("[data-zoom]").forEach((button) =>
      button.addEventListener("click", () => this.zoomTo({ in: 2 * this.zoom, out: this.zoom / 2, all: 1 }[button.dataset.zoom])));
    this.stage.addEventListener("keydown", (event) => this.key(event));
    this.stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.stage.addEventListener("pointerdown", (event) => this.press(event));
    this.stage.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) this.stage.addEventListener(name, () => (this.drag = null));
    this.stage.addEventListener("pointerleave", () => this.tell(null));
    this.stage.addEventListener("dblclick", (event) => this.zoomTo(2 * this.zoom, ...this.inside(event)));
    this.stage.addEventListener("blur", () => { this.pixel = null; this.draw(); this.tell(null); });
    const buttons = [...this.figure.closest("article").querySelectorAll("button.class")];
    buttons.forEach((button) => button.addEventListener("click", () => this.choose(button, buttons)));
  }

  choose(button, buttons) {
    const index = Number(button.dataset.class);
    this.only = this.only === index ? null : index;
    buttons.forEach((b) => b.setAttribute("aria-pressed", String(Number(b.dataset.class) === this.only)));
    this.paint();
    this.draw();
  }

  key(event) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const zooms = { "+": 2 * this.zoom, "=": 2 * this.zoom, "-": this.zoom / 2, 0: 1 };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in steps) this.step(...steps[event.key].map((n) => n * (event.shiftKey ? 10 : 1)));
    else if (event.key in zooms) this.zoomTo(zooms[event.key], ...(this.pixel ? this.place(...this.pixel) : []));
    else return;
    event.preventDefault();
  }

  // The wheel alone scrolls the page.
  wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    this.zoomTo(this.zoom * 2 ** (-event.deltaY / 200), ...this.inside(event));
  }

  inside(event) {
    const box = this.stage.getBoundingClientRect();
    return [event.clientX - box.left - this.stage.clientLeft, event.clientY - box.top - this.stage.clientTop];
  }

  press(event) {
    const [x, y] = this.inside(event);
    const border = this.zoom === 1 || Math.abs(x - this.border) < 14;
    this.drag = { border, x, y, centre: this.centre };
    this.stage.setPointerCapture(event.pointerId);
  }

  move(event) {
    const [x, y] = this.inside(event);
    if (this.drag?.border) {
      this.range.value = (100 * x) / this.width;
      this.draw();
    } else if (this.drag) {
      const { centre } = this.drag;
      this.moveTo(centre[0] - (x - this.drag.x) / this.scale, centre[1] - (y - this.drag.y) / this.scale);
    }
    this.tell(this.pixelAt(x, y), x, y);
  }
}

async function openMap(figure) {
  const facts = JSON.parse(figure.querySelector("script").textContent);
  const planes = await unpack(facts.packed);
  figure.hidden = false;
  new MapView(figure, facts, planes);
}
