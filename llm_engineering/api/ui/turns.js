/** The turns of this tab's conversation, kept over a reload, and what of them is asked with. */

const NAME = "twin.conversation";
const MESSAGES = 40;
const CHARACTERS = 32_000;

/** Code points that a withdrawn beginning has. */
export function withdrawnOf(turn) {
  return turn.grounds?.grounding?.withdrawn ?? 0;
}

/** Nothing of it is the twin's: the server gives back what the reader has said. */
export function isReaders(turn) {
  return turn.model === "memory";
}

export class Turns {
  constructor() {
    const kept = this.kept();
    this.list = kept.turns ?? [];
    /** Id of the conversation on the server; null where nothing is kept there. */
    this.conversation = kept.conversation ?? null;
    for (const turn of this.list) if (turn.state === "open") turn.state = "stopped";
  }

  kept() {
    try {
      return JSON.parse(sessionStorage.getItem(NAME)) ?? {};
    } catch {
      return {};
    }
  }

  add(question) {
    const turn = { question, text: "", state: "open" };
    this.list.push(turn);
    return turn;
  }

  /** In this tab alone. What does not fit is kept without the evidence of older answers. */
  save() {
    const { conversation } = this;
    for (let bare = 0; bare <= this.list.length; bare = bare * 2 + 1) {
      const turns = this.list.map((turn, at) => (at < bare ? { ...turn, grounds: null } : turn));
      try {
        sessionStorage.setItem(NAME, JSON.stringify({ conversation, turns }));
        return;
      } catch {
        // Full: less of it is tried.
      }
    }
  }

  clear() {
    this.list = [];
    this.conversation = null;
    this.save();
  }

  /** What the API is sent before the question of `turn`: the latest turns that were answered. */
  before(turn) {
    const messages = this.list
      .slice(0, this.list.indexOf(turn))
      .filter((each) => each.text && each.state !== "failed")
      .flatMap((each) => [
        { role: "user", content: each.question },
        { role: "assistant", content: standing(each).slice(0, CHARACTERS) },
      ]);
    return messages.slice(-MESSAGES);
  }
}

/** The text of a turn without what was withdrawn. */
export function standing(turn) {
  return [...turn.text].slice(withdrawnOf(turn)).join("").trim();
}
