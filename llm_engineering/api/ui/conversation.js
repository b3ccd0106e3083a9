// The turns of a conversation: kept for this tab by the browser, or by the server where its reader
// wants that.

import { call } from "./api.js";

const TURNS = "twin.turns";
const ID = "twin.conversation";
const SENT = 20;

export class Conversation {
  constructor() {
    this.turns = [];
    this.id = sessionStorage.getItem(ID) || "";
  }

  get onServer() {
    return this.id !== "";
  }

  // What was said before a reload; [] where there is nothing, or nothing any more.
  async load() {
    if (this.onServer) {
      try {
        const kept = await call(`conversations/${this.id}`);
        this.turns = kept.turns.map(({ role, content, grounds }) => ({ role, content, grounds }));
        return this.turns;
      } catch (error) {
        if (error.status !== 404) throw error;
        this.forget();
      }
    }
    try {
      this.turns = JSON.parse(sessionStorage.getItem(TURNS)) ?? [];
    } catch {
      this.turns = [];
    }
    return this.turns;
  }

  async keepOnServer() {
    const begun = await call("conversations", { method: "POST", body: {} });
    this.id = begun.id;
    sessionStorage.setItem(ID, this.id);
    sessionStorage.removeItem(TURNS);
  }

  add(turn) {
    this.turns.push(turn);
    if (this.onServer) return;
    try {
      sessionStorage.setItem(TURNS, JSON.stringify(this.turns));
    } catch { /* full: then a reload begins anew */ }
  }

  // The body's part that says what was said: everything, or what the server does not know.
  asked(question) {
    const last = { role: "user", content: question };
    if (this.onServer) return { conversation: this.id, messages: [last] };
    const before = this.turns.slice(-SENT).filter((turn) => turn.content)
      .map(({ role, content, grounds }) => ({ role, content: [...content].slice(grounds?.grounding?.withdrawn ?? 0).join("") || "…" }));
    return { messages: [...before, last] };
  }

  forget() {
    this.turns = [];
    this.id = "";
    sessionStorage.removeItem(TURNS);
    sessionStorage.removeItem(ID);
  }

  remembered() {
    return call(`conversations/${this.id}`);
  }

  forgetFact(fact) {
    return call(`conversations/${this.id}/remembered/${fact}`, { method: "DELETE" });
  }

  async erase() {
    await call(`conversations/${this.id}`, { method: "DELETE" });
    this.forget();
  }
}
