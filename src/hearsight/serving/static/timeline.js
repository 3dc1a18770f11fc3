// The timeline of a film: confidence above, loudness below, and a cursor that seeks.

import { between } from "./overlay.js";

const QUIET = -60; // dB; below it is silence
const DEEPEST = -72; // dB at the foot of the loudness

export const isSilent = (moment) => !moment.box && moment.confidence === 0;

export class Timeline {
  // seek: called with the time, in seconds, that was chosen.
  constructor(canvas, facts, seek) {
    this.canvas = canvas;
    this.facts = facts;
    this.time = 0;
    this.length = Math.max(facts.duration, 0.001);
    canvas.setAttribute("aria-valuemax", this.length.toFixed(1));
    const chosen = (event) => {
      const room = canvas.getBoundingClientRect();
      const share = (event.clientX - room.left) / room.width;
      seek(Math.min(Math.max(share, 0), 1) * this.length);
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      chosen(event);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (canvas.hasPointerCapture(event.pointerId)) chosen(event);
    });
    new ResizeObserver(() => this.paint()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.paint());
  }

  // The time of the moment that lies `steps` after the present one (before it, if negative).
  moved(steps) {
    const { moments } = this.facts;
    const at = between(moments, this.time + 0.001).before;
    const back = steps < 0 && this.time - moments[at].time > 0.05 ? 1 : 0;
    return moments[Math.min(Math.max(at + steps + back, 0), moments.length - 1)].time;
  }

  // Draws what does not move; `show` lays the cursor over it.
  paint() {
    const room = this.canvas.getBoundingClientRect();
    const scale = Math.min(devicePixelRatio || 1, 2);
    const [width, height] = [Math.round(room.width * scale), Math.round(room.height * scale)];
    if (!width || !height) return;
    this.canvas.width = width;
    this.canvas.height = height;
    this.still = new OffscreenCanvas(width, height);
    const pen = this.still.getContext("2d");
    const style = getComputedStyle(this.canvas);
    const colour = (name) => style.getPropertyValue(name).trim();
    const middle = Math.round(height * 0.58);
    pen.fillStyle = colour("--tint");
    pen.fillRect(0, 0, width, height);
    this.paintLoudness(pen, width, middle, height, colour);
    this.paintConfidence(pen, width, middle, scale, colour);
    this.show(this.time);
  }

  paintLoudness(pen, width, top, height, colour) {
    const { step, values } = this.facts.levels;
    const silent = new Path2D();
    const loud = colour("--loud"); // asking for a colour takes longer than painting with it
    let begun = -1;
    for (let x = 0; x <= width; x++) {
      const from = Math.floor(((x / width) * this.length) / step);
      const to = Math.max(from + 1, Math.ceil((((x + 1) / width) * this.length) / step));
      const part = values.slice(from, to).map((value) => value ?? -Infinity);
      const level = part.length ? Math.max(...part) : -Infinity;
      const quiet = x < width && level < QUIET;
      if (quiet && begun < 0) begun = x;
      if (!quiet && begun >= 0) {
        silent.rect(begun, top, x - begun, height - top);
        begun = -1;
      }
      if (quiet || x === width) continue;
      const share = Math.min(Math.max((level - DEEPEST) / -DEEPEST, 0), 1);
      pen.fillStyle = loud;
      pen.fillRect(x, height - share * (height - top - 2), 1, height);
    }
    pen.save();
    pen.clip(silent);
    pen.strokeStyle = colour("--soft");
    pen.lineWidth = 1.5;
    for (let x = -height; x < width; x += 9) {
      pen.beginPath();
      pen.moveTo(x, height);
      pen.lineTo(x + height - top, top);
      pen.stroke();
    }
    pen.restore();
  }

  paintConfidence(pen, width, foot, scale, colour) {
    const { moments, threshold } = this.facts;
    const least = Math.max(1.5 * threshold, 0.001);
    const most = moments.reduce((high, one) => Math.max(high, one.confidence), least);
    const high = (value) => foot - 2 - Math.min(Math.max(value / most, 0), 1) * (foot - 8);
    const [found, rest] = [colour("--found"), colour("--rest")];
    moments.forEach((moment, at) => {
      const begin = this.facts.kind === "picture" ? 0 : moment.time; // a picture's lasts all through
      const left = (begin / this.length) * width;
      const next = moments[at + 1]?.time ?? this.length;
      const right = Math.max(left + 1, (next / this.length) * width);
      if (isSilent(moment)) return; // a gap: silence has no confidence
      pen.fillStyle = moment.box ? found : rest;
      pen.globalAlpha = moment.box ? 0.9 : 0.6;
      pen.fillRect(left, high(moment.confidence), right - left, foot - high(moment.confidence));
    });
    pen.globalAlpha = 1;
    if (threshold > 0) {
      pen.strokeStyle = colour("--ink");
      pen.setLineDash([4 * scale, 4 * scale]);
      pen.beginPath();
      pen.moveTo(0, high(threshold));
      pen.lineTo(width, high(threshold));
      pen.stroke();
      pen.setLineDash([]);
    }
    pen.fillStyle = colour("--line");
    pen.fillRect(0, foot, width, 1);
  }

  show(time) {
    this.time = time;
    if (!this.still) return;
    const pen = this.canvas.getContext("2d");
    pen.drawImage(this.still, 0, 0);
    const { width, height } = this.canvas;
    const x = Math.min(time / this.length, 1) * (width - 2);
    const style = getComputedStyle(this.canvas);
    pen.fillStyle = style.getPropertyValue("--paper");
    pen.fillRect(x - 2, 0, 7, height);
    pen.fillStyle = style.getPropertyValue("--ink");
    pen.fillRect(x, 0, 3, height);
  }
}
