// An action: what was signed, what became of it, how far it is confirmed, and the proof that its receipt is in a block.

import { h, link, replace, to } from "./dom.js";
import {
  LEVELS,
  describeLevel,
  describeOrigin,
  hasSender,
  getLevel,
  nameAction,
  renderFacts,
  renderFullHash,
  renderStatus,
  renderValue,
} from "./format.js";
import { renderChanges, renderSender } from "./changes.js";
import { feed } from "./live.js";
import { ProofError, computeBlockHash, foldItemProof } from "./proof.js";
import { call } from "./rpc.js";
import { renderTree } from "./tree.js";
import { getChanges } from "./view_block.js";

const FORMULA = { leaf: "keccak256(0x00 ‖ receipt)", node: "keccak256 of 0x01 and " };

export async function renderActionPage(context, [hash]) {
  const [action, receipt] = await Promise.all([call("getAction", { hash }), call("getReceipt", { hash })]);
  const ladder = h("ol", { class: "rungs", "aria-label": "Confirmation" });
  const details = h("div", {});
  let loaded = false;
  const show = () => {
    replace(ladder, ...renderRungs(receipt, feed.heights));
    if (!loaded && receipt.height <= (feed.heights?.latest ?? -1)) {
      loaded = true;
      context.guard(async () => replace(details, ...(await renderClosed(hash, receipt))));
    }
  };
  context.watch(show);
  show();
  const page = h(
    "div",
    {},
    h(
      "div",
      { class: "title-row" },
      h("h1", { tabindex: -1 }, h("bdi", {}, nameAction(action))),
      renderStatus(receipt.status),
    ),
    ladder,
    h(
      "div",
      { class: "columns even" },
      h(
        "section",
        { class: "card", "aria-labelledby": "action-title" },
        h("h2", { id: "action-title" }, "Action"),
        renderFacts([
          ["hash", renderFullHash(action.hash ?? hash)],
          ["sender", hasSender(action) ? renderSender(action.sender) : null],
          ["origin", describeOrigin(action)],
          ["seq", receipt.seq],
          ["block", link(to("block", receipt.height), receipt.height.toLocaleString())],
          ["signature", action.signature ? renderFullHash(action.signature) : null],
          ["envelope", action.envelope ? renderFullHash(action.envelope.raw) : null],
        ]),
      ),
      h(
        "section",
        { class: "card", "aria-labelledby": "message-title" },
        h("h2", { id: "message-title" }, "Message"),
        action.message ? renderValue(action.message) : h("p", { class: "quiet" }, explainNoMessage(action)),
      ),
    ),
    renderOutcome(receipt),
  );
  if (!loaded)
    replace(
      details,
      h("p", { class: "note" }, "The block is still open: changes and the proof follow when it closes."),
    );
  page.append(details);
  return page;
}

function explainNoMessage(action) {
  if (action.origin === "upgrade") return "None: the state passed to another version of the app.";
  return action.origin === "block" ? "None: the app's hook ran at the beginning of the block." : "It cannot be decoded.";
}

/** What only a closed block has. Either part may be missing without taking the other along. */
async function renderClosed(hash, receipt) {
  const parts = await Promise.allSettled([loadChanges(receipt), renderReceiptProof(hash)]);
  return parts.map((part) =>
    part.status === "fulfilled"
      ? part.value
      : h("p", { class: "note" }, part.reason.explanation ?? String(part.reason.message)),
  );
}

/** The levels as a list, those that are reached marked. */
export function renderRungs(receipt, heights) {
  const failed = receipt.status !== "executed";
  const reached = getLevel(receipt.height, heights);
  const last = LEVELS.findIndex((level) => level.name === reached);
  return LEVELS.map((level, index) => {
    const name = failed && level.name === "C1" ? "C1X" : level.name;
    const done = index <= last;
    return h(
      "li",
      { class: done ? "done" : "open", "data-level": name, title: level.meaning },
      h("span", { class: "rung-level" }, name),
      h("span", {}, failed && name === "C1X" ? receipt.status : describeLevel(name)),
      h("span", { class: "visually-hidden" }, done ? " (reached)" : " (not yet)"),
    );
  });
}

function renderOutcome(receipt) {
  const events = receipt.events ?? [];
  return h(
    "section",
    { class: "card", "aria-labelledby": "outcome-title" },
    h("h2", { id: "outcome-title" }, "Receipt"),
    receipt.reason ? h("p", { class: "note warn" }, "Reason: ", h("bdi", {}, receipt.reason)) : null,
    events.length === 0
      ? h("p", { class: "quiet" }, "No events.")
      : h(
          "ul",
          { class: "events" },
          ...events.map((event) =>
            h("li", {}, h("h3", {}, h("bdi", {}, event.name)), renderValue(event.fields ?? event.data)),
          ),
        ),
  );
}

async function loadChanges(receipt) {
  const header = await call("getHeader", { height: receipt.height });
  const title = h("h2", { id: "changes-title" }, "What it changed");
  const index = receipt.seq - header.firstSeq;
  if (header.actionCount > 2_000) return null;
  const block = await call("getBlock", { height: receipt.height, withChanges: true });
  return h(
    "section",
    { class: "card", "aria-labelledby": "changes-title" },
    title,
    renderChanges(getChanges(block, index), { height: receipt.height, status: receipt.status }),
    h("p", {}, link(`${to("block", receipt.height)}?step=${index}`, "The whole block, step by step")),
  );
}

async function renderReceiptProof(hash) {
  const proof = await call("getReceiptProof", { hash });
  const { header } = proof;
  const title = h("h2", { id: "inclusion-title" }, "Receipt in the block");
  const section = (...children) =>
    h("section", { class: "card", "aria-labelledby": "inclusion-title" }, title, ...children);
  let folded;
  try {
    if (proof.count !== header.actionCount) throw new ProofError("its count is not the header's");
    folded = foldItemProof(proof.receipt, proof.index, proof.count, proof.siblings);
  } catch (error) {
    if (!(error instanceof ProofError)) throw error;
    return section(
      h(
        "p",
        { class: "verdict bad", role: "status", "data-verdict": "malformed" },
        h("strong", {}, "No proof: "),
        error.message,
      ),
    );
  }
  const genuine = computeBlockHash(header) === String(proof.blockHash).toLowerCase();
  const matches = folded.root === String(header.receiptsRoot).toLowerCase();
  const good = genuine && matches;
  const verdict = h(
    "p",
    { class: `verdict ${good ? "good" : "bad"}`, role: "status", "data-verdict": good ? "match" : "mismatch" },
    h("strong", {}, good ? "✓ Match: " : "✗ Mismatch: "),
    good
      ? `receipt ${proof.index + 1} of ${proof.count} in block ${header.height}, whose header hashes to the block's hash.`
      : genuine
        ? "the receipt is not in this block."
        : "the header does not hash to the block's hash.",
  );
  const tree = renderTree(folded, {
    leafName: `receipt ${proof.index + 1} of ${proof.count}`,
    rootName: "receipts root",
    matches,
    formula: FORMULA,
  });
  return section(
    verdict,
    tree,
    h(
      "p",
      { class: "quiet" },
      "The same check offline: save the answer of ",
      h("code", {}, "rollup_getReceiptProof"),
      " and run ",
      h("code", {}, "microrollup check-receipt FILE"),
      ".",
    ),
  );
}
