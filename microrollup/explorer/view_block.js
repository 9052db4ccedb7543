// A block: its header (hashed again here), its actions, and step by step what each of them changed.

import { h, link, replace, to } from "./dom.js";
import {
  count,
  describeOrigin,
  hasSender,
  getLevel,
  renderActionName,
  renderDate,
  renderEmpty,
  renderFacts,
  renderFullHash,
  renderLevel,
  renderStatus,
  renderValue,
} from "./format.js";
import { renderChanges, renderSender } from "./changes.js";
import { feed } from "./live.js";
import { computeBlockHash } from "./proof.js";
import { call } from "./rpc.js";
import { makeStepper } from "./stepper.js";

const PAGE = 50;
const MAX_ACTIONS_AT_ONCE = 2_000;

export async function renderBlockPage(context, [wanted]) {
  const header = await call("getHeader", { height: wanted === "latest" ? wanted : Number(wanted) });
  const { height } = header;
  const level = h("span", {});
  const neighbours = h("nav", { class: "neighbours", "aria-label": "Other blocks" });
  const show = () => {
    replace(level, renderLevel(getLevel(height, feed.heights)));
    const last = feed.heights?.latest ?? height;
    const previous = neighbours.contains(document.activeElement) ? document.activeElement.textContent : null;
    replace(
      neighbours,
      height > 0 ? link(to("block", height - 1), "‹ Previous") : null,
      height < last ? link(to("block", height + 1), "Next ›") : null,
    );
    if (previous) [...neighbours.children].find((a) => a.textContent === previous)?.focus();
  };
  context.watch(show);
  show();
  const page = h(
    "div",
    {},
    h("div", { class: "title-row" }, h("h1", { tabindex: -1 }, `Block ${height.toLocaleString()}`), level, neighbours),
    h("section", { class: "card", "aria-label": "Header" }, renderHeader(header)),
  );
  if (header.actionCount === 0) {
    page.append(
      renderEmpty(
        height === 0 ? "This is the genesis" : "An empty block",
        height === 0 ? "It holds the first state and no actions." : "No actions are in it.",
      ),
    );
    return page;
  }
  const holder = h("div", {});
  page.append(holder);
  const load = async () => {
    const block = await call("getBlock", { height, withChanges: true });
    replace(holder, renderSteps(block, Number(context.query.get("step") ?? 0), context));
  };
  if (header.actionCount <= MAX_ACTIONS_AT_ONCE) await load();
  else
    replace(
      holder,
      h(
        "p",
        {},
        h(
          "button",
          { type: "button", onclick: () => context.guard(load) },
          `Load all ${count(header.actionCount, "action")}`,
        ),
      ),
    );
  return page;
}

function renderHeader(header) {
  const recomputed = computeBlockHash(header);
  const genuine = recomputed === String(header.hash).toLowerCase();
  return h(
    "div",
    {},
    renderFacts([
      [
        "hash",
        [
          renderFullHash(header.hash),
          h(
            "p",
            { class: genuine ? "note good" : "note bad", "data-header": genuine ? "match" : "mismatch" },
            genuine ? "✓ the header's fourteen words hash to this" : `✗ the header hashes to ${recomputed}`,
          ),
        ],
      ],
      ["time", renderDate(header.timestamp)],
      [
        "actions",
        header.actionCount ? `${count(header.actionCount, "action")} from seq ${header.firstSeq} on` : "none",
      ],
      ["state root", renderFullHash(header.stateRoot)],
      ["parent", header.height > 0 ? renderFullHash(header.parentHash, to("block", header.height - 1)) : null],
    ]),
    h(
      "details",
      { class: "more" },
      h("summary", {}, "All words of the header"),
      renderFacts(
        [
          "rollupId",
          "stfId",
          "l1Origin",
          "forcedCount",
          "forcedHash",
          "actionsRoot",
          "receiptsRoot",
          "metadataRoot",
        ].map((name) => [
          name,
          typeof header[name] === "string" && header[name].length === 66
            ? renderFullHash(header[name])
            : renderValue(header[name]),
        ]),
      ),
    ),
  );
}

/** The changes of an action: in the action itself, or in a list beside the actions. */
export function getChanges(block, index) {
  return block.actions[index].changes ?? block.changes?.[index]?.changes ?? block.changes?.[index] ?? null;
}

function renderSteps(block, first, context) {
  const { actions } = block;
  const { height } = block.header;
  const detail = h("div", { class: "step-detail", "aria-live": "polite" });
  const list = h("ol", { class: "step-list" });
  let shownPage = -1;

  const select = (index) => {
    const page = Math.floor(index / PAGE);
    if (page !== shownPage) {
      shownPage = page;
      list.start = page * PAGE + 1;
      replace(
        list,
        ...actions
          .slice(page * PAGE, (page + 1) * PAGE)
          .map((action, offset) => renderRow(action, page * PAGE + offset)),
      );
    }
    for (const row of list.children) {
      const current = Number(row.dataset.index) === index;
      row.firstChild.setAttribute("aria-current", current ? "step" : "false");
      if (current) showInList(list, row);
    }
    replace(detail, ...renderStep(block, index));
    context.setQuery("step", index);
  };
  const renderRow = (action, index) =>
    h(
      "li",
      { "data-index": index },
      h(
        "button",
        { type: "button", onclick: () => stepper.set(index) },
        h("span", { class: "step-seq" }, action.seq),
        h("bdi", { class: "step-type" }, action.type ?? { block: "hook", upgrade: "upgrade" }[action.origin] ?? "forced"),
        renderStatus(action.status),
      ),
    );
  const stepper = makeStepper({
    label: "What each action changed, step by step",
    count: actions.length,
    describe: (step) => `action ${step + 1} of ${actions.length}`,
    onchange: select,
  });
  stepper.set(first);
  return h(
    "section",
    { class: "card", "aria-labelledby": "steps-title" },
    h("h2", { id: "steps-title" }, "Actions"),
    stepper.element,
    h(
      "div",
      { class: "steps" },
      h(
        "div",
        {
          class: "step-list-holder",
          tabindex: actions.length > 8 ? 0 : null,
          role: "group",
          "aria-label": `Actions of block ${height}`,
        },
        list,
      ),
      detail,
    ),
  );
}

/** Scroll the list, not the page. */
function showInList(list, row) {
  const holder = list.parentElement;
  if (!holder) return;
  const [top, bottom] = [row.offsetTop - holder.offsetTop, row.offsetTop - holder.offsetTop + row.offsetHeight];
  if (top < holder.scrollTop) holder.scrollTop = top;
  else if (bottom > holder.scrollTop + holder.clientHeight) holder.scrollTop = bottom - holder.clientHeight;
}

function renderStep(block, index) {
  const action = block.actions[index];
  return [
    h("h3", {}, renderActionName(action), " ", renderStatus(action.status)),
    renderFacts([
      ["seq", action.seq],
      ["sender", hasSender(action) ? renderSender(action.sender) : null],
      ["origin", action.origin === "signed" ? null : describeOrigin(action)],
      ["reason", action.reason ? h("bdi", {}, action.reason) : null],
    ]),
    renderChanges(getChanges(block, index), { height: block.header.height, status: action.status }),
  ];
}
