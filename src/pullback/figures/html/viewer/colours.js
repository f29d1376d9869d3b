"use strict";
// Three bytes for each vertex of either shape, by what is shown: both shapes on one scale.

const PALE = 217, UNKNOWN = [168, 173, 179];

class Colours {
  constructor(pair) {
    this.pair = pair; this.pale = true;
    this.painted = new Float32Array(pair.sides[0].n); this.carried = new Float32Array(pair.sides[1].n);
  }

  // Colours of both sides, and the ends of the scale (none for positions, which are no numbers).
  of(what, number) {
    const { sides, bounds } = this.pair;
    switch (what) {
      case "position": return { colours: [this.pair.colors1, this.faded(this.fetched())], scale: null };
      case "confidence": return this.both("confidence", 0, 1, (i) => this.confidence(i), "0", "1: sure to lie within 0.10 √area");
      case "error": {
        const limit = this.pair.error_limit, text = `≥ ${Math.round(100 * limit)} geodesic error ×100`;
        return this.both("error", 0, limit, (i) => this.pair.errors2[i], "0", text);
      }
      case "eigenfunction": {
        const limit = 0.8 * 32767 * Math.max(...sides.map((side) => side.evecs.scale[number]));
        const colours = [1, this.pair.signs2[number]].map((sign, i) => this.coloured(
          "signed", -limit, limit, sides[i].n, (v) => sign * this.eigenfunction(i, number, v)));
        return { colours, scale: { name: "signed", low: `−${limit.toPrecision(2)}`, high: limit.toPrecision(2) } };
      }
      case "feature": {
        const [low, high] = bounds[number], colours = sides.map((side) => this.coloured(
          "feature", 0, 254, side.n, (v) => (side.features[number][v] === 255 ? NaN : side.features[number][v])));
        return { colours, scale: { name: "feature", low: low.toPrecision(3), high: high.toPrecision(3) } };
      }
      default: {
        const colours = [this.painted, this.carried].map((values) => this.coloured(
          "brush", 0, 1, values.length, (v) => values[v]));
        return { colours: [colours[0], this.faded(colours[1])], scale: { name: "brush", low: "0", high: "1" } };
      }
    }
  }

  confidence(i2) {
    if (this.pair.p2p21[i2] < 0) return NaN;
    return this.pair.confidence2 ? this.pair.confidence2[i2] / 254 : 1;
  }

  eigenfunction(side, number, v) {
    const { values, scale } = this.pair.sides[side].evecs;
    return scale[number] * values[number * this.pair.sides[side].n + v];
  }

  // The colours of shape 1 on shape 2, through the point map.
  fetched() {
    const { p2p21, colors1 } = this.pair, colours = new Uint8Array(3 * p2p21.length).fill(PALE);
    p2p21.forEach((i1, i2) => { if (i1 >= 0) for (let c = 0; c < 3; c++) colours[3 * i2 + c] = colors1[3 * i1 + c]; });
    return colours;
  }

  // Pale grey from a confidence of 0.7 down to 0.3, and where there is no match.
  faded(colours) {
    return colours.map((value, i) => {
      const sure = this.confidence(Math.floor(i / 3));
      const kept = Number.isNaN(sure) ? 0 : this.pale ? Math.min(1, Math.max(0, (sure - 0.3) / 0.4)) : 1;
      return kept * value + (1 - kept) * PALE;
    });
  }

  // What is known of vertices of shape 2, shown on shape 1 at their partners.
  both(name, low, high, value2, lowText, highText) {
    const { p2p12, sides } = this.pair, at1 = (i1) => (p2p12[i1] < 0 ? NaN : value2(p2p12[i1]));
    const colours = [at1, value2].map((value, i) => this.coloured(name, low, high, sides[i].n, value));
    return { colours, scale: { name, low: lowText, high: highText } };
  }

  coloured(name, low, high, n, value) {
    const stops = this.pair.scales[name], last = stops.length / 3 - 1, colours = new Uint8Array(3 * n);
    for (let v = 0; v < n; v++) {
      const unit = (value(v) - low) / (high - low), at = Math.min(1, Math.max(0, unit)) * last;
      const stop = Math.min(last - 1, Math.floor(at)), rest = at - stop;
      for (let c = 0; c < 3; c++) {
        colours[3 * v + c] = Number.isFinite(unit)
          ? (1 - rest) * stops[3 * stop + c] + rest * stops[3 * stop + 3 + c] : UNKNOWN[c];
      }
    }
    return colours;
  }
}
