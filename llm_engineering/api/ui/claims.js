/** Labels of the sentences of an answer: said, supported, unsupported, and why. */

import { unitsOf } from "./code_points.js";
import { day } from "./dates.js";
import { el } from "./dom.js";
import { wrapped } from "./spans.js";

/** What a label means, in words: a shape and a line of its own each, not a colour alone. */
export const VERDICTS = {
  said: { sign: "●", short: "said", words: "the author's own words" },
  supported: { sign: "◐", short: "supported", words: "follows from the author's writing" },
  unsupported: { sign: "○", short: "unsupported", words: "not found in the author's writing" },
};

/** Mark each sentence that was checked; `open(source, opener)` shows a source. */
export function labelled(view, text, grounding, { open }) {
  const unit = unitsOf(text);
  const { runs } = view;
  for (const { start, end, verdict, source } of grounding.sentences) {
    const known = VERDICTS[verdict];
    if (!known) continue;
    const parts = wrapped(runs, unit(start), unit(end), () => {
      return el("span", { class: `claim ${verdict}` });
    });
    if (!parts.length) continue;
    parts.forEach(trimmed);
    const label = button(verdict, source, open);
    const last = parts.at(-1);
    last.after(label);
    for (const part of parts) {
      part.addEventListener("pointerenter", () => showTip(label, verdict, source));
      part.addEventListener("pointerleave", hideTip);
    }
  }
}

/** No line under a space, nor under a full stop that stands alone behind a mark. */
function trimmed(part) {
  const { data } = part.firstChild;
  if (!/[\p{L}\p{N}]/u.test(data)) part.className = "";
  const end = data.trimEnd();
  if (end === data) return;
  part.firstChild.data = end;
  part.after(data.slice(end.length));
}

function button(verdict, source, open) {
  const { sign, words } = VERDICTS[verdict];
  const from = source ? `: “${source.quote}”, ${where(source)}` : "";
  const made = el(
    "button",
    { class: `label ${verdict}`, type: "button", "aria-label": `${words}${from}` },
    sign,
  );
  for (const event of ["focus", "pointerenter"]) {
    made.addEventListener(event, () => showTip(made, verdict, source));
  }
  for (const event of ["blur", "pointerleave"]) made.addEventListener(event, hideTip);
  made.addEventListener("click", () => {
    hideTip();
    if (source) open(source, made);
    else showTip(made, verdict, source);
  });
  return made;
}

function where({ title, published_at: date }) {
  return [title, day(date)].filter(Boolean).join(", ");
}

function tip() {
  return document.getElementById("tip");
}

function showTip(at, verdict, source) {
  const { sign, short, words } = VERDICTS[verdict];
  tip().replaceChildren(
    el("p", { class: `verdict ${verdict}` }, el("span", {}, sign), ` ${short}: ${words}`),
    ...(source ? [el("blockquote", {}, source.quote), el("p", {}, where(source))] : []),
  );
  tip().hidden = false;
  const box = at.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = tip();
  const left = Math.max(8, Math.min(box.left - 24, document.documentElement.clientWidth - width - 8));
  const above = box.top - height - 8;
  tip().style.left = `${left}px`;
  tip().style.top = `${above > 8 ? above : box.bottom + 8}px`;
}

/** Take away what is shown of a label; returns whether something was. */
export function hideTip() {
  const shown = !tip().hidden;
  tip().hidden = true;
  return shown;
}

/** What the signs mean and how many sentences are backed. */
export function legend({ sentences }) {
  const backed = sentences.filter(({ verdict }) => verdict !== "unsupported").length;
  const used = Object.entries(VERDICTS).filter(([name]) => sentences.some((s) => s.verdict === name));
  if (!used.length) return null;
  return el(
    "div",
    { class: "legend" },
    el("p", {}, `${backed} of ${sentences.length} ${sentences.length === 1 ? "sentence" : "sentences"} backed`),
    el(
      "ul",
      {},
      used.map(([name, { sign, words }]) => {
        return el("li", {}, el("span", { class: `sign ${name}`, "aria-hidden": "true" }, sign), ` ${words}`);
      }),
    ),
  );
}
