// A localised film: it plays, and the map of the very frame that is shown lies over it.

import { ask, clock, element, fill, say, texts, watchJobs } from "./common.js";
import { keep } from "./basket.js";
import { Overlay, between } from "./overlay.js";
import { Timeline, isSilent } from "./timeline.js";

const film = document.getElementById("film");
const { id, kind } = film.dataset;
const media = document.getElementById("media");
const canvas = document.getElementById("map");
const timelineCanvas = document.getElementById("timeline");
const stage = document.getElementById("stage");
const get = (name) => document.getElementById(name);

const [facts, maps] = await Promise.all([
  ask("GET", `/films/${id}/facts`),
  fetch(`/films/${id}/maps`).then((answer) => answer.arrayBuffer()).then((held) => new Uint8Array(held)),
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

function toggle() {
  if (media.paused) media.play().catch((error) => say(error.message));
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
  const taken = event.target.closest("input, select, textarea, button, a, summary");
  if (taken || event.ctrlKey || event.metaKey || event.altKey || !(event.key in KEYS)) return;
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

// Films that the browser does not show: no error is told, only that the picture has no width.
let copied = false;
async function copy() {
  if (kind !== "video") return;
  if (copied) {
    say(texts.cannot_play);
    return;
  }
  copied = true;
  say(texts.making_copy);
  try {
    const { job } = await ask("POST", `/films/${id}/playable`);
    whenDone(job, () => {
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

function whenDone(key, then) {
  watchJobs((jobs) => {
    const job = jobs.find((each) => each.id === key);
    if (job?.state === "done") then();
    else if (job?.state === "failed") say(job.error);
  });
}

get("paint").addEventListener("click", async () => {
  const chosen = style() === "none" ? "heat" : style();
  try {
    const { job } = await ask("POST", `/films/${id}/painted`, { style: chosen });
    let told = false;
    whenDone(job, () => {
      if (told) return;
      told = true;
      const link = element("a", { href: `/films/${id}/painted/${chosen}`, download: "" },
        fill(texts.painted, { style: document.querySelector(`input[value=${chosen}]`).parentElement.textContent.trim() }));
      film.querySelector("fieldset ul").append(element("li", {}, link));
      link.focus();
    });
  } catch (error) {
    say(error.message);
  }
});
get("export").addEventListener("click", () => {
  location.assign(`/films/${id}/export/${get("format").value}`);
});
get("link").addEventListener("click", async () => {
  const link = `${location.origin}${location.pathname}#t=${shown.toFixed(3)}`;
  history.replaceState(null, "", link);
  try {
    await navigator.clipboard.writeText(link);
    say(texts.link_copied);
  } catch {
    say(fill(texts.link_here, { link }));
  }
});
get("take").addEventListener("click", () => {
  const moment = facts.moments[between(facts.moments, shown).before];
  const [height, width] = facts.size;
  const box = moment.box?.map((edge, at) => edge / (at % 2 ? height : width)) ?? null; // as a library's
  const count = keep({ film: id, name: facts.name, ...moment, box, time: shown });
  say(fill(texts.taken, { count }));
});

const rows = facts.moments.map((moment) => element("tr", {},
  element("th", { scope: "row" }, element("a", { href: `#t=${moment.time.toFixed(3)}` }, clock(moment.time))),
  element("td", {}, isSilent(moment) ? texts.silence : moment.confidence.toFixed(2)),
  element("td", {}, moment.box ? moment.box.join(", ") : "–"),
  element("td", {}, moment.box ? `${(100 * moment.share).toFixed(0)} %` : "–")));
get("moments").replaceChildren(...rows);

function fromAddress() {
  const wanted = /^#t=([\d.]+)$/.exec(location.hash);
  if (wanted) seek(Number(wanted[1]));
}
addEventListener("hashchange", fromAddress);
if (media.readyState >= 1) fromAddress();
else media.addEventListener("loadedmetadata", fromAddress, { once: true });
again();
film.dataset.ready = "true";
