// A localised film: it plays, and the map of the very frame that is shown lies over it.

import { ask, clock, element, fill, followJobs, request, save, say, texts } from "./common.js";
import { keep } from "./basket.js";
import { Overlay, between } from "./overlay.js";
import { Timeline, isSilent } from "./timeline.js";

const film = document.getElementById("film");
const { id, kind } = film.dataset;
const media = document.getElementById("media");
const canvas = document.getElementById("map");
const timelineCanvas = document.getElementById("timeline");
const stage = document.getElementById("stage");
const UNTOLD = 200; // milliseconds after a seek within which a frame is told
const get = (name) => document.getElementById(name);

const [facts, maps] = await Promise.all([
  ask("GET", `/films/${id}/facts`),
  request(`/films/${id}/maps`).then((answer) => answer.arrayBuffer()).then((held) => new Uint8Array(held)),
]);
stage.style.aspectRatio = stage.dataset.ratio;
stage.style.setProperty("--ratio", facts.size[1] / facts.size[0]);
const overlay = new Overlay(canvas, facts, maps);
const timeline = new Timeline(timelineCanvas, facts, seek);
const frame = kind === "video" && facts.frame_rate ? 1 / ratio(facts.frame_rate) : 0.04;
let shown = 0; // time of the frame that is shown
let spoken = "";

function ratio(text) {
  const [above, below] = text.split("/").map(Number);
  return below ? above / below : above;
}

function seek(time) {
  media.currentTime = Math.min(Math.max(time, 0), facts.duration);
  if (kind === "picture") show(media.currentTime);
  history.replaceState(null, "", `#t=${media.currentTime.toFixed(3)}`);
}

function describe(moment) {
  const confidence = moment.confidence.toFixed(2);
  if (isSilent(moment)) return texts.silence;
  if (!moment.box) return fill(texts.no_source, { confidence });
  return fill(texts.source, { box: moment.box.join(", "), confidence });
}

function loudness(time) {
  const { step, values } = facts.levels;
  const level = values[Math.min(Math.floor(time / step), values.length - 1)];
  return level === null || level === undefined ? "" : fill(texts.loudness, { level: level.toFixed(0) });
}

function style() {
  return document.querySelector("input[name=style]:checked").value;
}

function show(time) {
  shown = time;
  overlay.draw(kind === "picture" ? 0 : time, style(), get("strength").value / 100);
  timeline.show(time);
  const at = between(facts.moments, time);
  const moment = facts.moments[at.before];
  get("clock").value = `${clock(time)} / ${clock(facts.duration)}`;
  const said = [describe(moment), loudness(time)].filter(Boolean).join(", ");
  if (said !== spoken) get("now").textContent = spoken = said;
  timelineCanvas.setAttribute("aria-valuenow", time.toFixed(2));
  if (media.paused) {
    timelineCanvas.setAttribute("aria-valuetext", fill(texts.moment, { time: clock(time), what: said }));
  }
  for (const link of document.querySelectorAll("[data-like]")) {
    link.href = `/library?film=${id}&to=${link.dataset.like}&at=${time.toFixed(3)}`;
  }
}

// The picture that is on the screen decides, not the clock of the player, which runs ahead of it.
function follow(_, frameFacts) {
  show(frameFacts.mediaTime);
  media.requestVideoFrameCallback(follow);
}
function followClock() {
  show(media.currentTime);
  requestAnimationFrame(followClock);
}
if (kind === "video" && "requestVideoFrameCallback" in media) media.requestVideoFrameCallback(follow);
else followClock();

// Chromium does not always tell the frame after a seek, if it comes with the first one of a page.
function catchUp() {
  if (media.paused && !media.seeking && Math.abs(media.currentTime - shown) > frame) show(media.currentTime);
}
media.addEventListener("seeked", () => setTimeout(catchUp, UNTOLD));

// Why a film does not play. One that is paused before it began, or gets a copy, is no fault.
function tellUnplayable(error) {
  if (error.name === "NotAllowedError") say(texts.not_allowed);
  else if (error.name !== "AbortError" && kind !== "video") say(texts.cannot_play_sound);
}

function toggle() {
  if (media.paused) media.play().catch(tellUnplayable);
  else media.pause();
}
for (const name of ["play", "pause", "ended"]) {
  media.addEventListener(name, () => {
    get("play").textContent = media.paused ? texts.play : texts.pause;
    if (media.paused) history.replaceState(null, "", `#t=${shown.toFixed(3)}`);
  });
}
get("play").addEventListener("click", toggle);
stage.addEventListener("click", toggle);
get("back")?.addEventListener("click", () => step(-1));
get("forward")?.addEventListener("click", () => step(1));
get("mute").addEventListener("click", () => {
  media.muted = !media.muted;
  get("mute").textContent = media.muted ? texts.unmute : texts.mute;
});
get("full").addEventListener("click", () => {
  if (document.fullscreenElement) document.exitFullscreen();
  else stage.requestFullscreen().catch((error) => say(error.message));
});

function step(frames) {
  media.pause();
  seek(shown + (frames + 0.5) * frame); // the middle of a frame is never its neighbour's
}

const KEYS = {
  ArrowLeft: () => seek(timeline.moved(-1)),
  ArrowRight: () => seek(timeline.moved(1)),
  PageUp: () => seek(shown + 10),
  PageDown: () => seek(shown - 10),
  Home: () => seek(0),
  End: () => seek(facts.duration),
  " ": toggle,
  k: toggle,
  ",": () => step(-1),
  ".": () => step(1),
};
document.addEventListener("keydown", (event) => {
  const writes = event.target.closest("input, select, textarea");
  const presses = event.key === " " && event.target.closest("button, a, summary");
  const taken = writes || presses || event.ctrlKey || event.metaKey || event.altKey;
  if (taken || !(event.key in KEYS)) return;
  const paging = ["PageUp", "PageDown", "Home", "End"].includes(event.key);
  if (paging && event.target !== timelineCanvas) return; // they scroll the page
  event.preventDefault();
  KEYS[event.key]();
});

function again() {
  show(shown);
}
for (const input of document.querySelectorAll("input[name=style], #strength")) {
  input.addEventListener("input", again);
}
new ResizeObserver(() => {
  overlay.fit();
  again();
}).observe(canvas);

// What is at work on this film is told beside the button; what was painted the server lists.
const ends = new Map(); // what is to be done after the jobs that were asked for here
const expect = followJobs(`/films/${id}`, get("film-jobs"), (job) => (ends.get(job.id) ?? showPainted)());

async function begin(part, body, then) {
  const { job } = await ask("POST", `/films/${id}/${part}`, body);
  ends.set(job, then);
  expect(job);
}

// Lists the painted films anew. style: of the one that was asked for here, which gets the focus.
async function showPainted(style) {
  const answer = await request(`/films/${id}`).catch((error) => say(error.message));
  if (!answer) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("painted");
  if (fresh) get("painted").replaceWith(fresh);
  if (style) get("painted").querySelector(`[data-painted=${style}]`)?.focus();
}

get("paint").addEventListener("click", async () => {
  const chosen = style() === "none" ? "heat" : style();
  try {
    await begin("painted", { style: chosen }, () => showPainted(chosen));
  } catch (error) {
    say(error.message);
  }
});
get("export").addEventListener("click", async () => {
  const [chosen] = get("format").selectedOptions;
  try {
    await save(`/films/${id}/export/${chosen.value}`, chosen.dataset.file);
  } catch (error) {
    say(error.message);
  }
});

// Films that the browser does not show: no error is told, only that the picture has no width.
let copied = false;
async function copy() {
  if (kind !== "video") return;
  if (copied) {
    say(texts.cannot_play);
    return;
  }
  copied = true;
  say(texts.making_copy, true);
  try {
    await begin("playable", undefined, () => {
      media.src = `/films/${id}/media?copy`;
      say("");
    });
  } catch (error) {
    say(error.message);
  }
}
media.addEventListener("loadedmetadata", () => {
  if (kind === "video" && !media.videoWidth) copy();
});
media.addEventListener("error", copy);
if (media.error || (kind === "video" && media.readyState >= 1 && !media.videoWidth)) copy();

get("link").addEventListener("click", async () => {
  const link = `${location.origin}${location.pathname}#t=${shown.toFixed(3)}`;
  history.replaceState(null, "", link);
  try {
    await navigator.clipboard.writeText(link);
    say(texts.link_copied);
  } catch {
    say(fill(texts.link_here, { link }), true);
  }
});
get("take").addEventListener("click", () => {
  const moment = facts.moments[between(facts.moments, shown).before];
  const [height, width] = facts.size;
  const box = moment.box?.map((edge, at) => edge / (at % 2 ? height : width)) ?? null; // as a library's
  const count = keep({ film: id, name: facts.name, ...moment, box, time: shown });
  say(fill(texts.taken, { count }));
});

// A row for each moment, made when the table is opened: a long film has very many.
get("table").addEventListener("toggle", () => {
  const rows = facts.moments.map((moment) => element("tr", {},
    element("th", { scope: "row" }, element("a", { href: `#t=${moment.time.toFixed(3)}` }, clock(moment.time))),
    element("td", {}, isSilent(moment) ? texts.silence : moment.confidence.toFixed(2)),
    element("td", {}, moment.box ? moment.box.join(", ") : "–"),
    element("td", {}, moment.box ? `${(100 * moment.share).toFixed(0)} %` : "–")));
  get("moments").replaceChildren(...rows);
}, { once: true });

function fromAddress() {
  const wanted = /^#t=([\d.]+)$/.exec(location.hash);
  if (wanted) seek(Number(wanted[1]));
}
addEventListener("hashchange", fromAddress);
if (media.readyState >= 1) fromAddress();
else media.addEventListener("loadedmetadata", fromAddress, { once: true });
again();
film.dataset.ready = "true";
