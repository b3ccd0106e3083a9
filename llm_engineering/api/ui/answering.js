/** One answer as it is said: server-sent events of /v1/chat/completions. */

import { Refusal, request, sentence } from "./api.js";

const ENDED = "The answer broke off: the connection ended before it was whole.";

/**
 * Ask, and give each piece of text to `onText` as it comes; resolves to `{grounds, model}`.
 *
 * Raises Refusal when it breaks off, AbortError when `signal` ends it.
 */
export async function answer({ messages, model, conversation, signal, onText }) {
  const body = { model, messages, stream: true, ...(conversation ? { conversation } : {}) };
  const response = await request("v1/chat/completions", { method: "POST", body, signal });
  let last = null;
  for await (const data of eventsOf(response, signal)) {
    if (data === "[DONE]") break;
    const event = JSON.parse(data);
    if (event.error) throw new Refusal(`The answer broke off. ${sentence(event.error.message)}`);
    const [choice] = event.choices ?? [];
    if (choice?.delta?.content) onText(choice.delta.content);
    if (choice?.finish_reason) last = event;
  }
  if (last === null) throw new Refusal(ENDED);
  return { grounds: last.grounds ?? { citations: last.citations ?? [] }, model: last.model };
}

/** The data of each event of a response's body. Comments, which keep a connection open, are none. */
async function* eventsOf(response, signal) {
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error) => {
        if (signal?.aborted) throw error;
        throw new Refusal(ENDED);
      });
      text += decoder.decode(value, { stream: !done });
      const events = text.split(/\r?\n\r?\n/);
      text = events.pop();
      for (const event of events) {
        const lines = event.split(/\r?\n/).filter((line) => line.startsWith("data:"));
        if (lines.length) yield lines.map((line) => line.slice(5).trimStart()).join("\n");
      }
      if (done) return;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
