// What one action changed: each key with its value before and after, side by side.

import { h, link, to } from "./dom.js";
import { flatten, renderEmpty, renderFullHash, renderValue } from "./format.js";

/** The changes of an action, or why there are none. `changes` is null where the node no longer keeps them. */
export function renderChanges(changes, { height, status }) {
  if (changes === null || changes === undefined) {
    return renderEmpty("No longer kept", "The node keeps changes for its newest blocks only.");
  }
  if (changes.length === 0) {
    const why =
      status === "executed"
        ? "It was executed and left the state as it was."
        : "It was not executed, so the state stayed as it was; only its nonce is used up.";
    return renderEmpty("Nothing changed", why);
  }
  return h("ul", { class: "changes" }, ...changes.map((change) => renderChange(change, height)));
}

function renderChange(change, height) {
  const kind = isAbsent(change.before) ? "created" : isAbsent(change.after) ? "deleted" : "changed";
  const key = change.key;
  const target = isAbsent(key) ? to("state", change.field) : to("state", change.field, key);
  return h(
    "li",
    { class: `change ${kind}` },
    h(
      "p",
      { class: "change-head" },
      h("span", { class: `badge ${kind}` }, kind),
      " ",
      link(`${target}?height=${height}`, h("bdi", {}, change.field)),
      isAbsent(key) ? null : ["[", h("code", { class: "whole" }, String(key)), "]"],
    ),
    renderDifference(change.before, change.after),
  );
}

const isAbsent = (value) => value === null || value === undefined;

function renderDifference(before, after) {
  const [was, is] = [new Map(flatten(before)), new Map(flatten(after))];
  const paths = [...new Set([...was.keys(), ...is.keys()])];
  const show = (values, path) =>
    values.has(path) ? renderValue(values.get(path)) : h("span", { class: "quiet" }, "–");
  return h(
    "table",
    { class: "difference" },
    h("thead", {}, h("tr", {}, ...["Member", "Before", "After"].map((name) => h("th", { scope: "col" }, name)))),
    h(
      "tbody",
      {},
      ...paths.map((path) => {
        const changed = was.get(path) !== is.get(path);
        return h(
          "tr",
          { class: changed ? "differs" : "same" },
          h("th", { scope: "row" }, path === "" ? "value" : path),
          h("td", { "data-name": "before", class: "before" }, show(was, path)),
          h(
            "td",
            { "data-name": "after", class: "after" },
            changed ? show(is, path) : h("span", { class: "quiet" }, "unchanged"),
          ),
        );
      }),
    ),
  );
}

/** Facts about an action that lists and pages share. */
export function renderSender(sender) {
  return sender ? renderFullHash(sender, to("sender", sender)) : h("span", { class: "quiet" }, "unknown");
}
