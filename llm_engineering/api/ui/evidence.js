// A document on a page of its own: /evidence/<id>#start-end,start-end

import { hasKey } from "./api.js";
import { element } from "./elements.js";
import { showDocument } from "./sources.js";
import { theme } from "./theme.js";

const place = document.getElementById("document");

async function show() {
  const id = decodeURIComponent(location.pathname.split("/").pop());
  const spans = location.hash.slice(1).split(",").map((span) => span.split("-").map(Number))
    .filter(([start, end]) => Number.isInteger(start) && Number.isInteger(end) && start < end);
  try {
    const { title, first } = await showDocument(place, id, spans);
    document.title = title;
    first?.scrollIntoView({ block: "center" });
  } catch (error) {
    const ask = error.status === 401 && !hasKey() ? " Open the twin's page and give your key there." : "";
    place.replaceChildren(element("h2", {}, "Not to be shown"), element("p", { role: "alert" }, error.message + ask));
    place.removeAttribute("aria-busy");
  }
}

theme.apply();
addEventListener("hashchange", show);
show();
