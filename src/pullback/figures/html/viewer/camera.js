"use strict";
// Rotations as nine numbers, row by row, and a camera that looks at both shapes from one side.

const IDENTITY = [1, 0, 0, 0, 1, 0, 0, 0, 1];

function times(a, b) {
  const product = [];
  for (let row = 0; row < 3; row++) {
    for (let column = 0; column < 3; column++) {
      product.push(a[3 * row] * b[column] + a[3 * row + 1] * b[3 + column] + a[3 * row + 2] * b[6 + column]);
    }
  }
  return product;
}

function applied(m, x, y, z) {
  return [m[0] * x + m[1] * y + m[2] * z, m[3] * x + m[4] * y + m[5] * z, m[6] * x + m[7] * y + m[8] * z];
}

// Rows at right angles and of unit length again, after many small turns.
function orthonormal(m) {
  const length = (v) => Math.hypot(...v), unit = (v) => v.map((x) => x / length(v));
  const a = unit(m.slice(0, 3)), along = a[0] * m[3] + a[1] * m[4] + a[2] * m[5];
  const b = unit([m[3] - along * a[0], m[4] - along * a[1], m[5] - along * a[2]]);
  return [...a, ...b, a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}

class Camera {
  constructor() { this.reset(); }

  reset() { this.rotation = IDENTITY; this.zoom = 1; this.pan = [0, 0]; }

  // Angles in radians: the shape follows the hand, to the right and down.
  turn(right, down) {
    const c = Math.cos(right), s = Math.sin(right), d = Math.cos(down), t = Math.sin(down);
    const about = times([1, 0, 0, 0, d, -t, 0, t, d], [c, 0, s, 0, 1, 0, -s, 0, c]);
    this.rotation = orthonormal(times(about, this.rotation));
  }

  zoomBy(factor) { this.zoom = Math.min(40, Math.max(0.3, this.zoom * factor)); }

  // In units of the shapes, to the right and up.
  move(right, up) { this.pan = [this.pan[0] + right, this.pan[1] + up]; }

  copy() { return Object.assign(new Camera(), { rotation: this.rotation, zoom: this.zoom, pan: this.pan }); }
}
