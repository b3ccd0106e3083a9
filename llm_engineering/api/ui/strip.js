/** Text that was cut out of a source and still knows where each character stood in it. */

export class Strip {
  /** `at`: for each unit of `text`, its place in the source. */
  constructor(text, at) {
    this.text = text;
    this.at = at;
  }

  /** The source itself. */
  static of(text) {
    return new Strip(text, Int32Array.from({ length: text.length }, (_, place) => place));
  }

  slice(start, end) {
    return new Strip(this.text.slice(start, end), this.at.subarray(start, end));
  }

  /** One after the other. */
  static joined(strips) {
    const at = new Int32Array(strips.reduce((sum, each) => sum + each.text.length, 0));
    let place = 0;
    for (const each of strips) {
      at.set(each.at, place);
      place += each.text.length;
    }
    return new Strip(strips.map((each) => each.text).join(""), at);
  }
}
