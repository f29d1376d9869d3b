"use strict";
// The page: what is typed, pointed at and touched.

const element = (id) => document.getElementById(id);
const STEP = Math.PI / 18; // of an arrow key

class Viewer {
  constructor(pair) {
    this.pair = pair;
    this.views = [element("view0"), element("view1")];
    this.marks = this.views.map((view) => view.querySelector(".mark"));
    this.stage = new Stage(element("canvas"), this.views, pair);
    this.colours = new Colours(pair);
    this.marked = [null, null]; this.pinned = false;
    this.stage.afterwards = () => this.placeMarks();
    const [wide, high] = this.stage.extent(pair.sides[0], 0);
    document.body.classList.toggle("broad", wide > 1.2 * high);
    this.views.forEach((view, i) => this.listen(view, i));
    this.controls();
    new ResizeObserver(() => this.stage.draw()).observe(element("stage"));
    this.show();
  }

  controls() {
    for (const id of ["colour", "number", "channel"]) element(id).addEventListener("input", () => this.show());
    element("linked").addEventListener("change", (e) => this.stage.setLinked(e.target.checked));
    element("turned").addEventListener("change", (e) => this.stage.setTurned(e.target.checked));
    element("pale").addEventListener("change", (e) => { this.colours.pale = e.target.checked; this.show(); });
    element("reset").addEventListener("click", () => this.stage.reset());
    element("clear").addEventListener("click", () => { this.colours.painted.fill(0); this.carry(); });
    element("by").addEventListener("input", () => this.carry());
    [0, 1].forEach((view) => element(`vertex${view}`).addEventListener("change", (e) => this.find(view, e.target)));
  }

  get what() { return element("colour").value; }

  // Colours both shapes by what is chosen, and writes its scale.
  show() {
    const what = this.what, number = Number(element(what === "feature" ? "channel" : "number").value);
    for (const row of document.querySelectorAll("[data-for]")) row.hidden = row.dataset.for !== what;
    element("number-said").textContent = element("number").value;
    const { colours, scale } = this.colours.of(what, number);
    colours.forEach((each, view) => this.stage.colour(view, each));
    element("scale").hidden = scale === null;
    if (scale === null) return;
    const stops = this.pair.scales[scale.name], shown = [];
    for (let i = 0; i < stops.length; i += 21) shown.push(`rgb(${stops.slice(i, i + 3)})`);
    element("ramp").style.background = `linear-gradient(to right, ${shown})`;
    element("low").textContent = scale.low; element("high").textContent = scale.high;
  }

  // Marks a vertex and its partner; null takes the marks away.
  mark(view, vertex) {
    const found = vertex !== null && vertex >= 0;
    this.marked = [null, null];
    if (found) {
      this.marked[view] = vertex; this.marked[1 - view] = partner(this.pair, view, vertex);
      element("told").textContent = wordsFor(this.pair, view, vertex);
      this.marked.forEach((v, i) => { element(`vertex${i}`).value = v < 0 ? "" : this.pair.sides[i].ids[v]; });
    } else element("told").textContent = element("told").dataset.empty;
    this.placeMarks();
  }

  placeMarks() { this.marks.forEach((mark, view) => placeMark(this.stage, view, mark, this.marked[view])); }

  find(view, input) {
    const vertex = input.value === "" ? null : this.pair.sides[view].ids.indexOf(Number(input.value));
    if (vertex === -1) { this.mark(view, null); element("told").textContent = `no vertex ${input.value} is shown`; return; }
    this.pinned = vertex !== null; this.mark(view, vertex);
  }

  paint(vertex, radius) { dab(this.pair, this.colours.painted, vertex, radius); this.carry(); }

  carry() {
    this.colours.carried = carry(this.pair, this.colours.painted, element("by").value);
    if (this.what === "brush") this.show();
  }

  paintAt(x, y) {
    const hit = this.stage.pick(0, x, y);
    if (hit) { this.mark(0, hit.vertex); this.paint(hit.vertex, Number(element("radius").value)); }
    return hit !== null;
  }

  pointAt(view, x, y) {
    const hit = this.stage.pick(view, x, y);
    this.mark(view, hit && hit.vertex);
  }

  listen(area, view) {
    const fingers = new Map(); let moved = 0, painting = false, waiting = null;
    const at = (e) => { const box = area.getBoundingClientRect(); return [e.clientX - box.left, e.clientY - box.top]; };
    area.addEventListener("pointerdown", (e) => {
      area.setPointerCapture(e.pointerId); fingers.set(e.pointerId, at(e)); moved = 0;
      painting = fingers.size === 1 && e.button === 0 && view === 0 && this.what === "brush" && this.paintAt(...at(e));
    });
    area.addEventListener("pointermove", (e) => {
      if (!fingers.has(e.pointerId)) {
        if (this.pinned || e.pointerType === "touch") return;
        if (waiting === null) requestAnimationFrame(() => { this.pointAt(view, ...waiting); waiting = null; });
        waiting = at(e);
        return;
      }
      const before = [...fingers.values()], from = fingers.get(e.pointerId), to = at(e);
      fingers.set(e.pointerId, to); moved += Math.hypot(to[0] - from[0], to[1] - from[1]);
      if (painting) this.paintAt(...to);
      else if (moved > 3) this.dragged(view, e, before, [...fingers.values()], to[0] - from[0], to[1] - from[1]);
    });
    const leave = (e) => {
      if (fingers.size === 1 && fingers.has(e.pointerId) && moved <= 3 && !painting && e.type === "pointerup") {
        const hit = this.stage.pick(view, ...at(e));
        this.pinned = hit !== null; this.mark(view, hit && hit.vertex);
      }
      fingers.delete(e.pointerId); if (!fingers.size) painting = false;
    };
    area.addEventListener("pointerup", leave);
    area.addEventListener("pointercancel", leave);
    area.addEventListener("pointerleave", (e) => { if (!this.pinned && !fingers.size && e.pointerType !== "touch") this.mark(view, null); });
    area.addEventListener("contextmenu", (e) => e.preventDefault());
    area.addEventListener("wheel", (e) => {
      e.preventDefault(); this.stage.camera(view).zoomBy(Math.exp(-0.0012 * e.deltaY)); this.stage.draw();
    }, { passive: false });
    area.addEventListener("keydown", (e) => this.pressed(view, e));
  }

  // One finger turns, two move and zoom; the right button or the shift key moves.
  dragged(view, event, before, after, dx, dy) {
    const camera = this.stage.camera(view), height = this.views[view].getBoundingClientRect().height;
    const unit = (2 * this.stage.halfHeight(view)) / height;
    if (after.length >= 2) {
      const apart = (points) => Math.hypot(points[0][0] - points[1][0], points[0][1] - points[1][1]);
      camera.zoomBy(apart(after) / Math.max(apart(before), 1)); camera.move((dx * unit) / 2, (-dy * unit) / 2);
    } else if (event.shiftKey || event.buttons & 2) camera.move(dx * unit, -dy * unit);
    else camera.turn(dx * 0.008, dy * 0.008);
    this.stage.draw();
  }

  pressed(view, event) {
    const camera = this.stage.camera(view), act = {
      ArrowLeft: () => camera.turn(-STEP, 0), ArrowRight: () => camera.turn(STEP, 0),
      ArrowUp: () => camera.turn(0, -STEP), ArrowDown: () => camera.turn(0, STEP),
      "+": () => camera.zoomBy(1.2), "=": () => camera.zoomBy(1.2), "-": () => camera.zoomBy(1 / 1.2),
      Home: () => camera.reset(), 0: () => camera.reset(), Escape: () => { this.pinned = false; this.mark(view, null); },
    }[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault(); act(); this.stage.draw();
  }
}

async function begin() {
  const test = document.createElement("canvas");
  if (typeof DecompressionStream === "undefined" || !(test.getContext("webgl2") || test.getContext("webgl"))) {
    element("told").textContent = "This browser shows no 3D graphics (WebGL); the report's pictures show the same.";
  } else window.viewer = new Viewer(await unpackPair(DATA));
  document.body.dataset.ready = "yes";
}
begin();
