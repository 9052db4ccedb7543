// Building the page. Text from the node goes in as text nodes and attributes that hold no code: there is no other way
// in this file, and none elsewhere.

const SVG = "http://www.w3.org/2000/svg";

/** An element: `h("a", {href, class, onclick}, "text", child, ...)`; null and false children are left out. */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function s(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

/** Put these children in place of all that an element has. */
export function replace(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

let lastId = 0;

/** An id that no other element has. */
export function makeId(stem) {
  lastId += 1;
  return `${stem}-${lastId}`;
}

/** Say something to screen readers, politely. */
export function announce(text) {
  document.getElementById("announcer").textContent = text;
}

/** Where a page of this explorer is: the path's parts are escaped one by one. */
export function to(...parts) {
  return `#/${parts.map((part) => encodeURIComponent(String(part))).join("/")}`;
}

export function link(href, ...children) {
  return h("a", { href }, ...children);
}
