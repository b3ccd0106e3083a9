// What a reader says of an answer: a thumb, or how it should have read.

import { call } from "./api.js";
import { element } from "./elements.js";

export function rateable({ id, text, tell }) {
  const box = element("div", {});
  const state = element("span", { class: "state", role: "status" });
  const copy = element("button", { type: "button", onclick: () => copied(text, state) }, "Copy");
  if (!id) {
    if (text) box.append(element("div", { class: "acts" }, copy, state));
    return box;
  }
  const given = { liked: null, edit: null };

  async function send(change, saved) {
    state.textContent = "Saving…";
    try {
      await call("feedback", { method: "POST", body: { answer_id: id, ...given, ...change } });
      Object.assign(given, change);
      up.setAttribute("aria-pressed", String(given.liked === true));
      down.setAttribute("aria-pressed", String(given.liked === false));
      state.textContent = saved;
      tell(saved);
      return true;
    } catch (error) {
      state.textContent = error.message;
      return false;
    }
  }

  const thumb = (liked, label) => element("button", {
    type: "button", "aria-pressed": "false", onclick: () => send({ liked }, "Thank you, saved."),
  }, label);
  const up = thumb(true, "▲ Good");
  const down = thumb(false, "▼ Not good");
  const edit = element("button", { type: "button", onclick: () => openEditor() }, "Edit this answer");
  const acts = element("div", { class: "acts", role: "group", "aria-label": "Say what you think of this answer" }, up, down, edit, copy, state);
  box.append(acts);

  function openEditor() {
    const area = element("textarea", { "aria-label": "The answer as it should be" });
    area.value = given.edit ?? text;
    const close = () => { editor.remove(); acts.hidden = false; edit.focus(); };
    const save = async () => {
      const edited = area.value.trim();
      if (!edited || edited === text.trim()) {
        told.textContent = "Change something first.";
        return;
      }
      told.textContent = "Saving…";
      if (await send({ edit: edited }, "Your version is saved.")) close();
      else told.textContent = state.textContent;
    };
    const told = element("span", { class: "state", role: "status" });
    const editor = element("div", { class: "edit", onkeydown: (event) => {
      if (event.key === "Escape") { event.stopPropagation(); close(); }
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); save(); }
    } }, area, element("div", { class: "row" },
      element("button", { type: "button", class: "save", onclick: save }, "Save"),
      element("button", { type: "button", class: "quiet", onclick: close }, "Cancel"), told));
    acts.hidden = true;
    box.append(editor);
    area.focus();
  }
  return box;
}

async function copied(text, state) {
  try {
    await navigator.clipboard.writeText(text);
    state.textContent = "Copied.";
  } catch {
    state.textContent = "The browser does not allow it.";
  }
}
