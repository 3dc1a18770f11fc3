// Draws response maps over a film, as a painted film shows them.

const PLASMA =
  "0c0786 1b068c 250591 2f0495 380499 40039c 49029f 5101a2 5901a4 6100a6 6800a7 7000a8 " +
  "7801a8 7f03a7 8607a6 8e0ca4 9511a1 9b179e a21c9a a82296 ae2791 b42d8d b93388 be3883 " +
  "c33e7f c8447a cd4975 d14f71 d6556d da5a68 de6064 e26660 e56c5b e97257 ec7853 ef7e4e " +
  "f2854a f58b46 f79241 f9993d faa039 fca735 fdaf31 fdb62d fdbe29 fdc626 fcce25 fad624 " +
  "f8df24 f5e726 f2f026 eff821";
// every fifth of the 256 colours, by Nathaniel J. Smith and Stefan van der Walt, CC0

const RASTER = 128; // pixels of the longer side on which a map is drawn
const LEVEL = 0.5; // where contours are
const FOUND = "rgb(255, 196, 46)";
const INK = "rgba(16, 16, 24, 0.75)";

export const colours = (() => {
  const knots = PLASMA.trim().split(/\s+/).map((hex) =>
    [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16)));
  const made = new Uint8ClampedArray(256 * 3);
  for (let value = 0; value < 256; value++) {
    const place = (value / 255) * (knots.length - 1);
    const low = Math.min(Math.floor(place), knots.length - 2);
    for (let band = 0; band < 3; band++) {
      made[3 * value + band] = knots[low][band] +
        (place - low) * (knots[low + 1][band] - knots[low][band]);
    }
  }
  return made;
})();

// Bicubic weights from `from` cells to `to` pixels, cell centres kept.
function taps(from, to) {
  const cubic = (x) => {
    const a = Math.abs(x);
    if (a < 1) return 1.5 * a ** 3 - 2.5 * a ** 2 + 1;
    return a < 2 ? -0.5 * a ** 3 + 2.5 * a ** 2 - 4 * a + 2 : 0;
  };
  return Array.from({ length: to }, (_, pixel) => {
    const centre = ((pixel + 0.5) * from) / to - 0.5;
    const first = Math.floor(centre) - 1;
    return [0, 1, 2, 3].map((step) => {
      const cell = first + step;
      const inside = Math.min(Math.max(cell, 0), from - 1);
      return [inside, cell === inside ? cubic(centre - cell) : 0];
    }).map(([cell, weight], _, all) => [cell, weight / all.reduce((sum, one) => sum + one[1], 0)]);
  });
}

// The last moment at or before a time, the one after it, and how far between them.
export function between(moments, time) {
  let low = 0;
  let high = moments.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (moments[middle].time <= time) low = middle + 1;
    else high = middle;
  }
  const before = Math.max(low - 1, 0);
  const after = Math.min(low, moments.length - 1);
  const span = moments[after].time - moments[before].time;
  const weight = span > 0 ? Math.min(Math.max((time - moments[before].time) / span, 0), 1) : 0;
  return { before, after, weight };
}

export class Overlay {
  // facts: of the film, with `grid`, `size` (height, width) and `moments`. maps: bytes.
  constructor(canvas, facts, maps) {
    this.canvas = canvas;
    this.facts = facts;
    this.maps = maps;
    const [height, width] = facts.size;
    const scale = RASTER / Math.max(height, width);
    this.wide = Math.max(2, Math.round(width * scale));
    this.tall = Math.max(2, Math.round(height * scale));
    const [rows, columns] = facts.grid;
    this.down = taps(rows, this.tall);
    this.across = taps(columns, this.wide);
    this.small = new OffscreenCanvas(this.wide, this.tall);
    this.values = new Float32Array(this.wide * this.tall);
  }

  fit() {
    const room = this.canvas.getBoundingClientRect();
    const scale = Math.min(devicePixelRatio || 1, 2);
    const width = Math.max(1, Math.round(room.width * scale));
    const height = Math.max(1, Math.round(room.height * scale));
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
  }

  // Draws what sounds at a time. style: heat, contour, box or none. strength: 0 to 1.
  draw(time, style, strength) {
    const pen = this.canvas.getContext("2d");
    pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.canvas.dataset.time = time;
    this.canvas.dataset.drawn = "";
    if (style === "none" || !strength) return;
    const at = between(this.facts.moments, time);
    if (style === "box") this.drawBox(pen, at, strength);
    else if (this.blend(at)) {
      this.canvas.dataset.drawn = style;
      if (style === "heat") this.drawHeat(pen, strength);
      else this.drawContour(pen, strength);
    }
  }

  // The maps of two moments blended, at the size of the raster; false where there is no source.
  blend({ before, after, weight }) {
    const [rows, columns] = this.facts.grid;
    const size = rows * columns;
    const cells = new Float32Array(size);
    let any = false;
    for (let cell = 0; cell < size; cell++) {
      cells[cell] = ((1 - weight) * this.maps[before * size + cell] +
        weight * this.maps[after * size + cell]) / 255;
      any ||= cells[cell] > 0;
    }
    if (!any) return false;
    const wide = new Float32Array(rows * this.wide);
    for (let row = 0; row < rows; row++) {
      for (let x = 0; x < this.wide; x++) {
        let sum = 0;
        for (const [cell, share] of this.across[x]) sum += share * cells[row * columns + cell];
        wide[row * this.wide + x] = sum;
      }
    }
    for (let y = 0; y < this.tall; y++) {
      for (let x = 0; x < this.wide; x++) {
        let sum = 0;
        for (const [row, share] of this.down[y]) sum += share * wide[row * this.wide + x];
        this.values[y * this.wide + x] = Math.min(Math.max(sum, 0), 1);
      }
    }
    return true;
  }

  drawHeat(pen, strength) {
    const image = new ImageData(this.wide, this.tall);
    for (let at = 0; at < this.values.length; at++) {
      const value = this.values[at];
      const rise = Math.min(Math.max((value - 0.3) / 0.5, 0), 1);
      const colour = 3 * Math.round(255 * value);
      for (let band = 0; band < 3; band++) image.data[4 * at + band] = colours[colour + band];
      image.data[4 * at + 3] = 255 * strength * rise * rise * (3 - 2 * rise);
    }
    this.small.getContext("2d").putImageData(image, 0, 0);
    pen.imageSmoothingQuality = "high";
    pen.drawImage(this.small, 0, 0, this.canvas.width, this.canvas.height);
  }

  drawContour(pen, strength) {
    const path = new Path2D();
    const scaleX = this.canvas.width / this.wide;
    const scaleY = this.canvas.height / this.tall;
    const value = (x, y) => this.values[y * this.wide + x];
    const cross = (x0, y0, x1, y1) => {
      const [a, b] = [value(x0, y0), value(x1, y1)];
      if (a >= LEVEL === b >= LEVEL) return null;
      const share = (LEVEL - a) / (b - a);
      return [(x0 + share * (x1 - x0) + 0.5) * scaleX, (y0 + share * (y1 - y0) + 0.5) * scaleY];
    };
    for (let y = 0; y + 1 < this.tall; y++) {
      for (let x = 0; x + 1 < this.wide; x++) {
        const ends = [cross(x, y, x + 1, y), cross(x + 1, y, x + 1, y + 1),
          cross(x, y + 1, x + 1, y + 1), cross(x, y, x, y + 1)].filter(Boolean);
        for (let at = 0; at + 1 < ends.length; at += 2) {
          path.moveTo(...ends[at]);
          path.lineTo(...ends[at + 1]);
        }
      }
    }
    this.stroke(pen, path, strength);
  }

  drawBox(pen, { before, after, weight }, strength) {
    const [first, second] = [this.facts.moments[before], this.facts.moments[after]];
    const near = weight < 0.5 ? first : second;
    if (!near.box) return;
    const both = first.box && second.box;
    const mix = (a, b) => (both ? (1 - weight) * a + weight * b : null);
    const box = near.box.map((edge, at) => (both ? mix(first.box[at], second.box[at]) : edge));
    const confidence = both ? mix(first.confidence, second.confidence) : near.confidence;
    const [height, width] = this.facts.size;
    const [scaleX, scaleY] = [this.canvas.width / width, this.canvas.height / height];
    const [x, y] = [box[0] * scaleX, box[1] * scaleY];
    const path = new Path2D();
    path.rect(x, y, (box[2] - box[0]) * scaleX, (box[3] - box[1]) * scaleY);
    this.stroke(pen, path, strength);
    this.canvas.dataset.drawn = "box";
    this.canvas.dataset.box = box.map((edge) => edge.toFixed(1)).join(" ");
    const letters = Math.max(12, this.canvas.height / 24);
    pen.font = `600 ${letters}px system-ui, sans-serif`;
    const label = confidence.toFixed(2);
    const room = pen.measureText(label).width + letters * 0.6;
    const top = y >= letters * 1.4 ? y - letters * 1.4 : y;
    pen.fillStyle = FOUND;
    pen.fillRect(x, top, room, letters * 1.4);
    pen.fillStyle = "#101018";
    pen.fillText(label, x + letters * 0.3, top + letters * 1.08);
  }

  stroke(pen, path, strength) {
    const line = Math.max(2, Math.min(this.canvas.width, this.canvas.height) / 160);
    pen.globalAlpha = Math.min(1, strength * 1.4);
    pen.lineJoin = pen.lineCap = "round";
    pen.strokeStyle = INK;
    pen.lineWidth = line + 3;
    pen.stroke(path);
    pen.strokeStyle = FOUND;
    pen.lineWidth = line;
    pen.stroke(path);
    pen.globalAlpha = 1;
  }
}
