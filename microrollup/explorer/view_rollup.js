// What the rollup declares: ids, the signing domain, actions and fields, limits.

import { h, replace } from "./dom.js";
import { renderFacts, renderFullHash, renderValue } from "./format.js";
import { feed } from "./live.js";
import { getConfig } from "./rpc.js";
import { listFields } from "./view_state.js";

export async function renderRollupPage(context) {
  const config = await getConfig();
  const node = h("div", {});
  const show = () => replace(node, renderNode(feed.status));
  context.watch(show);
  show();
  return h(
    "div",
    {},
    h("h1", { tabindex: -1 }, h("bdi", {}, config.name)),
    h(
      "div",
      { class: "columns even" },
      card(
        "Rollup",
        renderFacts([
          ["version", h("bdi", {}, config.version)],
          ["rollup id", renderFullHash(config.rollupId)],
          ["genesis hash", renderFullHash(config.genesisHash)],
          ["code (stfId)", renderFullHash(config.stfId)],
          ["L1 chain", renderValue(config.l1ChainId)],
          ["inbox", renderValue(config.inbox)],
          ["builder", renderFullHash(config.builder)],
          [
            "verifiers",
            config.verifiers?.length
              ? h(
                  "ul",
                  { class: "plain" },
                  ...config.verifiers.map((verifier) => h("li", {}, renderFullHash(verifier))),
                )
              : "none",
          ],
          ["quorum", renderValue(config.quorum)],
        ]),
      ),
      h("div", { class: "stack" }, card("Node", node), card("Signing domain (EIP-712)", renderValue(config.domain))),
    ),
    card(
      "Actions",
      h(
        "ul",
        { class: "field-list" },
        ...config.actions.map((action) =>
          h(
            "li",
            {},
            h("strong", {}, h("bdi", {}, action.name)),
            " ",
            h("code", { class: "whole" }, action.typeString ?? ""),
          ),
        ),
        ...(config.envelopes ?? []).map((envelope) =>
          h(
            "li",
            {},
            h("strong", {}, h("bdi", {}, envelope.actions.join(", "))),
            " in the envelope ",
            h("code", { class: "whole" }, envelope.name),
          ),
        ),
      ),
    ),
    card("State", listFields(config.fields)),
    card("Limits", renderValue({ blockTime: config.blockTime, blockSize: config.blockSize, ...config.limits })),
  );
}

function renderNode(status) {
  if (!status) return h("p", { class: "quiet" }, "The node has not said how it is.");
  return renderFacts([
    ["intake", h("span", { class: `badge ${status.intake === "open" ? "good" : "bad"}` }, status.intake)],
    ["reason", status.reason ? h("bdi", {}, status.reason) : null],
    ["queue", status.queueDepth === undefined ? null : renderValue(status.queueDepth)],
    ["subscribers", status.subscribers === undefined ? null : renderValue(status.subscribers)],
    ["up for", status.uptime === undefined ? null : `${Math.floor(status.uptime).toLocaleString()} s`],
  ]);
}

function card(title, ...children) {
  return h("section", { class: "card", "aria-label": title }, h("h2", {}, title), ...children);
}
