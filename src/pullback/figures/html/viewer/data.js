"use strict";
// What Python packed: typed arrays, deflated, in base64.

const KINDS = { Uint8Array, Uint16Array, Uint32Array, Int16Array, Int32Array, Float32Array, Float64Array };

async function unpack(packed) {
  const letters = atob(packed.data), bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new KINDS[packed.kind](await new Response(stream).arrayBuffer());
}

// Ids with -1 where there is none; the largest number of the packed type says so.
async function unpackIds(packed) {
  const ids = await unpack(packed), none = ids.BYTES_PER_ELEMENT === 2 ? 0xffff : 0xffffffff;
  return Int32Array.from(ids, (id) => (id === none ? -1 : id));
}

async function unpackSide(packed) {
  const steps = await unpack(packed.verts), faces = await unpack(packed.faces);
  const verts = Float32Array.from(steps, (step, i) => packed.low[i % 3] + packed.step[i % 3] * step);
  const side = { name: packed.name, n: verts.length / 3, verts, faces };
  side.ids = packed.ids ? await unpack(packed.ids) : Uint32Array.from({ length: side.n }, (_, i) => i);
  if (packed.evecs) {
    side.evecs = { values: await unpack(packed.evecs), scale: packed.evecs.scale };
    side.mass = await unpack(packed.mass);
  }
  side.features = packed.features ? await Promise.all(packed.features.map(unpack)) : [];
  return side;
}

async function unpackPair(packed) {
  const pair = { ...packed, sides: await Promise.all(packed.sides.map(unpackSide)) };
  for (const name of ["p2p21", "p2p12"]) pair[name] = await unpackIds(packed[name]);
  for (const name of ["colors1", "fmap12", "confidence2", "errors2"]) {
    pair[name] = packed[name] ? await unpack(packed[name]) : null;
  }
  return pair;
}
