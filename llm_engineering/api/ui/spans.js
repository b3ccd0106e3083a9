/** Wraps a span of a source, as it was drawn, in elements of one's choice. */

/**
 * Wrap what `runs` show of the source's [start, end), and return the new elements, in order.
 *
 * `runs` are those of a MarkdownView; a node that is split is replaced in them, so that further
 * spans find their places.
 */
export function wrapped(runs, start, end, make) {
  const made = [];
  for (let at = 0; at < runs.length; at += 1) {
    const run = runs[at];
    if (run.end <= start || run.start >= end) continue;
    if (run.start < start) {
      splitAt(runs, at, start);
      continue;
    }
    if (run.end > end) splitAt(runs, at, end);
    if (runs[at].node.data.trim() === "") continue;
    const element = make();
    runs[at].node.replaceWith(element);
    element.append(runs[at].node);
    made.push(element);
  }
  return made;
}

function splitAt(runs, at, place) {
  const run = runs[at];
  const rest = run.node.splitText(place - run.start);
  runs.splice(at, 1, { ...run, end: place }, { node: rest, start: place, end: run.end });
}
