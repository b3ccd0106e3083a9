// The panel beside the conversation that shows a source.

import { element } from "./elements.js";
import { showDocument } from "./sources.js";

const reader = document.getElementById("reader");
let from = null;

export async function openReader(citation, opener) {
  from = opener;
  reader.hidden = false;
  reader.replaceChildren(element("p", {}, "Loading…"));
  try {
    const { first } = await showDocument(reader, citation.document_id, [[citation.start, citation.end]], { close });
    reader.querySelector("h2").focus({ preventScroll: true });
    first?.scrollIntoView({ block: "center" });
  } catch (error) {
    reader.replaceChildren(element("button", { type: "button", class: "close quiet", onclick: close }, "Close"),
      element("p", { role: "alert" }, error.message));
    reader.querySelector("button").focus();
  }
}

function close() {
  reader.hidden = true;
  reader.replaceChildren();
  from?.focus();
  from = null;
}

addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !reader.hidden) close();
});
