// A proof as a tree: the root on top, at each level the pair that is hashed, the leaf at the bottom. The way from the
// leaf up is drawn strong; what the proof brings along (the siblings) is drawn light.

import { shorten } from "./format.js";
import { h, replace, s } from "./dom.js";
import { makeStepper } from "./stepper.js";

const ROW = 74;
const BOX = 40;
const MARGIN = 2;
const MAX_WIDTH = 720;
const CHARACTER = 7.4;

/**
 * The tree with a stepper through its hashes. `folded` is what `proof.js` gives; `altered` holds the levels at which
 * the way differs from the untampered one (-1 for the leaf); `matches` says whether the root is the expected one.
 */
export function renderTree(folded, { leafName, rootName, matches, altered = new Set(), formula }) {
  const holder = h("div", { class: "tree-holder" });
  const equation = h("div", { class: "equation" });
  let active = folded.steps.length;

  const draw = () => {
    const width = Math.max(240, Math.min(MAX_WIDTH, holder.clientWidth || MAX_WIDTH));
    replace(holder, drawTree(folded, { width, leafName, rootName, matches, altered, active }));
  };
  const show = (step) => {
    active = step;
    draw();
    replace(equation, ...describeStep(folded, step, formula));
  };
  const stepper = makeStepper({
    label: "Fold step by step",
    count: folded.steps.length + 1,
    describe: (step) => (step === 0 ? "the leaf's hash" : `level ${step} of ${folded.steps.length}`),
    onchange: show,
  });
  stepper.set(active);
  let width = 0;
  new ResizeObserver(() => {
    if (holder.clientWidth !== width) {
      width = holder.clientWidth;
      draw();
    }
  }).observe(holder);
  return h("div", { class: "tree" }, holder, stepper.element, equation);
}

function describeStep(folded, step, formula) {
  if (step === 0)
    return [h("p", {}, formula.leaf), h("p", {}, "= ", h("code", { class: "whole strong" }, folded.leafHash))];
  const { left, right, node, siblingOnLeft } = folded.steps[step - 1];
  const mark = (hex, isSibling) => [
    h("code", { class: isSibling ? "whole sibling" : "whole strong" }, hex),
    h("span", { class: "quiet" }, isSibling ? " from the proof" : " computed"),
  ];
  return [
    h("p", {}, `${formula.node}(`),
    h("p", { class: "operand" }, ...mark(left, siblingOnLeft)),
    h("p", { class: "operand" }, ...mark(right, !siblingOnLeft)),
    h("p", {}, ") = ", h("code", { class: "whole strong" }, node)),
  ];
}

function drawTree(folded, { width, leafName, rootName, matches, altered, active }) {
  const depth = folded.steps.length;
  const height = (depth + 1) * ROW + BOX + 2 * MARGIN;
  const half = (width - 2 * MARGIN - 14) / 2;
  const columns = [MARGIN, width - MARGIN - half];
  const wide = Math.min(width - 2 * MARGIN, Math.max(half, 300));
  const middle = (width - wide) / 2;
  const y = (row) => MARGIN + row * ROW;
  const tone = (level) => (altered.has(level) ? " altered" : "");
  const lines = [];
  const boxes = [];

  boxes.push(
    drawBox(middle, y(0), wide, {
      kind: `way root ${matches ? "match" : "mismatch"}${active === depth ? " active" : ""}`,
      name: `${rootName} ${matches ? "✓" : "✗"}`,
      text: folded.root,
    }),
  );
  let parent = width / 2;
  for (let row = 1; row <= depth; row += 1) {
    const level = depth - row;
    const step = folded.steps[level];
    const column = step.siblingOnLeft ? 1 : 0;
    const way = step.siblingOnLeft ? step.right : step.left;
    const sibling = step.siblingOnLeft ? step.left : step.right;
    const centre = (index) => columns[index] + half / 2;
    const lit = active === level + 1 ? " active" : "";
    lines.push(drawLine(parent, y(row - 1) + BOX, centre(1 - column), y(row), `edge light${lit}`));
    lines.push(drawLine(parent, y(row - 1) + BOX, centre(column), y(row), `edge${tone(level - 1)}${lit}`));
    const wayLit = lit || (active === level ? " active" : "");
    boxes.push(
      drawBox(columns[column], y(row), half, {
        kind: `way${tone(level - 1)}${wayLit}`,
        name: level === 0 ? "leaf hash" : `level ${level}`,
        text: way,
      }),
    );
    boxes.push(
      drawBox(columns[1 - column], y(row), half, { kind: `side${lit}`, name: `sibling ${level}`, text: sibling }),
    );
    parent = centre(column);
  }
  const leafRow = depth + 1;
  lines.push(
    drawLine(parent, y(leafRow - 1) + BOX, width / 2, y(leafRow), `edge${tone(-1)}${active === 0 ? " active" : ""}`),
  );
  boxes.push(
    drawBox(middle, y(leafRow), wide, {
      kind: `leaf${tone(-1)}${active === 0 ? " active" : ""}`,
      name: "leaf",
      text: leafName,
    }),
  );
  const says = `Proof tree of ${depth} levels: from the leaf, ${depth} siblings lead to ${folded.root}, which ${
    matches ? "is" : "is not"
  } the ${rootName}. The steps below give every hash in full.`;
  const size = {
    viewBox: `0 0 ${width} ${height}`,
    width,
    height,
    role: "img",
    "aria-label": says,
    class: "tree-drawing",
  };
  return s("svg", size, ...lines, ...boxes);
}

function drawLine(x1, y1, x2, y2, kind) {
  const bend = (y2 - y1) * 0.55;
  return s("path", { d: `M${x1} ${y1} C${x1} ${y1 + bend} ${x2} ${y2 - bend} ${x2} ${y2}`, class: kind });
}

function drawBox(x, y, width, { kind, name, text }) {
  const digits = Math.max(3, Math.min(32, Math.floor((width / CHARACTER - 6) / 2)));
  return s(
    "g",
    { class: `node ${kind}` },
    s("title", {}, `${name}: ${text}`),
    s("rect", { x, y, width, height: BOX, rx: 8 }),
    s("text", { x: x + width / 2, y: y + 14, class: "node-name" }, name),
    s("text", { x: x + width / 2, y: y + 30, class: "node-hash" }, shorten(text, digits)),
  );
}
