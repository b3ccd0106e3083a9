/** One turn on the page: the question, the answer as it grows, and what it rests on at its end. */

import { labelled, legend } from "./claims.js";
import { seconds } from "./dates.js";
import { el, unseen } from "./dom.js";
import { feedbackOf } from "./feedback.js";
import { MarkdownView } from "./markdown.js";
import { changesOf, linkedBoth, markOf, sourcesOf, stepsOf } from "./sources.js";
import { isReaders, standing, withdrawnOf } from "./turns.js";

export class AnswerView {
  /** `open(citation, opener)` shows a document; `save` keeps the turn; `again` asks it anew. */
  constructor(turn, { open, save, again }) {
    this.turn = turn;
    this.does = { open, save, again };
    this.body = el("div", { class: "prose" });
    this.answer = el("div", { class: "answer" }, this.body);
    this.element = el(
      "article",
      { class: "turn", "aria-label": "Question and answer" },
      el("div", { class: "question" }, unseen("You asked: "), el("p", {}, turn.question)),
      this.answer,
    );
    linkedBoth(this.answer);
    this.view = this.markdown();
    this.frame = 0;
    this.draw();
  }

  markdown() {
    const citations = this.turn.grounds?.citations ?? [];
    return new MarkdownView(this.body, {
      mark: (number) => markOf(number, citations[number - 1], this.does.open),
    });
  }

  /** The text has grown: it is drawn with the next picture, however many pieces come until then. */
  grown() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.view.show(this.turn.text);
    });
  }

  /** The turn as it is now, anew. */
  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.body.replaceChildren();
    this.answer.replaceChildren(this.body);
    this.answer.className = `answer ${this.turn.state}`;
    this.body.setAttribute("aria-busy", String(this.turn.state === "open"));
    switch (this.turn.state) {
      case "open":
        this.view = this.markdown();
        this.body.append(el("p", { class: "thinking" }, "Reading what was written…"));
        this.waiting = true;
        break;
      case "done":
        this.whole();
        break;
      default:
        this.view = this.markdown();
        this.view.show(this.turn.text);
        this.answer.append(this.notice());
    }
  }

  /** The first piece of text takes the place of the words that stand in for it. */
  said(piece) {
    if (this.waiting) this.body.replaceChildren();
    this.waiting = false;
    this.turn.text += piece;
    this.grown();
  }

  notice() {
    const { state, error } = this.turn;
    const again = el("button", { type: "button", class: "again" }, "Try again");
    again.addEventListener("click", () => this.does.again(this.turn));
    const words =
      state === "failed" ? error.message : "Stopped. What stands here is unfinished and was not checked.";
    if (state === "failed" && error.waitS > 0) this.countdown(again, error.until);
    return el("div", { class: `notice ${state}` }, el("p", {}, words), again);
  }

  /** The server has said when to ask again; until then asking is of no use. */
  countdown(button, until) {
    const tick = () => {
      const left = Math.ceil((until - Date.now()) / 1000);
      button.disabled = left > 0;
      button.textContent = left > 0 ? `Try again in ${left} s` : "Try again";
      if (left > 0) setTimeout(tick, 500);
    };
    tick();
  }

  whole() {
    const { turn } = this;
    const { grounds, text } = turn;
    const { open, save } = this.does;
    const citations = grounds?.citations ?? [];
    this.view = this.markdown();
    this.answer.classList.toggle("abstained", Boolean(grounds?.abstained));
    this.view.show(text);
    if (grounds?.grounding) labelled(this.view, text, grounds.grounding, { open });
    if (withdrawnOf(turn)) this.fold(text);
    const beside = sourcesOf(citations, { open });
    this.answer.classList.toggle("with-sources", beside !== null);
    const below = [
      grounds?.grounding?.replaced && el("p", { class: "replaced" }, REPLACED),
      changesOf(grounds?.changes, { open }),
      grounds?.grounding && legend(grounds.grounding),
      stepsOf(grounds?.steps),
      feedbackOf(turn, { save, text: standing(turn) }),
      this.foot(),
    ];
    this.answer.append(...[beside, el("div", { class: "below" }, below)].filter(Boolean));
  }

  /** What was taken back stays readable, folded. */
  fold(text) {
    const units = [...text].slice(0, withdrawnOf(this.turn)).join("").length;
    const gone = this.view.shown.filter(({ start, source }) => start + source.length <= units);
    if (!gone.length) return;
    const fold = el("details", { class: "withdrawn" }, el("summary", {}, "Withdrawn: it was not backed"));
    gone[0].node.before(fold);
    fold.append(...gone.map(({ node }) => node));
  }

  foot() {
    const { grounds, model } = this.turn;
    const total = grounds?.timings_ms?.total;
    if (isReaders(this.turn)) return el("footer", {}, el("p", {}, "From what you said, not from the author's writing."));
    const said = [model && `Version ${model}`, grounds?.index_version && `index ${grounds.index_version}`];
    return el(
      "footer",
      {},
      grounds?.disclosure && el("p", { class: "disclosure" }, grounds.disclosure),
      el("p", { class: "version" }, [...said, total && seconds(total)].filter(Boolean).join(" · ")),
    );
  }
}

const REPLACED =
  "Too little of what the model wrote is backed by the author's writing, so the author's own sentences stand here instead.";
