/** Conversations that the reader asked the server to keep: what is kept, and how it is deleted. */

import { json } from "./api.js";
import { day } from "./dates.js";
import { el } from "./dom.js";

const PATH = "conversations";

/** Whether the server keeps conversations at all. */
export async function isOffered() {
  try {
    await json(PATH);
    return true;
  } catch {
    return false;
  }
}

/** Begin one that is kept; resolves to its id. */
export async function begun() {
  return (await json(PATH, { method: "POST", body: {} })).id;
}

/** The turns of a kept conversation, as this tab has them. */
export async function turnsOf(id) {
  const { turns } = await json(`${PATH}/${encodeURIComponent(id)}`);
  const list = [];
  for (const { role, content, model, grounds } of turns) {
    if (role === "user") list.push({ question: content, text: "", state: "stopped", kept: true });
    else Object.assign(list.at(-1) ?? {}, { text: content, model, grounds, state: "done" });
  }
  return list;
}

/** The panel's part that shows what is kept. */
export class Memory {
  /** `current()` is the id of this tab's conversation; `open(id)` goes on with another;
   * `forgot()` and `gone()` are told that something of the current one, or all of it, was deleted. */
  constructor(place, { current, open, forgot, gone }) {
    this.place = place;
    this.does = { current, open, forgot, gone };
  }

  async show() {
    try {
      const current = this.does.current();
      const [{ conversations }, kept] = await Promise.all([
        json(PATH),
        current ? json(`${PATH}/${encodeURIComponent(current)}`) : null,
      ]);
      this.place.replaceChildren(
        ...[kept && this.remembered(kept), this.list(conversations, current)].filter(Boolean),
      );
    } catch (error) {
      this.place.replaceChildren(el("p", { class: "notice" }, error.message));
    }
  }

  remembered({ id, summary, remembered }) {
    const facts = remembered.map((fact) => {
      const path = `${PATH}/${encodeURIComponent(id)}/remembered/${encodeURIComponent(fact.id)}`;
      const remove = this.deleting(path, `Forget: ${fact.text}`, "Forget", this.does.forgot);
      return el("li", {}, el("span", {}, fact.text), remove);
    });
    return el(
      "section",
      {},
      el("h3", {}, "Remembered of you"),
      facts.length ? el("ul", { class: "kept" }, facts) : el("p", {}, "Nothing yet."),
      summary && el("details", {}, el("summary", {}, "Summary of earlier turns"), el("p", {}, summary)),
    );
  }

  list(conversations, current) {
    const rows = conversations.map(({ id, title, updated_at: at, turns }) => {
      const open = el(
        "button",
        { type: "button", class: "title", "aria-current": id === current ? "true" : null },
        title || "Without a question yet",
      );
      open.addEventListener("click", () => this.does.open(id));
      const name = `Delete the conversation: ${title || "without a question yet"}`;
      const path = `${PATH}/${encodeURIComponent(id)}`;
      const remove = this.deleting(path, name, "Delete", () => id === current && this.does.gone());
      const about = `${day(at)} · ${Math.ceil(turns / 2)} ${turns > 2 ? "questions" : "question"}`;
      return el("li", {}, el("div", {}, open, el("p", { class: "particulars" }, about)), remove);
    });
    return el(
      "section",
      {},
      el("h3", {}, "Kept conversations"),
      rows.length ? el("ul", { class: "kept" }, rows) : el("p", {}, "None."),
    );
  }

  deleting(path, label, words, after) {
    const button = el("button", { type: "button", class: "quiet", "aria-label": label }, words);
    button.addEventListener("click", async () => {
      button.disabled = true;
      try {
        await json(path, { method: "DELETE" });
        await after();
        await this.show();
        this.place.closest("dialog").querySelector("h2").focus();
      } catch (error) {
        button.disabled = false;
        button.after(el("p", { class: "notice" }, error.message));
      }
    });
    return button;
  }
}
