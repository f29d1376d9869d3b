"use strict";
// A vertex of one shape and its partner on the other; strokes of a brush, and where they come to lie.

// The vertex of the other side, or -1.
function partner(pair, view, vertex) {
  return (view === 1 ? pair.p2p21 : pair.p2p12)[vertex];
}

function wordsFor(pair, view, vertex) {
  const words = ["source", "target"], other = partner(pair, view, vertex);
  const place = (side, i) => `${words[side]} vertex ${pair.sides[side].ids[i]}`;
  if (other < 0) return `${place(view, vertex)}: no partner`;
  const target = view === 1 ? vertex : other, told = [`${place(view, vertex)} → ${place(1 - view, other)}`];
  if (pair.confidence2) told.push(`confidence ${(pair.confidence2[target] / 254).toFixed(2)}`);
  if (pair.errors2 && Number.isFinite(pair.errors2[target])) {
    told.push(`error ${(100 * pair.errors2[target]).toFixed(1)} ×100`);
  }
  return told.join(" · ");
}

// Puts the mark of a view where its vertex is seen; dashed where something lies in front of it.
function placeMark(stage, view, mark, vertex) {
  mark.hidden = vertex === null || vertex < 0;
  if (mark.hidden) return;
  const places = stage.seen(view), [x, y, depth] = places.slice(3 * vertex, 3 * vertex + 3);
  const box = stage.views[view].getBoundingClientRect();
  mark.hidden = x < 0 || y < 0 || x > box.width || y > box.height;
  mark.style.transform = `translate(${x}px, ${y}px)`;
  const front = stage.pick(view, x, y);
  mark.classList.toggle("behind", front !== null && front.depth > depth + 0.02);
  mark.dataset.vertex = vertex;
}

// A soft dab about a vertex of the source; radius in units of √area, straight through space.
function dab(pair, painted, vertex, radius) {
  const { verts, n } = pair.sides[0];
  const [x, y, z] = verts.slice(3 * vertex, 3 * vertex + 3);
  for (let i = 0; i < n; i++) {
    const d = (verts[3 * i] - x) ** 2 + (verts[3 * i + 1] - y) ** 2 + (verts[3 * i + 2] - z) ** 2;
    const strength = 1 - d / radius ** 2;
    if (strength > painted[i]) painted[i] = strength;
  }
}

// The function on shape 1, carried to shape 2: by the point map, or by the functional map between the first k
// eigenfunctions, evecs2 fmap12 evecs1ᵀ diag(mass1).
function carry(pair, painted, by) {
  const { p2p21, k, sides: [side1, side2] } = pair;
  if (by === "points" || !k) return Float32Array.from(p2p21, (i1) => (i1 < 0 ? 0 : painted[i1]));
  const coeffs1 = new Float64Array(k), coeffs2 = new Float64Array(k), carried = new Float32Array(side2.n);
  const value = (side, j, v) => side.evecs.scale[j] * side.evecs.values[j * side.n + v];
  for (let v = 0; v < side1.n; v++) {
    if (painted[v]) for (let j = 0; j < k; j++) coeffs1[j] += value(side1, j, v) * side1.mass[v] * painted[v];
  }
  for (let i = 0; i < k; i++) for (let j = 0; j < k; j++) coeffs2[i] += pair.fmap12[k * i + j] * coeffs1[j];
  for (let j = 0; j < k; j++) for (let v = 0; v < side2.n; v++) carried[v] += coeffs2[j] * value(side2, j, v);
  return carried;
}
