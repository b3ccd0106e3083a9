/** The reader's key: kept in this tab, or on this device where they ask for it; asked for when needed. */

const NAME = "twin.key";

function stored(storage) {
  try {
    return storage.getItem(NAME);
  } catch {
    return null;
  }
}

/** The key, or null. */
export function key() {
  return stored(sessionStorage) ?? stored(localStorage);
}

export function keepKey(value, { onDevice }) {
  forgetKey();
  (onDevice ? localStorage : sessionStorage).setItem(NAME, value);
}

export function forgetKey() {
  sessionStorage.removeItem(NAME);
  localStorage.removeItem(NAME);
}

let asking = null;

/**
 * Ask for a key in the page's dialog, and resolve to whether one was given.
 *
 * Whoever asks while it is open waits for the same answer.
 */
export function askForKey(reason) {
  asking ??= new Promise((resolve) => {
    const dialog = document.getElementById("key-dialog");
    const form = dialog.querySelector("form");
    const [field, device] = [form.elements.key, form.elements.device];
    dialog.querySelector("[data-reason]").textContent = reason;
    let given = false;
    form.onsubmit = (event) => {
      event.preventDefault(); // the policy lets no form go anywhere
      const value = field.value.trim();
      if (!value) return;
      keepKey(value, { onDevice: device.checked });
      given = true;
      dialog.close();
    };
    dialog.querySelector("[data-cancel]").onclick = () => dialog.close();
    dialog.addEventListener(
      "close",
      () => {
        field.value = "";
        asking = null;
        resolve(given);
      },
      { once: true },
    );
    dialog.showModal();
    field.focus();
  });
  return asking;
}
