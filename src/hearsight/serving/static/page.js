// The header of every page: what is at work, with progress, and a way to cancel it.

import { ask, element, fill, jobSentence, say, texts, watchJobs } from "./common.js";

const list = document.getElementById("work-list");
const count = document.getElementById("work-count");
const none = list.textContent;
const SHOWN = 8;

function row(job) {
  const made = element("li", { class: job.state }, element("a", { href: job.page }, job.title));
  if (job.state === "running") {
    made.append(element("progress", { max: job.total || 1, value: job.total ? job.done : undefined,
      "aria-label": job.title }));
  }
  made.append(element("span", { class: "soft" }, jobSentence(job)));
  if (job.state === "running" || job.state === "waiting") {
    const button = element("button", { type: "button", class: "small", "data-cancel": job.id,
      "aria-label": `${texts.cancel}: ${job.title}` }, texts.cancel);
    made.append(button);
  }
  return made;
}

watchJobs((jobs) => {
  const busy = jobs.filter((job) => job.state === "running" || job.state === "waiting").length;
  const words = busy === 0 ? texts.jobs.none : busy === 1 ? texts.jobs.one : texts.jobs.many;
  const said = fill(words, { count: busy });
  if (count.textContent !== said) count.textContent = said;
  const held = document.activeElement?.dataset?.cancel;
  list.replaceChildren(...jobs.slice(-SHOWN).reverse().map(row));
  if (!jobs.length) list.append(element("li", {}, none));
  if (held) list.querySelector(`[data-cancel="${held}"]`)?.focus(); // the list was made anew
});

list.addEventListener("click", (event) => {
  const key = event.target.dataset.cancel;
  if (key) ask("DELETE", `/jobs/${key}`).catch((error) => say(error.message));
});
document.addEventListener("keydown", (event) => {
  const panel = document.getElementById("work");
  if (event.key === "Escape" && panel.open) {
    panel.open = false;
    panel.querySelector("summary").focus();
  }
});
