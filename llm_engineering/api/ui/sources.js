// The documents behind an answer: the list beside it, and one of them opened with its quotation.

import { call } from "./api.js";
import { day, element, unitsOf, webAddress } from "./elements.js";

export function sourceList(citations, open) {
  if (!citations.length) return null;
  return element("div", { class: "beside" },
    element("h3", {}, citations.length === 1 ? "Source" : "Sources"),
    element("ol", { class: "sources" }, ...citations.map((citation) => element("li", {},
      element("button", {
        type: "button", "data-source": String(citation.number),
        "aria-label": `Source ${citation.number}: ${citation.title}`,
        onclick: (event) => open(citation, event.currentTarget),
      },
      element("span", { class: "title" }, `${citation.number}. ${citation.title}`),
      element("span", { class: "when" }, [citation.author, day(citation.published_at)].filter(Boolean).join(", ")),
      element("span", { class: "quote" }, `“${citation.quote}”`))))));
}

// Fills `place` with the document, its spans [[start, end], …] marked; returns the first mark.
export async function showDocument(place, documentId, spans, { close = null } = {}) {
  place.setAttribute("aria-busy", "true");
  const found = await call(`documents/${encodeURIComponent(documentId)}`);
  const { title, author, url, published_at: published, text } = found;
  const address = webAddress(url);
  const where = [author, day(published)].filter(Boolean).join(", ");
  const body = element("div", { class: "text" }, ...marked(text, spans));
  const page = new URL(`../evidence/${encodeURIComponent(documentId)}`, import.meta.url);
  page.hash = spans.map((span) => span.join("-")).join(",");
  place.replaceChildren(
    ...(close ? [element("button", { type: "button", class: "close quiet", onclick: close }, "Close")] : []),
    element("h2", { tabindex: "-1" }, title),
    element("p", { class: "where" }, where, where ? " · " : "",
      address ? element("a", { href: address.href, rel: "noopener noreferrer", target: "_blank" }, "original")
        : element("span", {}, url),
      ...(close ? [" · ", element("a", { href: page.href, target: "_blank", rel: "noopener" }, "own page")] : [])),
    body,
  );
  place.removeAttribute("aria-busy");
  return { title, first: body.querySelector("mark") };
}

function marked(text, spans) {
  const units = unitsOf(text, spans.flat());
  const nodes = [];
  let from = 0;
  for (const [start, end] of [...spans].sort((a, b) => a[0] - b[0])) {
    const [a, b] = [Math.max(units.get(start), from), units.get(end)];
    if (b <= a) continue;
    nodes.push(text.slice(from, a), element("mark", {}, text.slice(a, b)));
    from = b;
  }
  return [...nodes, text.slice(from)];
}
