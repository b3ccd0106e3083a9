/** The side panel: one document beside the conversation, at the quoted span. */

import { addressOf } from "./api.js";
import { drawn, fetched, particulars } from "./document_text.js";
import { el } from "./dom.js";

const WIDE = matchMedia("(min-width: 60rem)");

export class Panel {
  constructor(dialog) {
    this.dialog = dialog;
    this.title = dialog.querySelector("h2");
    this.about = dialog.querySelector("[data-about]");
    this.note = dialog.querySelector("[data-note]");
    this.body = dialog.querySelector("[data-document]");
    this.exact = dialog.querySelector("[data-exact]");
    this.page = dialog.querySelector("[data-page]");
    this.opener = null;
    this.shown = null;
    dialog.querySelector("[data-close]").addEventListener("click", () => this.close());
    this.exact.addEventListener("click", () => this.toggle());
    dialog.addEventListener("close", () => this.closed());
    dialog.addEventListener("cancel", () => this.fetching?.abort());
  }

  get open() {
    return this.dialog.open;
  }

  /** Show the document of a citation; focus goes back to `opener` when it is closed. */
  async show(citation, opener) {
    this.fetching?.abort();
    const { signal } = (this.fetching = new AbortController());
    this.opener = opener;
    this.shown = null;
    this.title.textContent = citation.title || "Untitled";
    this.about.replaceChildren(particulars(citation));
    this.page.href = evidenceAddress(citation);
    this.tell("Opening…");
    this.body.replaceChildren();
    if (!this.open) {
      if (WIDE.matches) this.dialog.show();
      else this.dialog.showModal();
      document.body.classList.toggle("with-panel", WIDE.matches);
    }
    this.title.focus();
    try {
      const text = (await fetched(citation.document_id, { signal })).text;
      this.shown = { text, citation };
      this.draw();
    } catch (error) {
      if (error.name !== "AbortError") this.tell(error.message);
    }
  }

  draw() {
    const { text, citation } = this.shown;
    const exact = this.exact.getAttribute("aria-pressed") === "true";
    const { first, moved } = drawn(this.body, text, [citation], { exact });
    this.tell(
      !moved
        ? ""
        : first
          ? "This document has changed since the answer; the quoted words stand elsewhere in it now."
          : "This document has changed since the answer; the quoted words are no longer in it.",
    );
    first?.scrollIntoView({ block: "center" });
  }

  toggle() {
    const exact = this.exact.getAttribute("aria-pressed") !== "true";
    this.exact.setAttribute("aria-pressed", String(exact));
    if (this.shown) this.draw();
  }

  tell(text) {
    this.note.replaceChildren(...(text ? [el("p", {}, text)] : []));
  }

  close() {
    this.dialog.close();
  }

  closed() {
    this.fetching?.abort();
    document.body.classList.remove("with-panel");
    this.opener?.focus({ preventScroll: true });
    this.opener = null;
  }
}

/** The address of a citation's document on a page of its own. */
export function evidenceAddress({ document_id: id, start, end }) {
  return addressOf(`evidence/${encodeURIComponent(id)}#${start}-${end}`).href;
}
