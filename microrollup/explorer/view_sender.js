// A sender: its nonce, and its newest receipts as far as this page has seen them.

import { h, link, replace, to } from "./dom.js";
import { renderActionName, renderEmpty, renderFacts, renderFullHash, renderStatus, renderValue } from "./format.js";
import { feed } from "./live.js";
import { call } from "./rpc.js";

export async function renderSenderPage(context, [sender]) {
  const facts = h("div", {});
  const receipts = h("div", {});
  const showNonce = ({ next, closed }) =>
    replace(
      facts,
      renderFacts([
        ["address", renderFullHash(sender)],
        ["next nonce", h("strong", { class: "big", "data-nonce": next }, String(next))],
        ["as of the newest block", closed === undefined || closed === next ? null : renderValue(closed)],
      ]),
    );
  showNonce(await call("getNonce", { sender }));
  let newest = -1;
  const show = () => {
    const own = feed.newestReceipts.filter((receipt) => String(receipt.sender).toLowerCase() === sender.toLowerCase());
    replace(
      receipts,
      own.length === 0
        ? renderEmpty("None among the newest receipts", "New ones appear here.")
        : h(
            "ol",
            { class: "feed" },
            ...own.map((receipt) =>
              h(
                "li",
                {},
                h("span", { class: "feed-main" }, renderActionName(receipt), " ", renderStatus(receipt.status)),
                h(
                  "span",
                  { class: "feed-note" },
                  `seq ${receipt.seq} · `,
                  link(to("block", receipt.height), `block ${receipt.height}`),
                ),
              ),
            ),
          ),
    );
    if (own.length > 0 && own[0].seq > newest) {
      if (newest >= 0) call("getNonce", { sender }).then(showNonce, () => {});
      newest = own[0].seq;
    }
  };
  context.watch(show);
  show();
  return h(
    "div",
    {},
    h("h1", { tabindex: -1 }, "Sender"),
    h("section", { class: "card", "aria-label": "Nonce" }, facts),
    h(
      "section",
      { class: "card", "aria-labelledby": "own-title" },
      h("h2", { id: "own-title" }, "Newest receipts"),
      receipts,
    ),
  );
}
