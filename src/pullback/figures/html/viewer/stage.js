"use strict";
// Both shapes on one canvas behind the two views, drawn when something has changed; what lies under a pixel.

const VERTEX_SHADER = `
attribute vec3 color; varying vec3 shown; varying vec3 facing;
void main() {
  shown = color; facing = mat3(modelMatrix) * normal;
  gl_Position = projectionMatrix * viewMatrix * modelMatrix * vec4(position, 1.0);
}`;
const FRAGMENT_SHADER = `
varying vec3 shown; varying vec3 facing;
void main() {
  vec3 n = normalize(facing) * (gl_FrontFacing ? 1.0 : -1.0);
  float light = 0.41 + 0.11 * n.y + 0.72 * max(dot(n, vec3(-0.451, 0.551, 0.702)), 0.0);
  float grazing = 1.0 - clamp(n.z, 0.0, 1.0);
  grazing *= grazing;
  light *= 1.0 - 0.45 * grazing * grazing;
  gl_FragColor = vec4(shown * pow(light, 1.0 / 2.2), 1.0); // in linear light: the same as that of the pictures
}`;

class Stage {
  constructor(canvas, views, pair) {
    this.canvas = canvas; this.views = views; this.pair = pair;
    this.cameras = [new Camera(), new Camera()];
    this.linked = true; this.turned = true;
    this.renderer = new THREE.WebGLRenderer({ canvas, antialias: true, alpha: true });
    this.renderer.setPixelRatio(Math.min(window.devicePixelRatio || 1, 2));
    this.renderer.autoClear = false;
    this.eye = new THREE.OrthographicCamera(-1, 1, 1, -1, 0, 200);
    this.eye.position.z = 100;
    this.actors = pair.sides.map((side) => this.actor(side));
    this.asked = false; this.frames = 0; this.afterwards = () => {};
  }

  actor(side) {
    const geometry = new THREE.BufferGeometry();
    geometry.setAttribute("position", new THREE.BufferAttribute(side.verts, 3));
    geometry.setAttribute("color", new THREE.BufferAttribute(new Uint8Array(3 * side.n).fill(200), 3, true));
    geometry.setIndex(new THREE.BufferAttribute(side.faces, 1));
    geometry.computeVertexNormals();
    const material = new THREE.ShaderMaterial({
      vertexShader: VERTEX_SHADER, fragmentShader: FRAGMENT_SHADER, side: THREE.DoubleSide,
    });
    const mesh = new THREE.Mesh(geometry, material), scene = new THREE.Scene();
    mesh.matrixAutoUpdate = false; mesh.frustumCulled = false;
    scene.add(mesh);
    return { mesh, scene, middle: middleOf(side.verts), seen: null };
  }

  camera(view) { return this.cameras[this.linked ? 0 : view]; }

  setLinked(linked) {
    if (!linked && this.linked) this.cameras[1] = this.cameras[0].copy();
    this.linked = linked; this.draw();
  }

  setTurned(turned) { this.turned = turned; this.draw(); }

  reset() { this.cameras.forEach((camera) => camera.reset()); this.draw(); }

  // From the shape's own axes to those of the picture: right, up, towards the eye.
  rotation(view) {
    const base = view === 1 && this.turned ? times(this.pair.view, this.pair.turn) : this.pair.view;
    return times(this.camera(view).rotation, base);
  }

  // Half of the height of a view, in units of the shapes: both fit, at one scale.
  halfHeight(view) {
    const box = this.views[view].getBoundingClientRect();
    if (!this.extents) this.extents = this.pair.sides.map((side, i) => this.extent(side, i));
    const wide = Math.max(...this.extents.map((it) => it[0])), high = Math.max(...this.extents.map((it) => it[1]));
    return (1.08 * Math.max(high, wide * box.height / Math.max(box.width, 1))) / this.camera(view).zoom;
  }

  extent(side, i) {
    const base = i === 1 ? times(this.pair.view, this.pair.turn) : this.pair.view, middle = this.actors[i].middle;
    let wide = 1e-9, high = 1e-9;
    for (let v = 0; v < side.n; v++) {
      const [x, y] = applied(base, side.verts[3 * v] - middle[0], side.verts[3 * v + 1] - middle[1],
        side.verts[3 * v + 2] - middle[2]);
      wide = Math.max(wide, Math.abs(x)); high = Math.max(high, Math.abs(y));
    }
    return [wide, high];
  }

  colour(view, colours) {
    const attribute = this.actors[view].mesh.geometry.getAttribute("color");
    attribute.array.set(colours); attribute.needsUpdate = true;
    this.draw();
  }

  draw() {
    this.actors.forEach((actor) => { actor.seen = null; });
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => { this.asked = false; this.drawNow(); });
  }

  drawNow() {
    const whole = this.canvas.getBoundingClientRect();
    this.renderer.setSize(whole.width, whole.height, false);
    this.renderer.setScissorTest(false); this.renderer.clear(); this.renderer.setScissorTest(true);
    this.views.forEach((element, view) => this.drawView(view, element.getBoundingClientRect(), whole));
    this.frames++; this.afterwards();
  }

  drawView(view, box, whole) {
    const half = this.halfHeight(view), actor = this.actors[view], r = this.rotation(view);
    const pan = this.camera(view).pan, at = applied(r, ...actor.middle);
    actor.mesh.matrix.set(r[0], r[1], r[2], pan[0] - at[0], r[3], r[4], r[5], pan[1] - at[1],
      r[6], r[7], r[8], -at[2], 0, 0, 0, 1);
    const aspect = box.width / Math.max(box.height, 1);
    Object.assign(this.eye, { left: -half * aspect, right: half * aspect, top: half, bottom: -half });
    this.eye.updateProjectionMatrix();
    const place = [box.left - whole.left, whole.bottom - box.bottom, box.width, box.height];
    this.renderer.setViewport(...place); this.renderer.setScissor(...place);
    this.renderer.render(actor.scene, this.eye);
  }

  // Places of all vertices in pixels of the view, and their distance towards the eye.
  seen(view) {
    const actor = this.actors[view];
    if (actor.seen) return actor.seen;
    const { verts, n } = this.pair.sides[view], r = this.rotation(view), pan = this.camera(view).pan;
    const box = this.views[view].getBoundingClientRect(), scale = box.height / 2 / this.halfHeight(view);
    const at = applied(r, ...actor.middle), places = new Float32Array(3 * n);
    for (let i = 0; i < 3 * n; i += 3) {
      const x = verts[i], y = verts[i + 1], z = verts[i + 2];
      places[i] = box.width / 2 + scale * (r[0] * x + r[1] * y + r[2] * z - at[0] + pan[0]);
      places[i + 1] = box.height / 2 - scale * (r[3] * x + r[4] * y + r[5] * z - at[1] + pan[1]);
      places[i + 2] = r[6] * x + r[7] * y + r[8] * z - at[2];
    }
    actor.seen = places;
    return places;
  }

  // The vertex under a pixel of a view, and how near it is: of the frontmost triangle the nearest corner; or null.
  pick(view, x, y) {
    const p = this.seen(view), { faces } = this.pair.sides[view];
    let best = null, front = -Infinity;
    for (let i = 0; i < faces.length; i += 3) {
      const a = 3 * faces[i], b = 3 * faces[i + 1], c = 3 * faces[i + 2];
      const ax = p[a] - x, bx = p[b] - x, cx = p[c] - x;
      if ((ax < 0 && bx < 0 && cx < 0) || (ax > 0 && bx > 0 && cx > 0)) continue;
      const ay = p[a + 1] - y, by = p[b + 1] - y, cy = p[c + 1] - y;
      const u = bx * cy - cx * by, v = cx * ay - ax * cy, w = ax * by - bx * ay, area = u + v + w;
      if (area === 0 || u / area < 0 || v / area < 0 || w / area < 0) continue;
      const depth = (u * p[a + 2] + v * p[b + 2] + w * p[c + 2]) / area;
      if (depth <= front) continue;
      front = depth;
      const [s, t, q] = [u / area, v / area, w / area];
      best = { vertex: faces[s >= t && s >= q ? i : t >= q ? i + 1 : i + 2], depth };
    }
    return best;
  }
}

function middleOf(verts) {
  const low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity];
  for (let i = 0; i < verts.length; i++) {
    low[i % 3] = Math.min(low[i % 3], verts[i]); high[i % 3] = Math.max(high[i % 3], verts[i]);
  }
  return low.map((x, i) => (x + high[i]) / 2);
}
