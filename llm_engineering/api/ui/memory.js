// What the server remembers of a conversation, each piece of it to be forgotten.

import { element } from "./elements.js";

const at = (id) => document.getElementById(id);

export async function showMemory(talk, { erased }) {
  const dialog = at("remembering");
  const place = at("remembered");
  const fill = async () => {
    const { remembered, summary } = await talk.remembered();
    place.replaceChildren(
      remembered.length ? element("ul", {}, ...remembered.map(({ id, text }) => element("li", {},
        element("span", {}, text),
        element("button", { type: "button", class: "danger", "aria-label": `Forget: ${text}`, onclick: () => tried(async () => {
          await talk.forgetFact(id);
          await fill();
        }) }, "Forget")))) : element("p", {}, "Nothing that you said of yourself."),
      ...(summary ? [element("p", {}, element("b", {}, "Earlier turns: "), summary)] : []),
    );
  };
  const tried = async (work) => {
    try {
      await work();
    } catch (error) {
      place.replaceChildren(element("p", { role: "alert" }, error.message));
    }
  };
  at("memory-close").onclick = () => dialog.close();
  at("erase").onclick = () => tried(async () => {
    await talk.erase();
    dialog.close();
    erased();
  });
  dialog.showModal();
  await tried(fill);
}
