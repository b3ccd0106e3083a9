// Light, dark, or as the system has it.

const NAME = "twin.theme";
const ORDER = ["auto", "light", "dark"];
const SAID = { auto: "as the system has them", light: "light", dark: "dark" };
const SIGN = { auto: "◐", light: "☀", dark: "☾" };

export const theme = {
  get now() {
    const kept = localStorage.getItem(NAME);
    return ORDER.includes(kept) ? kept : "auto";
  },
  apply(button = null) {
    if (this.now === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = this.now;
    if (button) {
      button.textContent = SIGN[this.now];
      button.setAttribute("aria-label", `Colours: ${SAID[this.now]}`);
    }
  },
  next(button) {
    localStorage.setItem(NAME, ORDER[(ORDER.indexOf(this.now) + 1) % ORDER.length]);
    this.apply(button);
  },
};
