// Elements in a line; text is text, so that nothing that was published is ever taken for HTML.

const SVG = "http://www.w3.org/2000/svg";

export const $ = (selector) => document.querySelector(selector);

export function make(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function draw(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

// A verdict is told by colour, shape and word; this is the first two.
export function shape(name) {
  return draw("svg", { class: `shape ${name}`, "aria-hidden": "true" }, draw("use", { href: `#shape-${name}` }));
}

// Changes an element only where it says something else already: most of what is told did not change.
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function note(element, name, value) {
  if (element.dataset[name] !== String(value)) element.dataset[name] = value;
}

// A shape and a word that change together.
export class Mark {
  constructor(attributes = {}) {
    this.word = make("b");
    this.name = null;
    this.element = make("span", attributes, this.word);
  }

  // name: null for none
  show(name, word) {
    say(this.word, word);
    if (this.name === name) return;
    this.name = name;
    this.element.querySelector("svg")?.remove();
    if (name !== null) this.element.prepend(shape(name));
  }
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}
