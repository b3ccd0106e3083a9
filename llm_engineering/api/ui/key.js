// Asks the reader for a key.

import { dropKey, hasKey, keepKey } from "./api.js";

const at = (id) => document.getElementById(id);

// Whether one was given.
export function askKey(reason) {
  const dialog = at("asking-key");
  if (dialog.open) return Promise.resolve(false);
  if (hasKey()) {
    at("key-told").textContent = reason;
    dropKey();
  }
  at("key").value = "";
  dialog.showModal();
  return new Promise((answered) => {
    const done = (given) => {
      dialog.close();
      at("key-form").onsubmit = at("key-leave").onclick = dialog.oncancel = null;
      answered(given);
    };
    at("key-form").onsubmit = (event) => {
      event.preventDefault();
      keepKey(at("key").value.trim(), { stays: at("key-stays").checked });
      done(true);
    };
    at("key-leave").onclick = () => done(false);
    dialog.oncancel = () => done(false);
  });
}
