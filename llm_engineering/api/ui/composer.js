/** Where questions are written: Enter sends, Shift+Enter begins a line, and the button stops. */

export class Composer {
  constructor(form, { send, stop }) {
    this.form = form;
    this.field = form.querySelector("textarea");
    this.button = form.querySelector("button");
    this.does = { send, stop };
    this.busy = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault(); // the policy lets no form go anywhere
      this.submit();
    });
    this.field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      if (!this.busy) this.submit();
    });
    this.field.addEventListener("input", () => this.fit());
  }

  submit() {
    if (this.busy) {
      this.does.stop();
      return;
    }
    const question = this.field.value.trim();
    if (!question) return;
    this.field.value = "";
    this.fit();
    this.does.send(question);
  }

  /** An answer is under way, and the button stops it. */
  set answering(busy) {
    this.busy = busy;
    this.button.dataset.does = busy ? "stop" : "send";
    this.button.querySelector("[data-words]").textContent = busy ? "Stop" : "Send";
    if (!busy && document.activeElement === this.button) this.field.focus();
  }

  /** As high as its text, as far as the page allows. */
  fit() {
    this.field.style.height = "auto";
    this.field.style.height = `${Math.min(this.field.scrollHeight + 2, innerHeight * 0.35)}px`;
  }

  focus() {
    this.field.focus();
  }
}
