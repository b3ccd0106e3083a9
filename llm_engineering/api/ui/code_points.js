/** Offsets of the API count code points; strings here count UTF-16 units. */

/** A function from an offset in code points to the offset in units of `text`. */
export function unitsOf(text) {
  if (!/[\ud800-\udfff]/.test(text)) return (point) => Math.min(point, text.length);
  const units = [];
  let unit = 0;
  for (const character of text) {
    units.push(unit);
    unit += character.length;
  }
  return (point) => (point < units.length ? units[point] : unit);
}

/** How many code points `text` has. */
export function countOf(text) {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}
