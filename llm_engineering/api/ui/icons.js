/** Signs drawn as lines in the colour of the text: fonts differ in which signs they have. */

const SVG = "http://www.w3.org/2000/svg";
const PATHS = {
  good: "M7 10v10H4V10zm0 0 4-7c1.5 0 2.5 1 2.5 2.5L13 9h5.5a2 2 0 0 1 2 2.4l-1.4 7A2 2 0 0 1 17.1 20H7",
  bad: "M7 14V4H4v10zm0 0 4 7c1.5 0 2.5-1 2.5-2.5L13 15h5.5a2 2 0 0 0 2-2.4l-1.4-7A2 2 0 0 0 17.1 4H7",
  edit: "M4 20h4L19 9l-4-4L4 16zM13 7l4 4",
};

/** One of the signs; it says nothing to a screen reader. */
export function icon(name) {
  const drawing = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  for (const [key, value] of [["viewBox", "0 0 24 24"], ["class", "icon"], ["aria-hidden", "true"]]) {
    drawing.setAttribute(key, value);
  }
  path.setAttribute("d", PATHS[name]);
  drawing.append(path);
  return drawing;
}
