// How values look: hashes, times, statuses, confirmation levels, and any value of an app's own types.

import { announce, h, link, replace, s, to } from "./dom.js";
import { isHex } from "./bytes.js";

/** The rungs from an acknowledgement to L1, and the two ways off them. */
export const LEVELS = [
  { name: "C0", word: "acknowledged", meaning: "durable in the log, and signed for" },
  { name: "C1", word: "executed", meaning: "the state transition function has run" },
  { name: "C2", word: "verified", meaning: "a quorum of verifiers executed it again and agreed" },
  { name: "C3A", word: "available", meaning: "the block's data is published" },
  { name: "C3B", word: "settled", meaning: "L1 holds the state root" },
];

const BAD_LEVELS = { C1X: "rejected or faulted", C2X: "invalid" };

/** A level in a word. */
export function describeLevel(name) {
  return LEVELS.find((level) => level.name === name)?.word ?? BAD_LEVELS[name] ?? "unknown";
}

/** The level that a height has reached, of the feed's heights. */
export function getLevel(height, heights) {
  if (!heights) return "C1";
  if (height <= heights.settled) return "C3B";
  if (height <= heights.available) return "C3A";
  if (height >= (heights.invalidFrom ?? Infinity)) return "C2X";
  if (height <= heights.verified) return "C2";
  return height <= heights.latest ? "C1" : "C0";
}

export function renderLevel(name) {
  return h(
    "span",
    { class: "level", "data-level": name, title: describeLevel(name) },
    `${name} `,
    h("span", {}, describeLevel(name)),
  );
}

export function renderStatus(status) {
  const kind = { executed: "good", rejected: "warn", faulted: "bad" }[status] ?? "warn";
  return h("span", { class: `badge ${kind}` }, status);
}

export function shorten(hex, digits = 4) {
  if (!isHex(hex) || hex.length <= 4 + 2 * digits) return String(hex);
  return `${hex.slice(0, 2 + digits)}…${hex.slice(-digits)}`;
}

/** A hash in short, with the whole of it for screen readers' and mice's users, and perhaps a place to go to. */
export function renderHash(hex, href, digits = 4) {
  const short = h("code", { class: "hash", title: hex }, shorten(hex, digits));
  return href ? h("a", { href, class: "hash-link" }, short) : short;
}

/** A hash in full, with a button that copies it. */
export function renderFullHash(hex, href) {
  const code = h("code", { class: "whole" }, hex);
  return h("span", { class: "copyable" }, href ? link(href, code) : code, renderCopy(hex));
}

function renderCopy(text) {
  const button = h("button", { type: "button", class: "copy", "aria-label": "Copy", title: "Copy" }, drawCopyIcon());
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      replace(button, "✓");
      announce("Copied");
    } catch {
      replace(button, "✗");
      announce("The browser does not allow copying here");
    }
    setTimeout(() => replace(button, drawCopyIcon()), 1500);
  });
  return button;
}

function drawCopyIcon() {
  return s(
    "svg",
    { viewBox: "0 0 16 16", width: 15, height: 15, "aria-hidden": "true", class: "icon" },
    s("rect", { x: 1.5, y: 1.5, width: 9, height: 9, rx: 2 }),
    s("rect", { x: 5.5, y: 5.5, width: 9, height: 9, rx: 2 }),
  );
}

/** By so much a node's clock may be ahead of this one. */
const SKEW_SECONDS = 5;

const SPANS = [
  [86400, "d"],
  [3600, "h"],
  [60, "min"],
  [1, "s"],
];

function formatAge(seconds) {
  if (seconds < -SKEW_SECONDS) return `in ${formatSpan(-seconds)}`;
  if (seconds < 1) return "now";
  const [size, unit] = SPANS.find(([span]) => seconds >= span);
  return `${Math.floor(seconds / size)} ${unit} ago`;
}

/** A length of time in its two largest units: "2 d 3 h". */
export function formatSpan(seconds) {
  let left = Math.floor(seconds);
  const parts = [];
  for (const [size, unit] of SPANS) {
    if (left >= size) parts.push(`${Math.floor(left / size)} ${unit}`);
    left %= size;
  }
  return parts.slice(0, 2).join(" ") || "0 s";
}

/** A time in seconds as its age, or as how far it is away; `refreshTimes` keeps it true. */
export function renderTime(seconds) {
  const date = new Date(Number(seconds) * 1000);
  if (Number.isNaN(date.getTime())) return h("span", {}, String(seconds));
  const text = formatAge(Date.now() / 1000 - Number(seconds));
  return h("time", { datetime: date.toISOString(), title: date.toLocaleString(), "data-seconds": seconds }, text);
}

export function refreshTimes() {
  for (const element of document.querySelectorAll("time[data-seconds]")) {
    element.textContent = formatAge(Date.now() / 1000 - Number(element.dataset.seconds));
  }
}

export function renderDate(seconds) {
  return h("span", {}, new Date(Number(seconds) * 1000).toLocaleString(), " (", renderTime(seconds), ")");
}

export function count(number, singular, plural = `${singular}s`) {
  return `${Number(number).toLocaleString()} ${number === 1 ? singular : plural}`;
}

/** Facts as a description list: pairs of a name and what to show. */
export function renderFacts(pairs) {
  const rows = pairs.filter((pair) => pair && pair[1] !== undefined && pair[1] !== null);
  return h(
    "dl",
    { class: "facts" },
    ...rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
  );
}

/** Any JSON value of an app's own types. */
export function renderValue(value) {
  if (value === null || value === undefined) return h("span", { class: "quiet" }, "nothing");
  if (isHex(value))
    return value.length > 2 ? h("code", { class: "whole" }, value) : h("span", { class: "quiet" }, "no bytes");
  if (Array.isArray(value)) {
    if (value.length === 0) return h("span", { class: "quiet" }, "empty list");
    return h("ol", { class: "value-list", start: 0 }, ...value.map((item) => h("li", {}, renderValue(item))));
  }
  if (typeof value === "object")
    return renderFacts(Object.entries(value).map(([name, part]) => [name, renderValue(part)]));
  if (typeof value === "string" && value === "") return h("span", { class: "quiet" }, "empty text");
  return h("bdi", { class: typeof value === "number" ? "number" : "text" }, String(value));
}

/** The members of a value with their paths, so that two values can be compared side by side. */
export function flatten(value, path = "") {
  if (value === null || value === undefined) return [];
  if (typeof value !== "object") return [[path, value]];
  return Object.entries(value).flatMap(([name, part]) => {
    const here = Array.isArray(value) ? `${path}[${name}]` : path ? `${path}.${name}` : name;
    return flatten(part, here);
  });
}

export function renderEmpty(title, ...text) {
  return h("div", { class: "empty" }, h("p", { class: "empty-title" }, title), ...text.map((line) => h("p", {}, line)));
}

/** An action's type, or a word for an entry without one. */
export function nameAction(action) {
  return action.type ?? { block: "Block hook", upgrade: "Upgrade" }[action.origin] ?? "Action";
}

/** Origins of the kernel's own; any other is the name of one of the app's envelopes. */
const ORIGINS = new Map([
  ["l1", "forced through L1"],
  ["block", "the block itself"],
  ["upgrade", "an announced upgrade"],
  ["signed", "signed"],
]);

/** Where an action came from. */
export function describeOrigin(action) {
  if (action.origin === "signed" && action.forced) return "signed, carried through L1";
  return ORIGINS.get(action.origin) ?? `envelope ${action.origin}${action.forced ? ", carried through L1" : ""}`;
}

/** Whether an action has a sender: the block's own entry has none, nor has what came in an envelope. */
export function hasSender(action) {
  return action.origin === "signed" || action.origin === "l1";
}

/** An action's type and hash, as lists name it. */
export function renderActionName(action) {
  const hash = action.hash ?? action.actionHash;
  return h(
    "a",
    { href: to("action", hash), class: "action-name" },
    h("bdi", {}, nameAction(action)),
    " ",
    renderHash(hash),
  );
}
