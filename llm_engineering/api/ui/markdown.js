// Markdown as DOM nodes. Every text node knows where in the source it stands, so that sentences can
// be marked; HTML stays text, images are never loaded, links go to http and https alone.

import { element, webAddress } from "./elements.js";

const INLINE = new RegExp([
  "(?<code>`+)(?<inCode>[^`]+?)\\k<code>(?!`)",
  "\\*\\*(?<strong>[^\\s*](?:[^*]|\\*(?!\\*))*?)\\*\\*",
  "(?<![\\w*])\\*(?<em>[^\\s*][^*]*?)\\*(?![\\w*])",
  "(?<![\\w_])_(?<em2>[^\\s_][^_]*?)_(?![\\w_])",
  "!?\\[(?<label>[^\\[\\]]*)\\]\\((?<to>[^\\s()]*(?:\\([^\\s()]*\\)[^\\s()]*)*)(?:\\s+\"[^\"]*\")?\\)",
  "\\[(?<marks>\\d{1,2}(?:\\s*,\\s*\\d{1,2})*)\\]",
  "(?<url>https?:\\/\\/[^\\s<>\"'`]*[^\\s<>\"'`.,;:!?)\\]])",
].join("|"), "gu");
const DEEP = 4;

// `cite(number)` gives the node of a mark, `span(text, at)` the nodes of a text that stands at
// [at, at + text.length); `at` is where `source` begins.
export function rendered(source, { cite, span, at = 0 }) {
  const made = document.createDocumentFragment();
  for (const block of blocks(source)) made.append(blockNode(block, { cite, span, at }));
  return made;
}

// Where the last block begins: what comes before it no more text can change.
export function settled(source) {
  const found = blocks(source);
  return found.length ? found[found.length - 1].start : 0;
}

function* lines(source) {
  let start = 0;
  while (start <= source.length) {
    let end = source.indexOf("\n", start);
    if (end < 0) end = source.length;
    yield { start, end, text: source.slice(start, end) };
    start = end + 1;
  }
}

export function blocks(source) {
  const found = [];
  let open = null;
  for (const line of lines(source)) {
    if (open?.kind === "code" && !open.closed) {
      if (/^\s{0,3}```+\s*$/.test(line.text)) open.closed = true;
      else open.end = line.end;
      if (open.closed) open = null;
      continue;
    }
    const fence = /^\s{0,3}```+\s*([\w+-]*)\s*$/.exec(line.text);
    const heading = /^(#{1,6})\s+(.*)$/.exec(line.text);
    const item = /^(\s*)(?:[-*+]|(\d{1,9})[.)])\s+/.exec(line.text);
    const quote = /^\s{0,3}>\s?/.exec(line.text);
    if (!line.text.trim()) {
      open = null;
    } else if (fence) {
      open = { kind: "code", start: line.start, begin: line.end + 1, end: line.end + 1 };
      found.push(open);
    } else if (heading) {
      found.push({ kind: "heading", start: line.start, begin: line.end - heading[2].length, end: line.end });
      open = null;
    } else if (item) {
      const ordered = item[2] !== undefined;
      let list = found[found.length - 1];
      if (list?.kind !== "list" || list.ordered !== ordered) {
        list = { kind: "list", ordered, first: Number(item[2] || 1), start: line.start, items: [] };
        found.push(list);
      }
      open = { kind: "item", begin: line.start + item[0].length, end: line.end };
      list.items.push(open);
    } else if (quote) {
      if (open?.kind !== "quote") {
        open = { kind: "quote", start: line.start, parts: [] };
        found.push(open);
      }
      open.parts.push({ begin: line.start + quote[0].length, end: line.end });
    } else if (open && (open.kind === "paragraph" || open.kind === "item")) {
      open.end = line.end;
    } else {
      open = { kind: "paragraph", start: line.start, begin: line.start, end: line.end };
      found.push(open);
    }
  }
  return found.map((block) => ({ ...block, source }));
}

function blockNode(block, context) {
  const inside = ({ begin, end }) => inline(block.source.slice(begin, end), context.at + begin, context, 0);
  switch (block.kind) {
    case "code":
      return element("pre", { tabindex: "0" }, element("code", {}, block.source.slice(block.begin, block.end)));
    case "heading":
      return element("h3", {}, ...inside(block));
    case "list":
      return element(block.ordered ? "ol" : "ul", block.ordered ? { start: String(block.first) } : {},
        ...block.items.map((item) => element("li", {}, ...inside(item))));
    case "quote":
      return element("blockquote", {}, ...block.parts.flatMap((part) => [...inside(part), " "]));
    default:
      return element("p", {}, ...inside(block));
  }
}

function inline(text, at, context, depth) {
  if (depth > DEEP) return context.span(text, at);
  const nodes = [];
  let from = 0;
  for (const match of text.matchAll(INLINE)) {
    const { groups } = match;
    if (match.index > from) nodes.push(...context.span(text.slice(from, match.index), at + from));
    from = match.index + match[0].length;
    nodes.push(...inlineNode(match, groups, at + match.index, context, depth));
  }
  if (from < text.length) nodes.push(...context.span(text.slice(from), at + from));
  return nodes;
}

function inlineNode(match, groups, at, context, depth) {
  const within = (text) => inline(text, at + match[0].indexOf(text), context, depth + 1);
  if (groups.inCode !== undefined) {
    const begins = at + groups.code.length;
    return [element("code", {}, ...context.span(groups.inCode, begins))];
  }
  if (groups.strong !== undefined) return [element("strong", {}, ...within(groups.strong))];
  const emphasis = groups.em ?? groups.em2;
  if (emphasis !== undefined) return [element("em", {}, ...within(emphasis))];
  if (groups.marks !== undefined) {
    return groups.marks.split(",").map((number) => context.cite(Number(number)));
  }
  if (groups.url !== undefined) return [link(groups.url, context.span(groups.url, at))];
  const label = context.span(groups.label, at + match[0].indexOf("[") + 1);
  return match[0].startsWith("!") ? label : [link(groups.to, label)];
}

// A link says where it goes, as its text may say otherwise.
function link(address, label) {
  const to = webAddress(address);
  if (!to) return element("span", { class: "foreign" }, ...label);
  const made = element("a", {
    href: to.href, rel: "noopener noreferrer nofollow", target: "_blank", title: to.href,
  }, ...label);
  const said = made.textContent.toLowerCase();
  return said.includes(to.host) ? made : element("span", {}, made, element("span", { class: "foreign" }, ` (${to.host})`));
}
