// A proof from elsewhere (`microrollup prove --json`), pasted and checked here.

import { h, makeId, replace } from "./dom.js";
import { renderEmpty } from "./format.js";
import { renderStateProof } from "./proof_view.js";

const MAX_CHARACTERS = 64 * 1024;

export async function renderCheckPage(context) {
  const id = makeId("proof");
  const area = h("textarea", {
    id,
    rows: 10,
    spellcheck: "false",
    autocomplete: "off",
    autocapitalize: "off",
    "aria-describedby": `${id}-hint`,
  });
  const result = h("div", {});
  const submit = (event) => {
    event.preventDefault();
    context.guard(async () => replace(result, await check(area.value)));
  };
  return h(
    "div",
    {},
    h("h1", { tabindex: -1 }, "Check a proof"),
    h(
      "form",
      { class: "card", onsubmit: submit },
      h("label", { for: id }, "Proof as JSON"),
      area,
      h(
        "p",
        { id: `${id}-hint`, class: "hint" },
        "As ",
        h("code", {}, "microrollup prove --json"),
        " and ",
        h("code", {}, "rollup_getProof"),
        " give it. It is folded in this browser; the node is asked only for the block's header.",
      ),
      h("button", { type: "submit", class: "primary" }, "Check"),
    ),
    result,
  );
}

async function check(text) {
  if (text.length > MAX_CHARACTERS) return renderEmpty("Too long for a proof");
  let proof;
  try {
    proof = JSON.parse(text);
  } catch {
    return h(
      "p",
      { class: "verdict bad", role: "status", "data-verdict": "malformed" },
      h("strong", {}, "No proof: "),
      "that is not JSON.",
    );
  }
  return renderStateProof(proof?.result ?? proof);
}
