type Child = Node | string | undefined;

interface Properties {
  readonly class?: string;
  readonly text?: string;
  readonly on?: Readonly<Record<string, (event: Event) => void>>;
  readonly attributes?: Readonly<Record<string, string>>;
}

/** An element with what it holds. Text is always text, never markup. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  { class: className, text, on = {}, attributes = {} }: Properties = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  if (className !== undefined) made.className = className;
  if (text !== undefined) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  for (const [name, listener] of Object.entries(on)) made.addEventListener(name, listener);
  made.append(...children.filter((child) => child !== undefined));
  return made;
}

/** Writes only what changed, so that nothing is laid out or read aloud again for nothing. */
export function setText(target: Element, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}

export function byId(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`there is no #${id}`);
  return found;
}

const SVG = "http://www.w3.org/2000/svg";

/** A piece of a line as its series is drawn: colour by class, dashes by attribute. */
export function lineMark(index: number, dash: readonly number[]): SVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", `line-mark c${index}`);
  svg.setAttribute("viewBox", "0 0 28 8");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(SVG, "line");
  for (const [name, value] of Object.entries({ x1: "0", x2: "28", y1: "4", y2: "4" })) {
    line.setAttribute(name, value);
  }
  if (dash.length > 0) line.setAttribute("stroke-dasharray", dash.join(" "));
  svg.append(line);
  return svg;
}
