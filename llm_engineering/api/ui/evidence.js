/** The page of one document: `/evidence/{document}#start-end,start-end`. */

import { drawn, fetched, particulars } from "./document_text.js";

const title = document.querySelector("h1");
const about = document.querySelector("[data-about]");
const note = document.querySelector("[data-note]");
const body = document.querySelector("[data-document]");
const exact = document.querySelector("[data-exact]");
let found = null;

/** The spans that the address names, in code points. */
function spans() {
  return [...location.hash.matchAll(/(\d{1,9})-(\d{1,9})/g)]
    .map(([, start, end]) => ({ start: Number(start), end: Number(end) }))
    .filter(({ start, end }) => start < end);
}

function draw() {
  const pressed = exact.getAttribute("aria-pressed") === "true";
  const { first } = drawn(body, found.text, spans(), { exact: pressed });
  note.textContent = spans().length && !first ? "The address names a place beyond this text." : "";
  first?.scrollIntoView({ block: "center" });
}

async function open() {
  const id = decodeURIComponent(location.pathname.split("/").at(-1));
  try {
    found = await fetched(id);
  } catch (error) {
    title.textContent = "No such document here";
    note.textContent = error.message;
    return;
  }
  title.textContent = found.title || "Untitled";
  document.title = `${found.title || "Untitled"} · LLM Twin`;
  about.replaceChildren(particulars(found));
  draw();
}

exact.addEventListener("click", () => {
  exact.setAttribute("aria-pressed", String(exact.getAttribute("aria-pressed") !== "true"));
  if (found) draw();
});
addEventListener("hashchange", () => found && draw());
open();
