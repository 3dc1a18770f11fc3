// The first page: files that are dropped or chosen are sent and localised.

import { ask, check, fill, send, tell, texts } from "./common.js";

const form = document.getElementById("send");
const said = document.getElementById("send-said");
const percent = document.getElementById("send-percent");
const failed = document.getElementById("send-failed");
const bar = document.getElementById("sending");

const PICTURES = /\.(jpe?g|png|webp|bmp|gif|tiff?|heic|heif|avif)$/i;
const SOUNDS = /\.(wav|flac|mp3|m4a|aac|ogg|oga|opus|aiff?|wma)$/i;

function kind(file) {
  if (file.type.startsWith("image/") || PICTURES.test(file.name)) return "picture";
  return file.type.startsWith("audio/") || SOUNDS.test(file.name) ? "sound" : "video";
}

// What to send of the files, or null where they do not go together.
function sorted(files) {
  if (files.length === 1 && kind(files[0]) === "video") return { upload: files[0] };
  if (files.length !== 2) return null;
  const picture = files.find((file) => kind(file) === "picture");
  const sound = files.find((file) => kind(file) !== "picture");
  return picture && sound ? { picture, sound } : null;
}

async function localise(files) {
  failed.textContent = said.textContent = "";
  const parts = sorted([...files]);
  if (!parts) {
    failed.textContent = texts.wrong_files;
    return;
  }
  form.toggleAttribute("data-busy", true);
  try {
    for (const file of Object.values(parts)) await check(file);
    bar.hidden = false;
    const body = { every: document.getElementById("every").value };
    for (const [part, file] of Object.entries(parts)) {
      body[part] = await send(file, file.name, (share) => {
        bar.value = 100 * share;
        tell(said, fill(texts.sending, { name: file.name }));
        percent.textContent = fill(texts.percent, { percent: Math.floor(100 * share) });
      });
    }
    location.assign((await ask("POST", "/films", body)).page);
  } catch (error) {
    said.textContent = percent.textContent = "";
    failed.textContent = error.message;
  } finally {
    bar.hidden = true;
    form.toggleAttribute("data-busy", false);
  }
}

const input = document.getElementById("files");
input.addEventListener("change", () => {
  if (input.files.length) localise(input.files);
  input.value = "";
});
form.addEventListener("submit", (event) => event.preventDefault());
for (const name of ["dragenter", "dragover"]) {
  addEventListener(name, (event) => {
    event.preventDefault();
    form.classList.add("over");
  });
}
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) form.classList.remove("over");
});
addEventListener("drop", (event) => {
  event.preventDefault();
  form.classList.remove("over");
  if (event.dataTransfer.files.length) localise(event.dataTransfer.files);
});
document.addEventListener("click", async (event) => {
  const file = event.target.dataset?.localise;
  if (!file) return;
  try {
    const every = document.getElementById("every").value;
    location.assign((await ask("POST", "/films", { file, every })).page);
  } catch (error) {
    failed.textContent = error.message;
  }
});
