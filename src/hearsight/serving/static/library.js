// The library: search by what is dropped, chosen or recorded; play what was found; a basket.

import { ask, clock, element, fill, followJobs, save, say, send, tell, texts } from "./common.js";
import * as basket from "./basket.js";
import { listen, openDevices, reason, toWav } from "./microphone.js";
import { Overlay } from "./overlay.js";

const LONGEST = 10; // seconds of a recording
const form = document.getElementById("send");
const said = document.getElementById("send-said");
const percent = document.getElementById("send-percent");
const failed = document.getElementById("send-failed");

function modality() {
  return document.getElementById("to").value;
}

async function search(file, name, to) {
  failed.textContent = "";
  try {
    const upload = await send(file, name, (share) => {
      tell(said, fill(texts.sending, { name }));
      percent.textContent = fill(texts.percent, { percent: Math.floor(100 * share) });
    });
    location.assign((await ask("POST", "/library/queries", { upload, to })).page);
  } catch (error) {
    failed.textContent = error.message;
  }
  said.textContent = percent.textContent = "";
}

const isPicture = (file) => file.type.startsWith("image/") || /\.(heic|heif|tiff?)$/i.test(file.name);

function take(files) {
  if (files.length) search(files[0], files[0].name, isPicture(files[0]) ? "image" : modality());
}

if (form) {
  const input = document.getElementById("files");
  input.addEventListener("change", () => {
    take(input.files);
    input.value = "";
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("dragover", (event) => {
    event.preventDefault();
    form.classList.add("over");
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) form.classList.remove("over");
  });
  addEventListener("drop", (event) => {
    event.preventDefault();
    form.classList.remove("over");
    take(event.dataTransfer.files);
  });
  document.getElementById("record").addEventListener("click", record);
}

let finish = null;
let asking = false;
async function record() {
  if (finish) {
    finish();
    return;
  }
  if (asking) return; // the browser asks whether it may
  asking = true;
  const button = document.getElementById("record");
  try {
    const stream = await openDevices({ audio: true });
    const blocks = [];
    const context = await listen(stream, (block, rate) => {
      blocks.push(block);
      const seconds = (blocks.length * block.length) / rate;
      button.textContent = fill(texts.recording, { seconds: Math.floor(seconds) });
      if (seconds >= LONGEST) finish?.();
    });
    finish = () => {
      finish = null;
      button.textContent = texts.record;
      for (const track of stream.getTracks()) track.stop();
      context.close();
      search(toWav(blocks, context.sampleRate), "recording.wav", modality());
    };
  } catch (error) {
    failed.textContent = fill(texts.no_microphone, { why: reason(error) });
  }
  asking = false;
}

// Where it sounds, over the pictures of what was found.
const DRAWN = "hearsight-drawn";
const STRENGTH = 0.7;
const drawn = document.getElementById("drawn");

async function paint(canvas) {
  const picture = canvas.parentElement.querySelector("img");
  await picture.decode().catch(() => {}); // a broken one has no size, and nothing is drawn
  if (!picture.naturalWidth) return;
  const maps = Uint8Array.from(atob(canvas.dataset.map), (sign) => sign.charCodeAt(0));
  const grid = canvas.dataset.grid.split(" ").map(Number);
  const size = [picture.naturalHeight, picture.naturalWidth];
  const overlay = new Overlay(canvas, { grid, size, moments: [{ time: 0 }] }, maps);
  overlay.fit();
  overlay.draw(0, drawn.value === "box" ? "none" : drawn.value, STRENGTH);
}

function paintAll() {
  document.getElementById("found").dataset.drawn = drawn.value;
  for (const canvas of document.querySelectorAll("canvas.map")) paint(canvas);
}

if (drawn) {
  drawn.value = localStorage.getItem(DRAWN) ?? drawn.value;
  if (!drawn.value) drawn.selectedIndex = 0;
  drawn.addEventListener("change", () => {
    localStorage.setItem(DRAWN, drawn.value);
    paintAll();
  });
  addEventListener("htmx:after:swap", paintAll); // the found ones are new
  addEventListener("resize", paintAll);
  paintAll();
}

// Playing: one moment at a time, over its picture.
let playing = null;
function stop() {
  playing?.player.remove();
  playing = null;
}

async function play(card) {
  stop();
  const mine = (playing = { card, player: element("span") });
  try {
    const at = card.dataset.time;
    const found = await ask("GET", `/library/play/${card.dataset.row}?at=${at}`);
    if (playing !== mine) return;
    const tag = found.kind === "video" ? "video" : "audio";
    const player = element(tag, { playsinline: "", src: `${found.source}#t=${found.start},${found.end}` });
    mine.player = player;
    player.addEventListener("timeupdate", () => {
      if (player.currentTime >= found.end) stop();
    });
    player.addEventListener("ended", stop);
    card.querySelector(".frame").append(player);
    await player.play().catch((error) => {
      if (error.name !== "NotAllowedError") throw error;
      player.muted = true; // before a first click browsers play no sound
      return player.play();
    });
  } catch (error) {
    if (playing !== mine) return; // it was left before it began
    stop();
    say(error instanceof DOMException ? texts.cannot_play_moment : error.message);
  }
}

const still = matchMedia("(prefers-reduced-motion: reduce)");
const found = document.getElementById("content");
found.addEventListener("pointerover", (event) => {
  const card = event.target.closest?.(".card[data-moment] .shot")?.closest(".card");
  if (!card || card === playing?.card || event.pointerType === "touch") return;
  if (card.dataset.kind === "picture" || still.matches || !document.getElementById("hover")?.checked) return;
  play(card);
  card.addEventListener("pointerleave", () => {
    if (playing?.card === card) stop();
  }, { once: true });
});
found.addEventListener("click", async (event) => {
  const { act, index, localiseRow } = event.target.dataset ?? {};
  const card = event.target.closest?.(".card");
  try {
    if (act === "play") {
      if (playing?.card === card) stop();
      else await play(card);
    } else if (act === "take") {
      const count = basket.keep(JSON.parse(card.dataset.moment));
      say(fill(texts.taken, { count }));
      show();
    } else if (act === "localise" || localiseRow) {
      const row = localiseRow ?? card.dataset.row;
      const at = localiseRow ? "" : `#t=${card.dataset.time}`;
      location.assign((await ask("POST", "/films", { row })).page + at);
    } else if (index !== undefined) {
      expect((await ask("POST", "/library/index", { folder: Number(index) })).job);
    }
  } catch (error) {
    say(error.message);
  }
});

// What is being indexed, also by another page; what came of it is said by the page that comes then.
const INDEXED = "hearsight-indexed";
const expect = followJobs("/library", document.getElementById("indexing"), (job) => {
  sessionStorage.setItem(INDEXED, job.said);
  location.reload();
});
const indexed = sessionStorage.getItem(INDEXED);
if (indexed) say(indexed);
sessionStorage.removeItem(INDEXED);

// The basket.
function show() {
  const all = basket.held();
  const list = document.getElementById("basket");
  if (!list) return;
  list.replaceChildren(...all.map((moment, place) => {
    const address = moment.film
      ? `/films/${moment.film}#t=${moment.time}`
      : `/library?row=${moment.row}&at=${moment.time}&to=sound`;
    return element("li", {},
      element("a", { href: address }, moment.name),
      element("span", { class: "soft" }, clock(moment.time)),
      element("button", { type: "button", class: "small quiet", "data-drop": place,
        "aria-label": `${texts.remove}: ${moment.name} ${clock(moment.time)}` }, texts.remove));
  }));
  if (!all.length) list.append(element("li", { class: "soft" }, texts.basket_none));
  document.getElementById("basket-acts").hidden = !all.length;
}

document.getElementById("basket")?.addEventListener("click", (event) => {
  if (event.target.dataset.drop === undefined) return;
  basket.drop(Number(event.target.dataset.drop));
  show();
});
document.getElementById("basket-clear")?.addEventListener("click", () => {
  basket.empty();
  show();
});
for (const button of document.querySelectorAll("[data-save]")) {
  button.addEventListener("click", async () => {
    const form = button.dataset.save;
    const body = JSON.stringify({ form, moments: basket.held() });
    try {
      await save("/library/basket", `moments.${form}`, { method: "POST", body });
    } catch (error) {
      say(error.message);
    }
  });
}
addEventListener("storage", show);
show();
