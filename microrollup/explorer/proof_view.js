// What a state proof shows, checked here: the verdict, each check, the tree, and a way to see it fail.

import { fromHex, toHex } from "./bytes.js";
import { h, makeId, replace, to } from "./dom.js";
import { renderFacts, renderFullHash, renderValue, shorten } from "./format.js";
import { ProofError, checkStateProof, foldStateProof } from "./proof.js";
import { call, getConfig } from "./rpc.js";
import { renderTree } from "./tree.js";

const FORMULA = {
  leaf: "keccak256(active ‖ prefix ‖ key ‖ nextPrefix ‖ nextKey ‖ valueHash), 99 bytes",
  node: "keccak256",
};

/** Check a proof against the node's header of its height, and show everything. */
export async function renderStateProof(proof) {
  const [silo, header] = await Promise.all([findSilo(proof?.field), findHeader(proof?.height)]);
  const means = { silo, header, blockHash: header?.hash };
  const body = h("div", { class: "proof-body" });
  const tampering = renderTampering(proof, (altered) => show(altered));
  const show = (current) => replace(body, ...renderChecked(current, proof, means));
  show(proof);
  return h("section", { class: "proof", "aria-label": "Proof" }, body, tampering);
}

async function findSilo(name) {
  const config = await getConfig();
  return config.fields.find((field) => field.settled && field.name === name)?.number;
}

async function findHeader(height) {
  if (!Number.isSafeInteger(height)) return null;
  return call("getHeader", { height }).catch(() => null);
}

function renderChecked(proof, original, means) {
  try {
    const { folded, checks, matches } = checkStateProof(proof, means);
    const rootMatches = folded.root === String(means.header?.stateRoot ?? proof.stateRoot).toLowerCase();
    const says = `${proof.exists ? "key" : "gap above"} ${shorten(proof.leaf.key, 6)} · leaf ${proof.leafIndex}`;
    const altered = proof === original ? new Set() : findAltered(original, folded);
    return [
      renderVerdict(matches, proof, folded),
      h("ul", { class: "checks" }, ...checks.map(renderCheck)),
      renderTree(folded, { leafName: says, rootName: "state root", matches: rootMatches, altered, formula: FORMULA }),
      renderLeaf(proof),
    ];
  } catch (error) {
    if (!(error instanceof ProofError) && !(error instanceof TypeError) && !(error instanceof RangeError)) throw error;
    return [
      h(
        "p",
        { class: "verdict bad", role: "status", "data-verdict": "malformed" },
        h("strong", {}, "No proof: "),
        error.message,
      ),
    ];
  }
}

function renderVerdict(matches, proof, folded) {
  if (!matches) {
    const what = folded.root === proof.stateRoot ? "a check fails" : "the path folds to another root";
    return h(
      "p",
      { class: "verdict bad", role: "status", "data-verdict": "mismatch" },
      h("strong", {}, "✗ Mismatch: "),
      `${what}. This proof proves nothing.`,
    );
  }
  const meaning = proof.exists ? "this key holds this value" : "this key was never set";
  return h(
    "p",
    { class: "verdict good", role: "status", "data-verdict": "match" },
    h("strong", {}, "✓ Match: "),
    `folded again here, the proof leads to the state root of block ${proof.height}; ${meaning}.`,
  );
}

function renderCheck({ passed, label, detail }) {
  const [sign, word, kind] =
    passed === null ? ["–", "not checked", "open"] : passed ? ["✓", "passed", "good"] : ["✗", "failed", "bad"];
  return h(
    "li",
    { class: kind },
    h("span", { class: "sign", "aria-hidden": "true" }, sign),
    h("span", { class: "visually-hidden" }, `${word}: `),
    h("span", {}, h("span", { class: "check-label" }, label), h("span", { class: "check-detail" }, detail)),
  );
}

function renderLeaf(proof) {
  const { leaf } = proof;
  return h(
    "details",
    { class: "more" },
    h("summary", {}, "The leaf and the proof as JSON"),
    renderFacts([
      ["leaf index", renderValue(proof.leafIndex)],
      ["active", renderValue(leaf.active)],
      ["prefix", renderValue(leaf.prefix)],
      ["key", renderFullHash(leaf.key)],
      ["next prefix", renderValue(leaf.nextPrefix)],
      ["next key", renderFullHash(leaf.nextKey)],
      ["value hash", renderFullHash(leaf.valueHash)],
      ["state root", renderFullHash(proof.stateRoot, to("block", proof.height))],
    ]),
    h("pre", { tabindex: 0, "aria-label": "The proof as JSON" }, JSON.stringify(proof, null, 1)),
  );
}

/** Levels at which the way up differs from the original's; -1 for the leaf. */
function findAltered(original, folded) {
  const before = foldStateProof(original);
  const altered = new Set();
  if (before.leafHash !== folded.leafHash) altered.add(-1);
  folded.steps.forEach((step, index) => before.steps[index]?.node !== step.node && altered.add(index));
  return altered;
}

function renderTampering(proof, onchange) {
  const id = makeId("tamper");
  const options = [["none", "nothing: the proof as it came"]];
  if (proof?.leaf) options.push(["leaf", "the leaf's value hash"]);
  (Array.isArray(proof?.siblings) ? proof.siblings : []).forEach((_, level) =>
    options.push([String(level), `sibling ${level}`]),
  );
  if (options.length === 1) return null;
  const select = h("select", { id }, ...options.map(([value, text]) => h("option", { value }, text)));
  select.addEventListener("change", () => onchange(tamper(proof, select.value)));
  return h("div", { class: "tamper" }, h("label", { for: id }, "See it fail: flip one bit of "), select);
}

function tamper(proof, what) {
  if (what === "none") return proof;
  if (what === "leaf") return { ...proof, leaf: { ...proof.leaf, valueHash: flipBit(proof.leaf.valueHash) } };
  const siblings = proof.siblings.map((sibling, level) => (String(level) === what ? flipBit(sibling) : sibling));
  return { ...proof, siblings };
}

function flipBit(hex) {
  const bytes = fromHex(hex);
  bytes[bytes.length - 1] ^= 1;
  return toHex(bytes);
}
