// What all pages share: texts, requests, uploads, and what is at work.

export const texts = JSON.parse(document.getElementById("texts").textContent);

export function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

const SHOWN = 10_000; // milliseconds that a sentence is shown
let clearing = 0;

// Shows a sentence at the foot of the page for a while. stays: until another one comes.
export function say(sentence, stays = false) {
  clearTimeout(clearing);
  document.getElementById("said").textContent = sentence;
  if (!stays) clearing = setTimeout(() => say(""), SHOWN);
}

export function clock(seconds) {
  const tenths = Math.round(seconds * 10);
  const minutes = Math.floor(tenths / 600);
  const rest = ((tenths % 600) / 10).toFixed(1).padStart(4, "0");
  const hours = Math.floor(minutes / 60);
  return hours ? `${hours}:${String(minutes % 60).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

// The answer to a request; an Error with the server's sentence where it refuses.
export async function ask(method, address, body) {
  const options = { method };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers = { "content-type": "application/json" };
  }
  const answer = await request(address, options);
  return answer.status === 204 ? null : answer.json();
}

// What `fetch` gives, if it is what was asked for; else an Error with a sentence.
export async function request(address, options = {}) {
  let answer;
  try {
    answer = await fetch(address, options);
  } catch {
    throw new Error(texts.stopped);
  }
  if (answer.ok) return answer;
  throw new Error(sentenceOf(await answer.text().catch(() => "")) || answer.statusText);
}

// The sentence in the body of a refusal: of JSON its `error`, else the text itself.
export function sentenceOf(body) {
  try {
    return JSON.parse(body).error;
  } catch {
    return body;
  }
}

// Has the browser save what an address answers, under a name.
export async function save(address, name, options) {
  const answer = await request(address, options);
  const link = element("a", { href: URL.createObjectURL(await answer.blob()), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // a dialogue may come first
}

// Whether a file can be sent; an Error in a sentence where it cannot.
export async function check(file, name = file.name) {
  if (file.size > Number(document.body.dataset.most)) throw new Error(fill(texts.too_large, { name }));
  try {
    await file.slice(0, 1).arrayBuffer(); // a folder, or a file that has gone, is only told here
  } catch {
    throw new Error(fill(texts.unreadable, { name }));
  }
}

// Sends a file; `progress` gets the share that has gone, from 0 to 1.
export async function send(file, name, progress = () => {}) {
  await check(file, name);
  return new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest();
    sending.open("POST", `/uploads?name=${encodeURIComponent(name)}`);
    sending.upload.onprogress = (event) => progress(event.total ? event.loaded / event.total : 0);
    sending.onload = () => {
      if (sending.status === 201) resolve(JSON.parse(sending.response).id);
      else reject(new Error(sentenceOf(sending.response) || sending.statusText));
    };
    sending.onerror = () => reject(new Error(texts.stopped));
    sending.send(file);
  });
}

const watchers = [];
let newest = null;
let stream = null;

// Calls with what is at work, now and whenever it changes.
export function watchJobs(watcher) {
  watchers.push(watcher);
  if (newest) watcher(newest);
  if (stream) return;
  stream = new EventSource("/events");
  stream.addEventListener("jobs", (event) => {
    newest = JSON.parse(event.data);
    for (const each of watchers) each(newest);
  });
  stream.addEventListener("error", () => say(texts.stopped, true)); // the browser tries again by itself
  stream.addEventListener("open", () => {
    if (document.getElementById("said").textContent === texts.stopped) say("");
  });
  addEventListener("pagehide", () => stream.close());
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload(); // the stream was closed
  });
}

export const isOver = (job) => job.state !== "running" && job.state !== "waiting";

// Lists what is at work for a page; calls `done` with each job of it that ends well from now on,
// and says how others end. Gives a function that is told of the jobs that this page asks for: they
// may be over before they were seen at work.
export function followJobs(page, list, done) {
  const awaited = new Map(); // ids, and whether they were seen
  function look(jobs) {
    const mine = new Map(jobs.filter((job) => job.page === page).map((job) => [job.id, job]));
    for (const [key, seen] of awaited) {
      const job = mine.get(key);
      if (job ? !isOver(job) : !seen) continue;
      awaited.delete(key);
      if (!job) say(texts.lost); // the server was started anew
      else if (job.state === "done") done(job);
      else say(jobSentence(job));
    }
    const busy = [...mine.values()].filter((job) => !isOver(job));
    for (const job of busy) awaited.set(job.id, true);
    if (list) listJobs(list, busy);
  }
  watchJobs(look);
  return (key) => {
    awaited.set(key, awaited.get(key) ?? false);
    if (newest) look(newest);
  };
}

// A job as it is listed: its title, how far it is, and while it is not over a way to cancel it.
function jobRow(job) {
  const made = element("li", { class: job.state, "data-job": job.id },
    element("a", { href: job.page }, job.title));
  if (job.state === "running") made.append(element("progress", { "aria-label": job.title }));
  made.append(element("span", { class: "soft" }));
  if (!isOver(job)) {
    made.append(element("button", { type: "button", class: "small", "data-cancel": job.id,
      "aria-label": `${texts.cancel}: ${job.title}` }, texts.cancel));
  }
  return made;
}

// How far a job is, on a bar: without an end that is known it moves by itself.
export function showProgress(bar, job) {
  if (job.total) bar.value = job.done / job.total;
  else bar.removeAttribute("value");
}

// Lists jobs. A row stays while its job's state does: its button may be about to be clicked.
export function listJobs(list, jobs) {
  const rows = jobs.map((job) => {
    const held = list.querySelector(`:scope > [data-job="${job.id}"]`);
    const row = held?.className === job.state ? held : jobRow(job);
    const bar = row.querySelector("progress");
    if (bar) showProgress(bar, job);
    row.querySelector("span").textContent = jobSentence(job);
    return row;
  });
  const same = rows.length === list.children.length && rows.every((row, at) => row === list.children[at]);
  if (same) return;
  const focused = list.contains(document.activeElement) ? document.activeElement : null;
  list.replaceChildren(...rows);
  focused?.focus();
}

// What a job does, or how it ended.
export function jobStage(job) {
  if (job.state !== "running") return job.error || job.said || texts.state[job.state];
  return texts.stage[job.stage] ?? job.stage;
}

// How far it is, where that is known.
export const jobCount = (job) =>
  (job.state === "running" && job.total ? `${job.done} / ${job.total}` : "");

export const jobSentence = (job) => [jobStage(job), jobCount(job)].filter(Boolean).join(": ");

// What a screen reader reads aloud when it changes, so only when it does.
export function tell(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}
