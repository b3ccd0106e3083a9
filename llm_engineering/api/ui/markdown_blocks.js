/** Blocks of Markdown: which lines are a paragraph, a list, code. Knows nothing of elements. */

import { Strip } from "./strip.js";

const FENCE = /^ {0,3}(`{3,}|~{3,})([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]+|$)/;
const RULE = /^ {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])(?:[ \t]+|$)/;
const TABLE = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;
const DEEPEST = 8;

/**
 * The blocks of a Strip, in order, each with its place [start, end) in it.
 *
 * Kinds: paragraph, heading (level), code (language), quote (blocks), list (ordered, first,
 * items), table (rows of cells), rule. What has text has it as the Strip `content`.
 */
export function blocksOf(strip, depth = 0) {
  const lines = linesOf(strip.text);
  const blocks = [];
  let at = 0;
  while (at < lines.length) {
    if (blank(lines[at])) {
      at += 1;
      continue;
    }
    const [block, next] = blockAt(strip, lines, at, depth);
    block.start = lines[at].start;
    block.end = lines[next - 1].end;
    blocks.push(block);
    at = next;
  }
  return blocks;
}

/** Lines with their place, without the line break; `next` is behind it. */
function linesOf(text) {
  const lines = [];
  for (let start = 0; start < text.length; ) {
    const found = text.indexOf("\n", start);
    const end = found < 0 ? text.length : found;
    lines.push({ start, end, next: found < 0 ? end : end + 1, text: text.slice(start, end) });
    start = end + 1;
  }
  return lines;
}

const blank = (line) => line.text.trim() === "";
const indented = (line) => line.text.startsWith("    ");

function blockAt(strip, lines, at, depth) {
  const line = lines[at];
  const fence = FENCE.exec(line.text);
  if (fence) return codeAt(strip, lines, at, fence);
  const heading = HEADING.exec(line.text);
  if (heading) return [headingOf(strip, line, heading), at + 1];
  if (RULE.test(line.text)) return [{ kind: "rule" }, at + 1];
  if (QUOTE.test(line.text) && depth < DEEPEST) return quoteAt(strip, lines, at, depth);
  if (ITEM.test(line.text) && depth < DEEPEST) return listAt(strip, lines, at, depth);
  if (indented(line)) return indentedAt(strip, lines, at);
  if (isTable(lines, at)) return tableAt(strip, lines, at);
  return paragraphAt(strip, lines, at);
}

function codeAt(strip, lines, at, [, fence, language]) {
  const closes = new RegExp(`^ {0,3}\\${fence[0]}{${fence.length},}[ \\t]*$`);
  let end = at + 1;
  while (end < lines.length && !closes.test(lines[end].text)) end += 1;
  const inside = lines.slice(at + 1, end);
  const content = inside.length
    ? strip.slice(inside[0].start, inside[inside.length - 1].end)
    : strip.slice(0, 0);
  return [{ kind: "code", language: language.trim(), content }, Math.min(end + 1, lines.length)];
}

function indentedAt(strip, lines, at) {
  let end = at + 1;
  while (end < lines.length && indented(lines[end]) && !blank(lines[end])) end += 1;
  const content = Strip.joined(
    lines.slice(at, end).map((line, place) => {
      return strip.slice(line.start + 4, place === end - at - 1 ? line.end : line.next);
    }),
  );
  return [{ kind: "code", language: "", content }, end];
}

function headingOf(strip, line, [opening, marks]) {
  const closing = /[ \t]+#+[ \t]*$/.exec(line.text.slice(opening.length));
  const end = closing ? line.start + opening.length + closing.index : line.end;
  const content = strip.slice(line.start + opening.length, end);
  return { kind: "heading", level: marks.length, content };
}

function quoteAt(strip, lines, at, depth) {
  const inner = [];
  let end = at;
  while (end < lines.length && !blank(lines[end])) {
    const mark = QUOTE.exec(lines[end].text);
    if (!mark && opensBlock(lines[end])) break;
    inner.push(strip.slice(lines[end].start + (mark ? mark[0].length : 0), lines[end].next));
    end += 1;
  }
  return [{ kind: "quote", blocks: blocksOf(Strip.joined(inner), depth + 1) }, end];
}

function listAt(strip, lines, at, depth) {
  const [, , first] = ITEM.exec(lines[at].text);
  const ordered = /\d/.test(first);
  const items = [];
  let end = at;
  while (end < lines.length) {
    const mark = ITEM.exec(lines[end].text);
    if (!mark || RULE.test(lines[end].text) || mark[2].at(-1) !== first.at(-1)) break;
    const [item, next] = itemAt(strip, lines, end, mark[0].length);
    items.push(blocksOf(item, depth + 1));
    end = next;
    let after = end;
    while (after < lines.length && blank(lines[after])) after += 1;
    if (after < lines.length && ITEM.test(lines[after].text)) end = after;
  }
  return [{ kind: "list", ordered, first: ordered ? parseInt(first, 10) : 1, items }, end];
}

/** One item: its line, what is indented below it, and lines that go on with its paragraph. */
function itemAt(strip, lines, at, width) {
  const inner = [strip.slice(lines[at].start + width, lines[at].next)];
  let end = at + 1;
  let gap = [];
  while (end < lines.length) {
    const line = lines[end];
    const indent = /^ */.exec(line.text)[0].length;
    if (blank(line)) {
      gap.push(strip.slice(line.end, line.next));
    } else if (indent >= Math.min(width, 2) && (indent >= width || !gap.length)) {
      inner.push(...gap, strip.slice(line.start + Math.min(indent, width), line.next));
      gap = [];
    } else if (!gap.length && !opensBlock(line)) {
      inner.push(strip.slice(line.start, line.next));
    } else {
      break;
    }
    end += 1;
  }
  return [Strip.joined(inner), end - gap.length];
}

function isTable(lines, at) {
  const [head, rule] = [lines[at], lines[at + 1]];
  return Boolean(rule && head.text.includes("|") && rule.text.includes("|") && TABLE.test(rule.text));
}

function tableAt(strip, lines, at) {
  const rows = [];
  let end = at;
  while (end < lines.length && !blank(lines[end]) && lines[end].text.includes("|")) {
    if (end !== at + 1) rows.push(cellsOf(strip, lines[end]));
    end += 1;
  }
  return [{ kind: "table", rows }, end];
}

function cellsOf(strip, line) {
  const cells = [];
  const inside = /^[ \t]*\|?(.*?)\|?[ \t]*$/.exec(line.text);
  const from = line.text.indexOf(inside[1], inside[0].indexOf("|") === 0 ? 1 : 0);
  for (const cell of inside[1].matchAll(/(?:\\\||[^|])+/g)) {
    const lead = /^\s*/.exec(cell[0])[0].length;
    const start = line.start + from + cell.index + lead;
    cells.push(strip.slice(start, start + cell[0].trim().length));
  }
  return cells;
}

function paragraphAt(strip, lines, at) {
  let end = at + 1;
  while (end < lines.length && !blank(lines[end]) && !opensBlock(lines[end])) end += 1;
  const content = Strip.joined(
    lines.slice(at, end).map((line, place) => {
      const lead = /^[ \t]*/.exec(line.text)[0].length;
      return strip.slice(line.start + lead, place === end - at - 1 ? line.end : line.next);
    }),
  );
  return [{ kind: "paragraph", content }, end];
}

/** Whether a paragraph ends before this line. */
function opensBlock(line) {
  return [FENCE, HEADING, RULE, QUOTE, ITEM].some((opening) => opening.test(line.text));
}
