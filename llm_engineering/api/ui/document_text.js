/** A document with its quoted spans marked, for the panel and for the page of its own. */

import { json } from "./api.js";
import { unitsOf } from "./code_points.js";
import { day } from "./dates.js";
import { el, link, unseen, webAddress } from "./dom.js";
import { MarkdownView } from "./markdown.js";
import { wrapped } from "./spans.js";

/** The document of an id, as the API has it now. Raises Refusal. */
export function fetched(id, { signal } = {}) {
  return json(`documents/${encodeURIComponent(id)}`, { signal });
}

/** Author, date and address of a document, on one line. */
export function particulars(about) {
  const address = webAddress(about.url);
  return el(
    "p",
    { class: "particulars" },
    about.author && el("span", { class: "author" }, about.author),
    about.published_at && el("time", { datetime: about.published_at }, day(about.published_at)),
    address && link(address, new URL(address).host, unseen(" (opens in a new tab)")),
  );
}

/**
 * Draw `text` into `container`, the spans `{start, end, quote?}` (code points) marked; returns the
 * first mark, or null, and whether each quote stands where it was.
 *
 * `exact`: the characters as they are, instead of Markdown as it is read.
 */
export function drawn(container, text, spans, { exact = false } = {}) {
  container.replaceChildren();
  container.classList.toggle("exact", exact);
  const runs = exact ? plain(container, text) : markdown(container, text);
  const unit = unitsOf(text);
  let first = null;
  let moved = false;
  for (const [place, span] of [...spans].sort((a, b) => a.start - b.start).entries()) {
    let [start, end] = [unit(span.start), unit(span.end)];
    if (span.quote && text.slice(start, end) !== span.quote) {
      moved = true;
      start = text.indexOf(span.quote);
      if (start < 0) continue;
      end = start + span.quote.length;
    }
    const marks = wrapped(runs, start, end, () => el("mark", { "data-span": String(place) }));
    marks.at(0)?.before(unseen("Quoted: "));
    marks.at(-1)?.after(unseen(" (end of the quotation) "));
    first ??= marks.at(0) ?? null;
  }
  return { first, moved };
}

function markdown(container, text) {
  const view = new MarkdownView(container, { headings: 2 });
  view.show(text);
  return view.runs;
}

function plain(container, text) {
  const node = document.createTextNode(text);
  container.append(node);
  return [{ node, start: 0, end: text.length }];
}
