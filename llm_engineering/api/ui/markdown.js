/** Markdown as elements, never as HTML; each text node is recorded with its place in the source. */

import { el, link } from "./dom.js";
import { blocksOf } from "./markdown_blocks.js";
import { piecesOf } from "./markdown_inline.js";
import { Strip } from "./strip.js";

/** Shows a text in a container, and shows it again as it grows, keeping what did not change. */
export class MarkdownView {
  /**
   * `mark(number)` makes the element of a mark such as [1]; without it marks are text.
   * `headings` is the level of a first-level heading.
   */
  constructor(container, { mark = null, headings = 3 } = {}) {
    this.container = container;
    this.mark = mark;
    this.headings = headings;
    this.shown = [];
  }

  /** Text nodes with their place in the source: `{node, start, end}`, in order. */
  get runs() {
    return this.shown.flatMap((block) => block.runs);
  }

  show(text) {
    const strip = Strip.of(text);
    const blocks = blocksOf(strip);
    let same = 0;
    while (same < blocks.length && same < this.shown.length && this.isShown(same, blocks, text)) {
      same += 1;
    }
    for (const gone of this.shown.splice(same)) gone.node.remove();
    for (const block of blocks.slice(same)) {
      const runs = [];
      const node = new Drawing(this, runs).block(block);
      this.container.append(node);
      this.shown.push({ start: block.start, source: text.slice(block.start, block.end), node, runs });
    }
  }

  /** Whether the block is there already. The last one is drawn anew: what follows may change it. */
  isShown(place, blocks, text) {
    const [shown, wanted] = [this.shown[place], blocks[place]];
    return shown.start === wanted.start && shown.source === text.slice(wanted.start, wanted.end);
  }

  clear() {
    for (const { node } of this.shown.splice(0)) node.remove();
  }
}

class Drawing {
  constructor(view, runs) {
    this.view = view;
    this.runs = runs;
  }

  block(block) {
    switch (block.kind) {
      case "heading": {
        const level = Math.min(block.level + this.view.headings - 1, 6);
        return this.inline(el(`h${level}`), block.content);
      }
      case "code":
        return this.code(block);
      case "quote":
        return el("blockquote", {}, block.blocks.map((each) => this.block(each)));
      case "list":
        return this.list(block);
      case "table":
        return this.table(block);
      case "rule":
        return el("hr");
      default:
        return this.inline(el("p"), block.content);
    }
  }

  code({ content, language }) {
    const code = el("code", { "data-language": language || null });
    this.text(code, content, 0, content.text.length);
    return el("pre", { tabindex: "0", role: "region", "aria-label": "Code" }, code);
  }

  list({ ordered, first, items }) {
    const list = el(ordered ? "ol" : "ul", { start: ordered && first !== 1 ? first : null });
    for (const blocks of items) list.append(el("li", {}, blocks.map((each) => this.item(each))));
    return list;
  }

  /** A paragraph of an item is its text, without the space of a paragraph. */
  item(block) {
    return block.kind === "paragraph"
      ? this.inline(el("div", { class: "item" }), block.content)
      : this.block(block);
  }

  table({ rows: [head, ...body] }) {
    const row = (cells, name) => {
      return el("tr", {}, cells.map((cell) => this.inline(el(name), cell)));
    };
    const table = el(
      "table",
      {},
      el("thead", {}, row(head, "th")),
      el("tbody", {}, body.map((cells) => row(cells, "td"))),
    );
    return el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Table" }, table);
  }

  inline(parent, strip) {
    this.pieces(parent, strip, piecesOf(strip.text, { marks: this.view.mark !== null }));
    return parent;
  }

  pieces(parent, strip, pieces) {
    for (const piece of pieces) this.piece(parent, strip, piece);
  }

  piece(parent, strip, piece) {
    const within = (element) => {
      this.pieces(element, strip, piece.pieces);
      parent.append(element);
    };
    switch (piece.kind) {
      case "code": {
        const code = el("code");
        this.text(code, strip, piece.from, piece.to);
        parent.append(code);
        break;
      }
      case "escaped":
        this.text(parent, strip, piece.start + 1, piece.end);
        break;
      case "break":
        parent.append(el("br"));
        break;
      case "strong":
        within(el("strong"));
        break;
      case "emphasis":
        within(el("em"));
        break;
      case "struck":
        within(el("s"));
        break;
      case "link":
        within(link(piece.address));
        this.host(parent.lastChild);
        break;
      case "image": // it would tell another host that this was read
        within(el("span", { class: "image" }, "image: "));
        break;
      case "mark":
        parent.append(...piece.numbers.map((number) => this.view.mark(number)));
        break;
      default:
        this.text(parent, strip, piece.start, piece.end);
    }
  }

  /** Words may say another address than they lead to, so the true host stands behind them. */
  host(made) {
    if (made.href && !made.textContent.includes(made.host)) {
      made.after(el("span", { class: "host" }, ` (${made.host})`));
    }
  }

  /** One text node for each part that stands together in the source. */
  text(parent, strip, start, end) {
    for (let from = start; from < end; ) {
      let to = from + 1;
      while (to < end && strip.at[to] === strip.at[to - 1] + 1) to += 1;
      const node = document.createTextNode(strip.text.slice(from, to));
      parent.append(node);
      this.runs.push({ node, start: strip.at[from], end: strip.at[to - 1] + 1 });
      from = to;
    }
  }
}
