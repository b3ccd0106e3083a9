/** What a reader says of an answer: a thumb, or the answer as it should have been. */

import { json } from "./api.js";
import { el, unseen } from "./dom.js";
import { icon } from "./icons.js";
import { MarkdownView } from "./markdown.js";
import { isReaders } from "./turns.js";

const LIMIT = 20_000;

/** The controls below an answer; null for one that feedback cannot name, and for the reader's own
 * words that were given back. */
export function feedbackOf(turn, { save, text }) {
  const id = turn.grounds?.answer_id;
  return id && !isReaders(turn) ? new Feedback(turn, { id, save, text }).element : null;
}

class Feedback {
  constructor(turn, { id, save, text }) {
    this.turn = turn;
    this.id = id;
    this.save = save;
    this.text = text;
    this.note = el("p", { class: "note", role: "status" });
    this.good = this.thumb(true, "good", "Good answer");
    this.bad = this.thumb(false, "bad", "Bad answer");
    this.editing = el("button", { type: "button", class: "quiet" }, icon("edit"), "Edit this answer");
    this.editing.addEventListener("click", () => this.edit());
    this.place = el("div", { class: "edit" });
    this.element = el(
      "section",
      { class: "feedback", "aria-label": "Feedback on this answer" },
      el("div", { class: "row" }, this.good, this.bad, this.editing, this.note),
      this.place,
    );
    this.tell();
    if (this.given.edit) this.showEdit();
  }

  get given() {
    return this.turn.feedback ?? { liked: null, edit: null };
  }

  thumb(liked, sign, words) {
    const button = el(
      "button",
      { type: "button", class: "thumb", title: words },
      icon(sign),
      unseen(words),
    );
    button.addEventListener("click", () => this.send({ ...this.given, liked }));
    return button;
  }

  tell() {
    this.good.setAttribute("aria-pressed", String(this.given.liked === true));
    this.bad.setAttribute("aria-pressed", String(this.given.liked === false));
  }

  /** Whether it is kept; a second opinion takes the place of the first. */
  async send(opinion) {
    this.note.textContent = "Sending…";
    try {
      await json("feedback", { method: "POST", body: { answer_id: this.id, ...opinion } });
    } catch (error) {
      this.note.textContent = error.message;
      return false;
    }
    this.turn.feedback = opinion;
    this.save();
    this.tell();
    this.note.textContent = "Thank you, it is kept.";
    return true;
  }

  edit() {
    const field = el("textarea", {
      rows: "8",
      maxlength: String(LIMIT),
      "aria-label": "The answer as it should have been",
    });
    field.value = this.given.edit ?? this.text;
    const done = () => {
      this.editing.disabled = false;
      this.showEdit();
      this.editing.focus();
    };
    const save = async () => {
      const edit = field.value.trim();
      const same = edit === "" || edit === (this.given.edit ?? this.text);
      if (same || (await this.send({ ...this.given, edit }))) done();
    };
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) save();
      else if (event.key === "Escape") done();
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    this.editing.disabled = true;
    this.place.replaceChildren(
      field,
      el(
        "div",
        { class: "row" },
        el("button", { type: "button", class: "primary", onclick: save }, "Save"),
        el("button", { type: "button", class: "quiet", onclick: done }, "Cancel"),
        el("span", { class: "hint" }, "Ctrl+Enter saves, Esc cancels"),
      ),
    );
    field.focus({ preventScroll: true });
    this.place.scrollIntoView({ block: "nearest" });
  }

  /** The reader's own wording stands below the answer, which stays as it was served. */
  showEdit() {
    this.place.replaceChildren();
    if (!this.given.edit) return;
    const text = el("div", { class: "prose" });
    this.place.append(el("h3", {}, "Your wording"), text);
    new MarkdownView(text, { headings: 4 }).show(this.given.edit);
  }
}
