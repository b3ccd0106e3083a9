/** Elements without HTML strings: text stays text, whatever it says. */

/** A new element with attributes (`on…` are listeners) and children: nodes, text, or nothing. */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child || child === 0));
  return made;
}

/** Text that only a screen reader says. */
export function unseen(text) {
  return el("span", { class: "unseen" }, text);
}

/** The address where it is one of the web, else null: no `javascript:`, no `data:`. */
export function webAddress(given) {
  try {
    const url = new URL(given);
    return url.protocol === "http:" || url.protocol === "https:" ? url.href : null;
  } catch {
    return null;
  }
}

/** A link that tells the other side nothing of us and says where it leads, or plain content where
 * that is nowhere on the web. */
export function link(address, ...children) {
  const href = webAddress(address);
  if (href === null) return el("span", {}, ...children);
  const attributes = { href, rel: "noopener noreferrer nofollow", target: "_blank", title: href };
  return el("a", attributes, ...children);
}
