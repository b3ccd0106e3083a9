/** Requests to the API beside which this page stands, with the key, and what it says when it refuses. */

import { askForKey, key } from "./key.js";

const ROOT = new URL("..", import.meta.url);

const WANTED = "Whoever runs this twin makes one with 'twin keys create NAME --scope ask --scope feedback'.";

/** The API said no, broke off, or was not reached. */
export class Refusal extends Error {
  constructor(message, { status = 0, retryAfterS = 0 } = {}) {
    super(message);
    this.status = status;
    this.retryAfterS = retryAfterS;
  }
}

/** An address of the API, whatever path a proxy has put before it. */
export function addressOf(path) {
  return new URL(path, ROOT);
}

/** The response to a request; raises Refusal, and AbortError when `signal` ends it. */
export async function request(path, { method = "GET", body, signal } = {}) {
  for (;;) {
    const sent = key();
    const response = await reached(path, { method, body, signal, sent });
    if (response.ok) return response;
    const refusal = await refusalOf(response);
    if (refusal.status !== 401) throw refusal;
    // Another request may have asked for the key meanwhile.
    if (key() === sent && !(await askForKey(sent ? refusal.message : WANTED))) throw refusal;
  }
}

/** The JSON of a response; null where it has none. */
export async function json(path, options) {
  const response = await request(path, options);
  return response.status === 204 ? null : response.json();
}

async function reached(path, { method, body, signal, sent }) {
  const headers = {};
  if (sent) headers.authorization = `Bearer ${sent}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  try {
    return await fetch(addressOf(path), {
      method,
      headers,
      signal,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "omit",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal("The server does not answer. It may have been stopped; start it and try again.");
  }
}

async function refusalOf(response) {
  const said = await response.json().catch(() => ({}));
  const message = said.error?.message ?? said.detail ?? `the server answered ${response.status}`;
  const seconds = Number.parseInt(response.headers.get("retry-after") ?? "", 10);
  return new Refusal(sentence(message), {
    status: response.status,
    retryAfterS: Number.isFinite(seconds) ? seconds : 0,
  });
}

/** As a reader expects a sentence: it begins large and ends. */
export function sentence(message) {
  const text = String(message).trim();
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(begun) ? begun : `${begun}.`;
}
