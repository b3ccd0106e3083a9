/** What an answer rests on: its sources beside it, and the marks in its text that lead to them. */

import { day, year } from "./dates.js";
import { el, unseen } from "./dom.js";

/** The mark of a source within a text; without `open` (the answer is still being said) it is text. */
export function markOf(number, citation, open) {
  if (!citation) return el("sup", { class: "mark" }, `[${number}]`);
  const made = el(
    "button",
    {
      class: "mark",
      type: "button",
      "data-number": String(number),
      "aria-label": `Source ${number}: ${citation.title}`,
    },
    `[${number}]`,
  );
  made.addEventListener("click", () => open(citation, made));
  return made;
}

/** The list of sources; null for none. */
export function sourcesOf(citations, { open }) {
  if (!citations.length) return null;
  return el(
    "section",
    { class: "sources", "aria-label": "Sources" },
    el("h3", {}, citations.length === 1 ? "Source" : "Sources"),
    el("ol", {}, citations.map((citation) => card(citation, open))),
  );
}

function card(citation, open) {
  const { number, title, author, published_at: date, heading_path: path, quote } = citation;
  const button = el(
    "button",
    { type: "button", class: "title" },
    el("span", { class: "number", "aria-hidden": "true" }, String(number)),
    unseen(`Open source ${number}: `),
    title || "Untitled",
  );
  button.addEventListener("click", () => open(citation, button));
  const under = (path ?? []).filter((heading) => heading !== title).at(-1);
  const quoted = el("blockquote", {}, quote);
  quoted.addEventListener("click", () => open(citation, button));
  return el(
    "li",
    { class: "source", "data-number": String(number) },
    button,
    el(
      "p",
      { class: "particulars" },
      author && el("span", {}, author),
      date && el("time", { datetime: date }, day(date)),
      under && el("span", {}, under),
    ),
    quoted,
  );
}

/** While a mark is pointed at or has the focus, its source stands out, and the other way round. */
export function linkedBoth(answer) {
  const light = (event, lit) => {
    const number = event.target.closest?.("[data-number]")?.dataset.number;
    if (!number) return;
    for (const each of answer.querySelectorAll(`[data-number="${CSS.escape(number)}"]`)) {
      each.classList.toggle("lit", lit);
    }
  };
  for (const event of ["pointerover", "focusin"]) answer.addEventListener(event, (e) => light(e, true));
  for (const event of ["pointerout", "focusout"]) answer.addEventListener(event, (e) => light(e, false));
}

/** Where the author changed their mind; null for nowhere. */
export function changesOf(changes, { open }) {
  if (!changes?.length) return null;
  return el(
    "section",
    { class: "changes", "aria-label": "What changed over time" },
    el("h3", {}, "This changed over time"),
    changes.map(({ before, after }) => {
      return el(
        "p",
        {},
        `${before.published_at ? `In ${year(before.published_at)}` : "Earlier"} I wrote `,
        cited(before, open),
        `; ${after.published_at ? `since ${year(after.published_at)}` : "later"}: `,
        cited(after, open),
        ".",
      );
    }),
  );
}

function cited(citation, open) {
  const words = `“${citation.quote}”`;
  const about = [citation.title, day(citation.published_at)].filter(Boolean).join(", ");
  const made = el("button", { type: "button", class: "quoted", title: about }, words);
  made.addEventListener("click", () => open(citation, made));
  return made;
}

const KINDS = { plan: "Planned", search: "Searched for", read: "Read", draft: "Drafted" };

/** The steps of an answer that took several searches; null for one that did not. */
export function stepsOf(steps) {
  if (!steps?.length) return null;
  return el(
    "details",
    { class: "steps" },
    el("summary", {}, `${steps.length} ${steps.length === 1 ? "step" : "steps"} to this answer`),
    el(
      "ol",
      {},
      steps.map(({ kind, text, document_ids: ids, took_ms: took }) => {
        const found = ids?.length ? ` · ${ids.length} ${ids.length === 1 ? "document" : "documents"}` : "";
        const detail = `${found}${took ? ` · ${Math.round(took)} ms` : ""}`;
        return el(
          "li",
          {},
          el("strong", {}, KINDS[kind] ?? kind),
          " ",
          text,
          el("span", { class: "detail" }, detail),
        );
      }),
    ),
  );
}
