// The API as the page calls it: with the reader's key, and with one clear line for what went wrong.

const BASE = new URL("../", import.meta.url);
const KEY = "twin.key";

export class Trouble extends Error {
  constructor(message, { status = 0, retryAfter = 0 } = {}) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

export function keepKey(key, { stays }) {
  sessionStorage.setItem(KEY, key);
  if (stays) localStorage.setItem(KEY, key);
}

export function dropKey() {
  sessionStorage.removeItem(KEY);
  localStorage.removeItem(KEY);
}

export function hasKey() {
  return Boolean(sessionStorage.getItem(KEY) || localStorage.getItem(KEY));
}

export async function call(path, { method = "GET", body, signal } = {}) {
  const response = await sent(path, { method, body, signal });
  return response.status === 204 ? null : response.json();
}

// Calls `onText` with every piece; returns what the last event says the answer rests on.
export async function streamed(body, { signal, onText }) {
  const response = await sent("v1/chat/completions", {
    method: "POST", body: { ...body, stream: true }, signal,
  });
  const end = { grounds: null, model: "", finish: "" };
  for await (const data of events(response.body)) {
    if (data === "[DONE]") return end;
    const event = JSON.parse(data);
    if (event.error) throw new Trouble(event.error.message);
    const [choice] = event.choices;
    if (choice?.delta?.content) onText(choice.delta.content);
    if (choice?.finish_reason) {
      end.finish = choice.finish_reason;
      end.model = event.model;
      end.grounds = event.grounds ?? null;
    }
  }
  throw new Trouble("The answer broke off before its end.");
}

async function sent(path, { method, body, signal }) {
  const key = sessionStorage.getItem(KEY) || localStorage.getItem(KEY);
  const headers = {};
  if (key) headers.authorization = `Bearer ${key}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  let response;
  try {
    response = await fetch(new URL(path, BASE), {
      method, headers, signal, credentials: "same-origin",
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Trouble("The server does not answer. Is it running?");
  }
  if (!response.ok) throw await troubleOf(response);
  return response;
}

async function troubleOf(response) {
  const { status } = response;
  const retryAfter = Number(response.headers.get("retry-after")) || 0;
  let message = `The server answered ${status}.`;
  try {
    const body = await response.json();
    message = body.detail || body.error?.message || body.title || message;
    if (typeof message !== "string") message = JSON.stringify(message);
  } catch { /* no JSON: the status says it */ }
  return new Trouble(message, { status, retryAfter });
}

async function* events(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let pending = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      pending += value;
      let end;
      while ((end = pending.indexOf("\n\n")) >= 0) {
        const event = pending.slice(0, end);
        pending = pending.slice(end + 2);
        if (event.startsWith("data: ")) yield event.slice(6);
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
