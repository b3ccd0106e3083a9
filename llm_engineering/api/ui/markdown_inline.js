/** What stands in a line of Markdown: emphasis, code, links, marks. Knows nothing of elements. */

const PIECE =
  /\\[!-/:-@[-`{-~]|(`+)|!?\[|\*\*|__|~~|[*_]|<https?:\/\/[^\s<>]+>|https?:\/\/[^\s<>"'`|\\^{}[\]]+| {2,}\n|\\\n/g;
const TARGET =
  /\(\s*(?:<([^<>\n]*)>|([^\s()<>]*(?:\([^\s()]*\)[^\s()<>]*)*))(?:\s+(?:"[^"]*"|'[^']*'))?\s*\)/y;
const MARK = /\[(\d\d?(?:\s*[,;]\s*\d\d?)*)\](?!\()/y;
const WORD = /[\p{L}\p{N}]/u;
const DEEPEST = 12;

/**
 * The pieces of `text`, in order, each with its place [start, end).
 *
 * Kinds: text, code, strong, emphasis, struck and link (pieces), image (alt as a text piece),
 * mark (numbers), break. Every search for an end that failed is remembered, so that no text takes
 * longer than its length allows.
 */
export function piecesOf(text, { marks = false } = {}) {
  return new Reader(text, marks).read(0, text.length, 0);
}

class Reader {
  constructor(text, marks) {
    this.text = text;
    this.marks = marks;
    this.missing = new Map();
  }

  read(start, end, depth) {
    const pieces = [];
    let plain = start;
    const found = new RegExp(PIECE);
    found.lastIndex = start;
    for (let match; (match = found.exec(this.text)) && match.index < end; ) {
      const piece = this.pieceAt(match, end, depth);
      if (piece === null || piece.end > end) continue;
      if (piece.start > plain) pieces.push({ kind: "text", start: plain, end: piece.start });
      pieces.push(piece);
      plain = piece.end;
      found.lastIndex = piece.end;
    }
    if (plain < end) pieces.push({ kind: "text", start: plain, end });
    return pieces;
  }

  pieceAt(match, end, depth) {
    const [given] = match;
    const at = match.index;
    if (given.endsWith("\n")) return { kind: "break", start: at, end: at + given.length };
    if (given[0] === "\\") return { kind: "escaped", start: at, end: at + 2 };
    if (given[0] === "`") return this.codeAt(at, given, end);
    if (given.endsWith("[")) return this.bracketAt(at, given, end, depth);
    if (given[0] === "<") return linked(at, at + given.length, at + 1, at + given.length - 1, this.text);
    if (given[0] === "h") {
      const until = at + given.replace(/[.,;:!?…)*_~’”]+$/u, "").length;
      return linked(at, until, at, until, this.text);
    }
    return this.emphasisAt(at, given, end, depth);
  }

  codeAt(at, ticks, end) {
    const close = this.find(ticks, at + ticks.length, end, (place) => {
      return this.text[place - 1] !== "`" && this.text[place + ticks.length] !== "`";
    });
    if (close === null) return { kind: "text", start: at, end: at + ticks.length };
    return {
      kind: "code",
      start: at,
      end: close + ticks.length,
      from: at + ticks.length,
      to: close,
    };
  }

  bracketAt(at, given, end, depth) {
    if (this.marks && given === "[") {
      MARK.lastIndex = at;
      const mark = MARK.exec(this.text);
      if (mark) {
        const numbers = mark[1].split(/[,;]/).map((number) => parseInt(number, 10));
        return { kind: "mark", start: at, end: at + mark[0].length, numbers };
      }
    }
    const open = at + given.length;
    const close = this.find("](", open, end, () => true);
    if (close === null || this.text.slice(open, close).includes("[") === true) return null;
    TARGET.lastIndex = close + 1;
    const target = TARGET.exec(this.text);
    if (!target) return null;
    const label = { kind: "text", start: open, end: close };
    const whole = { start: at, end: close + 1 + target[0].length };
    if (given === "![") return { kind: "image", ...whole, pieces: close > open ? [label] : [] };
    const pieces = depth < DEEPEST ? this.read(open, close, depth + 1) : [label];
    return { kind: "link", ...whole, address: target[1] ?? target[2], pieces };
  }

  emphasisAt(at, marks, end, depth) {
    const { text } = this;
    const open = at + marks.length;
    const inWord = (place) => place >= 0 && place < text.length && WORD.test(text[place]);
    if (depth >= DEEPEST || open >= end || /\s/.test(text[open])) return null;
    if (marks[0] === "_" && inWord(at - 1)) return null;
    const close = this.find(marks, open + 1, end, (place) => {
      if (/\s/.test(text[place - 1])) return false;
      if (marks.length === 1 && (text[place + 1] === marks || text[place - 1] === marks)) return false;
      return marks[0] !== "_" || !inWord(place + marks.length);
    });
    if (close === null) return null;
    const kind = marks === "~~" ? "struck" : marks.length === 2 ? "strong" : "emphasis";
    const pieces = this.read(open, close, depth + 1);
    return { kind, start: at, end: close + marks.length, pieces };
  }

  /** Where `wanted` stands from `from` on, as far as it `fits`; null when nowhere before `end`. */
  find(wanted, from, end, fits) {
    const known = `${wanted} ${end}`;
    if (from >= (this.missing.get(known) ?? Infinity)) return null;
    let place = this.text.indexOf(wanted, from);
    while (place >= 0 && place + wanted.length <= end && !fits(place)) {
      place = this.text.indexOf(wanted, place + 1);
    }
    if (place >= 0 && place + wanted.length <= end) return place;
    this.missing.set(known, Math.min(from, this.missing.get(known) ?? Infinity));
    return null;
  }
}

function linked(start, end, from, to, text) {
  return {
    kind: "link",
    start,
    end,
    address: text.slice(from, to),
    pieces: [{ kind: "text", start: from, end: to }],
  };
}
