/** Dates as they are read: those of documents are days, wherever the reader is. */

const DAY = { year: "numeric", month: "long", day: "numeric", timeZone: "UTC" };

/** Such as `8 March 2024`; '' for none. */
export function day(iso) {
  const date = new Date(iso ?? "");
  return Number.isNaN(date.getTime()) ? "" : date.toLocaleDateString("en-GB", DAY);
}

/** Such as `2024`; '' for none. */
export function year(iso) {
  return day(iso).split(" ").at(-1);
}

/** Such as `0.4 s`. */
export function seconds(ms) {
  return ms >= 10_000 ? `${Math.round(ms / 1000)} s` : `${(ms / 1000).toFixed(1)} s`;
}
