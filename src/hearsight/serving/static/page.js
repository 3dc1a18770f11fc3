// The header of every page: what is at work, with progress, and a way to cancel it.

import { ask, element, fill, isOver, listJobs, say, sentenceOf, tell, texts,
  watchJobs } from "./common.js";

const list = document.getElementById("work-list");
const count = document.getElementById("work-count");
const none = list.textContent;
const SHOWN = 8; // of those that are over
let known = false; // how much is at work

watchJobs((jobs) => {
  const busy = jobs.filter((job) => !isOver(job)).length;
  const words = busy === 0 ? texts.jobs.none : busy === 1 ? texts.jobs.one : texts.jobs.many;
  const said = fill(words, { count: busy });
  count.textContent = said;
  if (known) tell(document.getElementById("work-told"), said); // apart: a status gives no name
  known = true;
  const old = new Set(jobs.filter(isOver).slice(0, -SHOWN));
  listJobs(list, jobs.filter((job) => !old.has(job)).reverse());
  if (!jobs.length) list.append(element("li", {}, none));
});

const panel = document.getElementById("work");
document.addEventListener("click", (event) => {
  if (!panel.contains(event.target)) panel.open = false; // it lies over the page
  const key = event.target.dataset?.cancel;
  if (key) ask("DELETE", `/jobs/${key}`).catch((error) => say(error.message));
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && panel.open) {
    panel.open = false;
    panel.querySelector("summary").focus();
  }
});
// What a part of a page asks for by itself fails in a sentence, too.
document.addEventListener("htmx:error", (event) => {
  if (event.detail.error?.name !== "AbortError") say(texts.stopped); // a later one took its place
});
document.addEventListener("htmx:response:error", (event) => {
  const { response, text } = event.detail.ctx;
  say(sentenceOf(text) || `${response.status}`);
});
