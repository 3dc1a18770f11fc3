// The camera and the microphone, live: the last seconds of sound and the picture in their middle.

import { fill, request, tell, texts } from "./common.js";
import { listen, openDevices, reason, toInt16 } from "./microphone.js";
import { Overlay } from "./overlay.js";

const SECONDS = 3; // of sound that a moment hears
const SIDE = 360; // pixels of the shorter side of the picture that is sent
const get = (name) => document.getElementById(name);
const camera = get("camera");
const canvas = get("map");

const CALM = 3000; // milliseconds between two things that are read aloud at least
let live = null; // what runs now
let asking = false; // the browser asks whether it may
let told = -CALM;

// The last samples of a microphone, and when they were heard.
class Heard {
  constructor() {
    this.blocks = [];
    this.length = 0;
  }

  add(block, most) {
    this.blocks.push(block);
    this.length += block.length;
    while (this.length - this.blocks[0].length >= most) this.length -= this.blocks.shift().length;
  }

  whole() {
    const all = new Float32Array(this.length);
    let at = 0;
    for (const block of this.blocks) {
      all.set(block, at);
      at += block.length;
    }
    return all;
  }
}

async function picture() {
  const scale = Math.min(1, SIDE / Math.min(camera.videoWidth, camera.videoHeight));
  const size = [camera.videoWidth, camera.videoHeight].map((side) => Math.round(side * scale));
  const small = new OffscreenCanvas(...size);
  small.getContext("2d").drawImage(camera, 0, 0, ...size);
  return small.convertToBlob({ type: "image/jpeg", quality: 0.85 });
}

function show(found) {
  const maps = Uint8Array.from(atob(found.map), (sign) => sign.charCodeAt(0));
  const overlay = new Overlay(canvas, { ...found, moments: [{ ...found, time: 0 }] }, maps);
  overlay.fit();
  const style = document.querySelector("input[name=style]:checked").value;
  overlay.draw(0, style, get("strength").value / 100);
  const confidence = found.confidence.toFixed(2);
  const silent = !found.box && found.confidence === 0;
  const what = silent ? texts.silence
    : found.box ? fill(texts.source, { box: found.box.join(", "), confidence })
      : fill(texts.no_source, { confidence });
  const level = found.level === null ? "" : fill(texts.loudness, { level: found.level.toFixed(0) });
  get("now").textContent = [what, level].filter(Boolean).join(", ");
  if (performance.now() - told < CALM) return;
  told = performance.now();
  tell(get("told"), silent ? texts.silence : found.box ? texts.found : texts.unfound);
}

async function run(mine) {
  const rate = mine.context.sampleRate;
  const frames = []; // pictures with their times: the one in the middle of the sound is sent
  while (live === mine) {
    const begun = performance.now();
    frames.push({ at: begun, file: await picture() });
    if (mine.heard.length < SECONDS * rate * 0.98) {
      get("now").textContent = fill(texts.listening, { seconds: (mine.heard.length / rate).toFixed(0) });
      await new Promise((next) => setTimeout(next, 200));
      continue;
    }
    const middle = performance.now() - (SECONDS * 1000) / 2;
    while (frames.length > 1 && frames[1].at <= middle) frames.shift();
    const body = new Blob([frames[0].file, toInt16(mine.heard.whole())]);
    const address = `/live?rate=${rate}&picture=${frames[0].file.size}`;
    const found = await (await request(address, { method: "POST", body })).json();
    if (live !== mine) return;
    show(found);
    const took = performance.now() - begun;
    get("pace").textContent = fill(texts.rate, { ms: Math.round(took) });
    canvas.dataset.shown = Number(canvas.dataset.shown ?? 0) + 1;
    await new Promise((next) => setTimeout(next, Math.max(0, 200 - took)));
  }
}

async function start() {
  get("failed").textContent = "";
  const stream = await openDevices({
    video: { width: { ideal: 640 } },
    audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
  });
  const mine = { stream, heard: new Heard() };
  live = mine;
  camera.srcObject = stream;
  await camera.play();
  get("stage").style.aspectRatio = `${camera.videoWidth}/${camera.videoHeight}`;
  get("stage").style.setProperty("--ratio", camera.videoWidth / camera.videoHeight);
  mine.context = await listen(stream, (block, rate) => mine.heard.add(block, SECONDS * rate));
  get("start").textContent = texts.stop;
  return mine;
}

function stop() {
  live?.context?.close();
  for (const track of live?.stream?.getTracks() ?? []) track.stop();
  live = null;
  get("start").textContent = texts.start;
  for (const name of ["now", "told", "pace"]) get(name).textContent = "";
  canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
}

get("start").addEventListener("click", async () => {
  if (asking) return;
  if (live) {
    stop();
    return;
  }
  asking = true;
  let mine = null;
  try {
    mine = await start();
  } catch (error) {
    stop();
    get("failed").textContent = fill(texts.no_camera, { why: reason(error) });
  }
  asking = false;
  try {
    if (mine) await run(mine);
  } catch (error) {
    if (live !== mine) return; // it was stopped
    stop();
    get("failed").textContent = error.message;
  }
});
addEventListener("pagehide", stop);
