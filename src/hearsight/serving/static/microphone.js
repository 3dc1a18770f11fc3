// The microphone as samples, from an audio worklet: they can be cut anywhere, which what a
// MediaRecorder gives cannot.

import { texts } from "./common.js";

// The stream of a camera or microphone; browsers lend none to addresses that are not secure.
export async function openDevices(wanted) {
  if (!navigator.mediaDevices) throw new Error(texts.insecure);
  return navigator.mediaDevices.getUserMedia(wanted);
}

// Why a device cannot be used, in a sentence.
export function reason(error) {
  return texts.device[error.name] ?? error.message;
}

// Calls with each block of samples (Float32Array) and their rate. The audio context, to be closed.
export async function listen(stream, taken) {
  const context = new AudioContext();
  await context.audioWorklet.addModule("/static/samples-worklet.js");
  const source = context.createMediaStreamSource(stream);
  const tap = new AudioWorkletNode(context, "samples", { numberOfOutputs: 0 });
  tap.port.onmessage = (event) => taken(event.data, context.sampleRate);
  source.connect(tap);
  await context.resume();
  return context;
}

export function toInt16(samples) {
  const whole = new Int16Array(samples.length);
  samples.forEach((sample, at) => {
    whole[at] = Math.round(Math.min(Math.max(sample, -1), 1) * 32767);
  });
  return whole;
}

// Blocks of samples as a WAV file.
export function toWav(blocks, rate) {
  const length = blocks.reduce((sum, block) => sum + block.length, 0);
  const head = new DataView(new ArrayBuffer(44));
  const word = (at, text) => [...text].forEach((sign, i) => head.setUint8(at + i, sign.charCodeAt(0)));
  word(0, "RIFF");
  head.setUint32(4, 36 + 2 * length, true);
  word(8, "WAVEfmt ");
  head.setUint32(16, 16, true);
  head.setUint16(20, 1, true);
  head.setUint16(22, 1, true);
  head.setUint32(24, rate, true);
  head.setUint32(28, 2 * rate, true);
  head.setUint16(32, 2, true);
  head.setUint16(34, 16, true);
  word(36, "data");
  head.setUint32(40, 2 * length, true);
  return new Blob([head, ...blocks.map(toInt16)], { type: "audio/wav" });
}
