"use strict";
// Two photographs: the match of a place that is pointed at, and the way from the source to the target.

const element = (id) => document.getElementById(id);
const PANELS = ["source", "between", "target"];

class Photos {
  constructor(data, matches) {
    Object.assign(this, data, { matches });
    this.places = [null, null]; // on source and target, as shares of width and height
    this.pinned = false;
    for (const image of document.querySelectorAll("[data-copy]")) {
      image.src = element(image.dataset.copy).querySelector("img").src;
    }
    PANELS.forEach((name) => this.listen(element(name), name));
    element("slider").addEventListener("input", () => this.slide());
    this.slide();
  }

  // 0 is the source, 1 the source warped to the target, 2 the target.
  slide() {
    const at = Number(element("slider").value);
    element("warped").style.opacity = Math.min(1, at);
    element("over").style.opacity = Math.max(0, at - 1);
    element("slider").setAttribute("aria-valuetext", at < 0.5 ? "source" : at <= 1.5 ? "warped source" : "target");
    this.draw();
  }

  // The place on the source of a place on the target, from the nearest sample; null where it lies outside.
  onSource([x, y]) {
    const column = Math.min(this.columns - 1, Math.floor(x * this.columns));
    const at = 2 * (Math.min(this.rows - 1, Math.floor(y * this.rows)) * this.columns + column);
    const found = [this.matches[at], this.matches[at + 1]];
    return Number.isFinite(found[0]) ? found : null;
  }

  // The place on the target whose match lies nearest; null where none lies within 4 % of the longer side.
  onTarget([x, y]) {
    const [height, width] = this.sizes[0], longer = Math.max(height, width);
    let best = null, nearest = 0.04 ** 2;
    for (let i = 0; i < this.rows * this.columns; i++) {
      const dx = ((this.matches[2 * i] - x) * width) / longer, dy = ((this.matches[2 * i + 1] - y) * height) / longer;
      const distance = dx * dx + dy * dy;
      if (distance < nearest) { nearest = distance; best = i; }
    }
    if (best === null) return null;
    return [((best % this.columns) + 0.5) / this.columns, (Math.floor(best / this.columns) + 0.5) / this.rows];
  }

  mark(side, place) {
    this.places = place === null ? [null, null]
      : side === 0 ? [place, this.onTarget(place)] : [this.onSource(place), place];
    this.draw();
  }

  // A place on the source where it is fitted into the frame of the target.
  contained([x, y]) {
    const [one, two] = this.sizes.map(([height, width]) => width / height), share = Math.min(one / two, two / one);
    const set = (value) => (1 - share) / 2 + share * value;
    return one > two ? [x, set(y)] : [set(x), y];
  }

  draw() {
    const [one, two] = this.places, at = Math.min(1, Number(element("slider").value));
    const between = one && two ? this.contained(one).map((x, i) => (1 - at) * x + at * two[i]) : null;
    [one, between, two].forEach((place, i) => {
      const mark = element(PANELS[i]).querySelector(".mark");
      mark.hidden = place === null;
      if (place) Object.assign(mark.style, { left: `${100 * place[0]}%`, top: `${100 * place[1]}%` });
    });
    const pixel = (place, [height, width]) => (place === null ? "no match"
      : `(${Math.round(place[0] * width - 0.5)}, ${Math.round(place[1] * height - 0.5)})`);
    element("told").textContent = one || two
      ? `target ${pixel(two, this.sizes[1])} → source ${pixel(one, this.sizes[0])}` : element("told").dataset.empty;
  }

  listen(panel, name) {
    const side = name === "source" ? 0 : 1, image = panel.querySelector("img");
    const point = (e) => {
      const box = image.getBoundingClientRect(), share = (x, low, size) => Math.min(1, Math.max(0, (x - low) / size));
      this.mark(side, [share(e.clientX, box.left, box.width), share(e.clientY, box.top, box.height)]);
    };
    panel.addEventListener("pointermove", (e) => { if (!this.pinned && e.pointerType !== "touch") point(e); });
    panel.addEventListener("click", (e) => { this.pinned = true; point(e); });
    panel.addEventListener("pointerleave", (e) => { if (!this.pinned && e.pointerType !== "touch") this.mark(0, null); });
    panel.addEventListener("keydown", (e) => {
      const step = { ArrowLeft: [-0.01, 0], ArrowRight: [0.01, 0], ArrowUp: [0, -0.01], ArrowDown: [0, 0.01] }[e.key];
      if (e.key === "Escape") { this.pinned = false; this.mark(0, null); }
      if (!step) return;
      e.preventDefault(); this.pinned = true;
      const from = this.places[side] || [0.5, 0.5];
      this.mark(side, from.map((x, i) => Math.min(1, Math.max(0, x + step[i]))));
    });
  }
}

async function begin() {
  if (typeof DecompressionStream === "undefined") element("told").textContent = "This browser is too old for this page.";
  else window.photos = new Photos(DATA, await unpack(DATA.matches));
  document.body.dataset.ready = "yes";
}
begin();
