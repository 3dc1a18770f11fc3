// What all pages share: texts, requests, uploads, and what is at work.

export const texts = JSON.parse(document.getElementById("texts").textContent);

export function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

export function say(sentence) {
  document.getElementById("said").textContent = sentence;
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
  let answer;
  try {
    answer = await fetch(address, options);
  } catch {
    throw new Error(texts.stopped);
  }
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  const said = await answer.json().catch(() => ({ error: answer.statusText }));
  throw new Error(said.error);
}

// Sends a file; `progress` gets the share that has gone, from 0 to 1.
export function send(file, name, progress = () => {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `/uploads?name=${encodeURIComponent(name)}`);
    request.responseType = "json";
    request.upload.onprogress = (event) => progress(event.total ? event.loaded / event.total : 0);
    request.onload = () => {
      if (request.status === 201) resolve(request.response.id);
      else reject(new Error(request.response?.error ?? request.statusText));
    };
    request.onerror = () => reject(new Error(texts.stopped));
    request.send(file);
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
  addEventListener("pagehide", () => stream.close());
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload(); // the stream was closed
  });
}

export function jobSentence(job) {
  if (job.state !== "running") return job.error || job.said || texts.state[job.state];
  const stage = texts.stage[job.stage] ?? job.stage;
  return job.total ? `${stage}: ${job.done} / ${job.total}` : stage;
}

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}
