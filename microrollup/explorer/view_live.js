// The first page: how far the rollup is, and what happens now.

import { announce, h, link, replace, s, to } from "./dom.js";
import {
  LEVELS,
  count,
  getLevel,
  renderActionName,
  renderEmpty,
  renderHash,
  renderLevel,
  renderStatus,
  renderTime,
} from "./format.js";
import { feed } from "./live.js";

const ROWS = 14;
const CONFIRMATION_ROWS = 6;
const RUNGS = [
  ["latest", "C1"],
  ["verified", "C2"],
  ["available", "C3A"],
  ["settled", "C3B"],
];

export async function renderLivePage(context) {
  const ladder = h("ol", { class: "ladder" });
  const strip = h("div", { class: "strip-holder" });
  const blocks = h("div", {});
  const receipts = h("div", {});
  const confirmations = h("div", {});
  const pause = h("button", { type: "button", class: "pause", "aria-pressed": "false" }, "Pause");
  let paused = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    replace(pause, paused ? "Resume" : "Pause");
    announce(paused ? "Updates are paused" : "Updates go on");
    show();
  });
  const show = () => {
    if (paused) return;
    replace(ladder, ...renderLadder(feed.heights));
    replace(strip, renderStrip(feed.newestBlocks.slice(0, 40).reverse(), feed.heights));
    keepFocus(blocks, () => replace(blocks, renderBlocks(feed.newestBlocks.slice(0, ROWS), feed.heights)));
    keepFocus(receipts, () => replace(receipts, renderReceipts(feed.newestReceipts.slice(0, ROWS))));
    keepFocus(confirmations, () =>
      replace(confirmations, renderConfirmations(feed.confirmations.slice(0, CONFIRMATION_ROWS))),
    );
  };
  context.watch(show);
  show();
  return h(
    "div",
    {},
    h("div", { class: "title-row" }, h("h1", { tabindex: -1 }, "Live"), pause),
    h("section", { "aria-label": "How far each confirmation level is" }, ladder, strip),
    h(
      "div",
      { class: "columns" },
      h(
        "div",
        { class: "stack" },
        h(
          "section",
          { class: "card", "aria-labelledby": "blocks-title" },
          h("h2", { id: "blocks-title" }, "Blocks"),
          blocks,
        ),
        h(
          "section",
          { class: "card", "aria-labelledby": "confirmations-title" },
          h("h2", { id: "confirmations-title" }, "Confirmations"),
          confirmations,
        ),
      ),
      h(
        "section",
        { class: "card", "aria-labelledby": "receipts-title" },
        h("h2", { id: "receipts-title" }, "Receipts"),
        receipts,
      ),
    ),
  );
}

/** Redraw a list without taking the focus from the link that somebody stands on. */
function keepFocus(container, draw) {
  const href = container.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  draw();
  if (href)
    [...container.querySelectorAll("a")].find((a) => a.getAttribute("href") === href)?.focus({ preventScroll: true });
}

function renderLadder(heights) {
  return RUNGS.map(([name, level]) => {
    const height = heights?.[name];
    const known = Number.isSafeInteger(height) && height >= 0;
    const behind = known && name !== "latest" ? heights.latest - height : 0;
    const label = LEVELS.find((rung) => rung.name === level);
    const invalid = name === "latest" && height >= (heights?.invalidFrom ?? Infinity);
    return h(
      "li",
      { "data-level": invalid ? "C2X" : level, title: label.meaning },
      h(
        "span",
        { class: "rung-name" },
        name === "latest" ? "latest block" : name,
        h("span", { class: "rung-level" }, invalid ? "C2X" : level),
      ),
      known
        ? h("a", { class: "rung-height", href: to("block", height) }, height.toLocaleString())
        : h("span", { class: "rung-height quiet" }, "–"),
      h(
        "span",
        { class: "rung-note" },
        name === "latest"
          ? invalid
            ? "found invalid"
            : "executed"
          : known
            ? behind
              ? `${count(behind, "block")} behind`
              : "up to date"
            : "none yet",
      ),
    );
  });
}

/** The newest blocks as bars: as high as they have actions, in the colour of their level. The table says the same. */
function renderStrip(blocks, heights) {
  if (blocks.length < 2) return null;
  const [width, height, slots] = [800, 56, 40];
  const most = Math.max(1, ...blocks.map((block) => block.actionCount));
  const bars = blocks.map((block, index) => {
    const size = Math.max(3, Math.sqrt(block.actionCount / most) * (height - 4));
    const x = width - (blocks.length - index) * (width / slots);
    const attributes = {
      x: x + 1.5,
      y: height - size,
      width: width / slots - 3,
      height: size,
      rx: 2,
      "data-level": getLevel(block.height, heights),
    };
    return s("rect", attributes, s("title", {}, `Block ${block.height}: ${count(block.actionCount, "action")}`));
  });
  return s(
    "svg",
    {
      viewBox: `0 0 ${width} ${height}`,
      preserveAspectRatio: "none",
      class: "strip",
      role: "img",
      "aria-label": `Actions in the newest ${blocks.length} blocks, at most ${most} in one`,
    },
    ...bars,
  );
}

function renderBlocks(blocks, heights) {
  if (blocks.length === 0)
    return renderEmpty("No blocks yet", "The first one appears here as soon as an action arrives.");
  return h(
    "table",
    { class: "rows" },
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        ...["Height", "Time", "Actions", "State root", "Level"].map((name) => h("th", { scope: "col" }, name)),
      ),
    ),
    h(
      "tbody",
      {},
      ...blocks.map((block) =>
        h(
          "tr",
          { "data-height": block.height },
          h("th", { scope: "row" }, link(to("block", block.height), block.height.toLocaleString())),
          h("td", { "data-name": "Time" }, renderTime(block.timestamp)),
          h("td", { "data-name": "Actions", class: "number" }, Number(block.actionCount).toLocaleString()),
          h("td", { "data-name": "State root" }, renderHash(block.stateRoot)),
          h("td", { "data-name": "Level" }, renderLevel(getLevel(block.height, heights))),
        ),
      ),
    ),
  );
}

function renderReceipts(receipts) {
  if (receipts.length === 0) return renderEmpty("No receipts yet");
  const note = feed.isSampling
    ? h("p", { class: "note" }, "They come too fast to show each one: these are the newest of a recent block.")
    : null;
  return [
    note,
    h(
      "ol",
      { class: "feed" },
      ...receipts.map((receipt) =>
        h(
          "li",
          { "data-seq": receipt.seq },
          h("span", { class: "feed-main" }, renderActionName(receipt), " ", renderStatus(receipt.status)),
          h(
            "span",
            { class: "feed-note" },
            `seq ${receipt.seq} · `,
            link(to("block", receipt.height), `block ${receipt.height}`),
            receipt.reason ? [" · ", h("bdi", {}, receipt.reason)] : null,
          ),
        ),
      ),
    ),
  ];
}

function renderConfirmations(confirmations) {
  if (confirmations.length === 0) return renderEmpty("Nothing confirmed since this page was opened");
  return h(
    "ol",
    { class: "feed" },
    ...confirmations.map((confirmation) =>
      h(
        "li",
        {},
        h(
          "span",
          { class: "feed-main" },
          h(
            "span",
            {},
            link(to("block", confirmation.height), `Block ${confirmation.height}`),
            " ",
            h("span", { class: "feed-note" }, renderTime(confirmation.at)),
          ),
          renderLevel(confirmation.level),
        ),
      ),
    ),
  );
}
