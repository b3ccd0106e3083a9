// One answer on the page: its text as it comes, then what it rests on, and what its reader says of it.

import { day, element, unitsOf } from "./elements.js";
import { rateable } from "./feedback.js";
import { rendered, settled } from "./markdown.js";
import { sourceList } from "./sources.js";

const VERDICTS = {
  said: "word for word in the writing",
  supported: "follows from the writing",
  unsupported: "not found in the writing",
};

export class AnswerView {
  // `open(citation, from)` shows a source; `tell(text)` says something to a screen reader.
  constructor({ open, tell, question }) {
    this.open = open;
    this.tell = tell;
    this.text = "";
    this.head = element("div");
    this.tail = element("div", { class: "waiting" });
    this.said = element("div", { class: "said" }, this.head, this.tail);
    this.node = element("article", { class: "answer", "aria-busy": "true", "aria-label": `Answer to: ${question.slice(0, 120)}` }, this.said);
    this.done = 0;
    this.frame = 0;
  }

  // Only the last block is drawn anew: what comes before it no more text can change.
  add(piece) {
    this.text += piece;
    this.frame ||= requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.frame = 0;
    const plain = { cite: (number) => `[${number}]`, span: (text) => [text] };
    const fresh = this.text.slice(this.done);
    const from = settled(fresh);
    if (from > 0) {
      this.head.append(...rendered(fresh.slice(0, from), plain).childNodes);
      this.done += from;
    }
    this.tail.replaceChildren(rendered(this.text.slice(this.done), plain));
  }

  stopped() {
    this.finish({ grounds: null, model: "", note: "Stopped." });
  }

  // Draw the whole once more, with marks that open sources and sentences that say what backs them.
  finish({ grounds, model, note = "" }) {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    const citations = grounds?.citations ?? [];
    const withdrawn = unitsOf(this.text, [grounds?.grounding?.withdrawn ?? 0]).values().next().value;
    const spans = sentenceSpans(this.text, grounds);
    const draw = (from, to) => rendered(this.text.slice(from, to), {
      at: from,
      cite: (number) => this.cite(citations, number),
      span: (text, at) => labelled(text, at, spans),
    });
    this.said.replaceChildren(draw(withdrawn, this.text.length));
    if (withdrawn) {
      this.said.prepend(element("details", {}, element("summary", {}, "What the model had said, withdrawn because the writing does not back it"),
        element("div", { class: "text" }, draw(0, withdrawn))));
    }
    if (!this.text) this.said.replaceChildren(element("p", {}, note || "No text."));
    if (grounds?.abstained) this.node.classList.add("calm");
    this.node.querySelectorAll(":scope > :not(.said)").forEach((old) => old.remove());
    this.node.append(this.about(grounds, model, note));
    const beside = sourceList(citations, this.open);
    if (beside) this.node.append(beside);
    this.node.setAttribute("aria-busy", "false");
  }

  // An answer that was given before.
  restore({ text, grounds, model, note }) {
    this.text = text;
    this.finish({ grounds, model, note });
  }

  cite(citations, number) {
    const citation = citations[number - 1];
    if (!citation) return element("span", {}, `[${number}]`);
    return element("button", {
      type: "button", class: "cite", title: citation.quote, "aria-label": `Source ${number}, ${citation.title}`,
      onclick: (event) => this.open(citation, event.currentTarget),
    }, String(number));
  }

  about(grounds, model, note) {
    const box = element("div", { class: "about" });
    if (grounds) {
      box.append(...changes(grounds), ...legend(grounds), ...steps(grounds));
      const fine = [grounds.disclosure, model && `Version ${model}.`, note].filter(Boolean).join(" ");
      if (fine) box.append(element("p", { class: "fine" }, fine));
    } else if (note || model) {
      box.append(element("p", { class: "fine" }, note));
    }
    const stands = [...this.text].slice(grounds?.grounding?.withdrawn ?? 0).join("").trim();
    box.append(rateable({ id: grounds?.answer_id ?? "", text: stands, tell: this.tell }));
    return box;
  }
}

function sentenceSpans(text, grounds) {
  const sentences = grounds?.grounding?.sentences ?? [];
  const units = unitsOf(text, sentences.flatMap(({ start, end }) => [start, end]));
  return sentences.map((sentence, number) => ({ ...sentence, number, start: units.get(sentence.start), end: units.get(sentence.end) }));
}

// `text` stands at `at`; the parts of it that lie in a checked sentence are wrapped.
function labelled(text, at, spans) {
  const nodes = [];
  let from = 0;
  for (const span of spans) {
    const [a, b] = [Math.max(span.start - at, from), Math.min(span.end - at, text.length)];
    if (a >= b) continue;
    if (a > from) nodes.push(text.slice(from, a));
    nodes.push(element("span", { class: `s s-${span.verdict}`, title: reason(span) }, text.slice(a, b),
      ...(b === span.end - at && span.verdict === "unsupported" ? [element("span", { class: "visually-hidden" }, " (not found in the writing)")] : [])));
    from = b;
  }
  if (from < text.length) nodes.push(text.slice(from));
  return nodes;
}

function reason({ verdict, source }) {
  if (!source) return VERDICTS[verdict];
  return `${VERDICTS[verdict]}: “${source.quote}” (${[source.title, day(source.published_at)].filter(Boolean).join(", ")})`;
}

function legend(grounds) {
  const sentences = grounds.grounding?.sentences ?? [];
  if (!sentences.length) return [];
  const counts = Object.keys(VERDICTS).map((verdict) => [verdict, sentences.filter((each) => each.verdict === verdict).length]);
  return [element("ul", { class: "legend", "aria-label": "What the sentences rest on" },
    ...counts.filter(([, count]) => count).map(([verdict, count]) => element("li", {},
      element("b", { class: `s-${verdict}` }, String(count)), ` ${count === 1 ? "sentence" : "sentences"} ${VERDICTS[verdict]}`)))];
}

function changes(grounds) {
  return (grounds.changes ?? []).map(({ before, after }) => element("p", { class: "changed" },
    element("b", {}, "Changed since. "),
    `${day(before.published_at) || "Earlier"}: “${before.quote}” `,
    `${day(after.published_at) || "Later"}: “${after.quote}”`));
}

function steps(grounds) {
  const taken = grounds.steps ?? [];
  if (!taken.length) return [];
  return [element("details", {}, element("summary", {}, `How this was found, in ${taken.length} steps`),
    element("ol", {}, ...taken.map((step) => element("li", {}, `${step.kind}: ${step.text}`))))];
}
