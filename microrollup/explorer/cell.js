// One value of a query's answer, as its column says.

import { h, link, to } from "./dom.js";
import { isHex } from "./bytes.js";
import { formatSpan, renderFullHash, renderHash, renderTime } from "./format.js";

const WEI_DIGITS = 18;
const SHOWN_DIGITS = 6;

/** The token that stands for ether. */
const ETHER = `0x${"00".repeat(20)}`;

/** An element, or null for what the column hides; bytes in full, or in short. */
export function renderCell(column, row, { full = false } = {}) {
  const value = row[column.member];
  if (value === null || value === undefined) return null;
  const word = readWord(column.words, value);
  if (word === "") return null;
  const target = column.page ? to("page", column.page, value) : undefined;
  if (word !== undefined) return target ? link(target, word) : h("bdi", {}, word);
  if (column.form === "plain" && isHex(value) && value.length > 2)
    return full ? renderFullHash(value, target) : renderHash(value, target);
  const shown = renderForm(column, row, value) ?? renderPlain(value);
  return target ? link(target, shown) : shown;
}

function readWord(words, value) {
  return typeof value !== "object" && Object.hasOwn(words, String(value)) ? words[String(value)] : undefined;
}

function renderForm(column, row, value) {
  switch (column.form) {
    case "ether":
      return renderEther(value);
    case "time":
      return renderTime(value);
    case "duration":
      return h("span", {}, formatSpan(Number(value)));
    case "state":
      return h("span", { class: `badge ${column.tones[value] ?? ""}` }, h("bdi", {}, String(value)));
    case "progress":
      return renderProgress(column, row);
    default:
      return column.unit ? renderAmount(value, row[column.unit]) : null;
  }
}

function renderEther(wei) {
  return h("span", { class: "number", title: `${groupDigits(wei)} wei` }, `${formatEther(wei)} ether`);
}

function renderAmount(value, token) {
  return token === ETHER ? renderEther(value) : h("span", { class: "number" }, groupDigits(value));
}

/** So much of so much, in words and as a bar. */
function renderProgress(column, row) {
  const [value, whole] = [row[column.member], row[column.of]];
  const [part, all] = [BigInt(value), BigInt(whole)];
  const [show, unit] = column.unit && row[column.unit] === ETHER ? [formatEther, " ether"] : [groupDigits, ""];
  const text = `${show(value)} of ${readWord(column.words, whole) ?? `${show(whole)}${unit}`}`;
  const share = all > 0n ? Number((part * 1000n) / all) : 0;
  return h(
    "span",
    { class: "share" },
    h("span", { class: "number" }, text),
    h("progress", { max: 1000, value: Math.min(share, 1000), "aria-hidden": "true" }),
  );
}

function renderPlain(value) {
  if (value === "0x") return h("span", { class: "quiet" }, "no bytes");
  if (typeof value === "boolean") return h("span", {}, value ? "yes" : "no");
  if (typeof value === "number") return h("span", { class: "number" }, groupDigits(value));
  if (typeof value === "object") return h("code", { class: "whole" }, JSON.stringify(value));
  if (/^[0-9]{16,78}$/.test(value)) return h("span", { class: "number" }, groupDigits(value));
  return h("bdi", { class: "whole" }, value);
}

function groupDigits(value) {
  return BigInt(value).toLocaleString();
}

/** Wei as ether: six digits after the point, and never nothing for something. */
export function formatEther(wei) {
  const digits = BigInt(wei).toString().padStart(WEI_DIGITS + 1, "0");
  const whole = BigInt(digits.slice(0, -WEI_DIGITS)).toLocaleString();
  const rest = digits.slice(-WEI_DIGITS);
  const shown = rest.slice(0, SHOWN_DIGITS).replace(/0+$/, "");
  if (shown) return `${whole}.${shown}`;
  return whole === "0" && /[1-9]/.test(rest) ? "less than 0.000001" : whole;
}
