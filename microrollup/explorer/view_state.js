// What a field holds at a key, now or at an earlier height, with its proof under the state root.

import { h, link, makeId, to } from "./dom.js";
import { isHex } from "./bytes.js";
import { renderEmpty, renderFacts, renderFullHash, renderLevel, getLevel, renderValue } from "./format.js";
import { feed } from "./live.js";
import { renderStateProof } from "./proof_view.js";
import { call, getConfig } from "./rpc.js";

export async function renderStatePage(context, [name, key]) {
  const config = await getConfig();
  const field = config.fields.find((candidate) => candidate.name === name);
  const page = h(
    "div",
    {},
    h("h1", { tabindex: -1 }, "State"),
    renderForm(config.fields, { name, key, height: context.query.get("height") }),
  );
  if (name === undefined) {
    page.append(renderFields(config.fields));
    return page;
  }
  if (!field) {
    page.append(
      renderEmpty(
        `No field ${name}`,
        `This rollup has ${config.fields.map((known) => known.name).join(", ")}.`,
      ),
    );
    return page;
  }
  if (field.kind === "map" && (key === undefined || key === "")) return page;
  const params = { field: name };
  if (field.kind === "map") params.key = key;
  const height = context.query.get("height");
  if (height) params.height = Number(height);
  page.append(...(await renderResult(field, params)));
  return page;
}

/** Look up: a field, a key of it, a height. Goes to another address, so that the result can be linked to. */
function renderForm(fields, { name, key, height }) {
  const ids = { field: makeId("field"), key: makeId("key"), height: makeId("height"), hint: makeId("hint") };
  const select = h(
    "select",
    { id: ids.field },
    ...fields.map((field) => h("option", { value: field.name, selected: field.name === name }, field.name)),
  );
  const input = h("input", {
    id: ids.key,
    type: "text",
    value: key ?? "",
    autocomplete: "off",
    spellcheck: "false",
    autocapitalize: "off",
    "aria-describedby": ids.hint,
  });
  const at = h("input", {
    id: ids.height,
    type: "text",
    inputmode: "numeric",
    pattern: "[0-9]*",
    value: height ?? "",
    placeholder: "newest",
    autocomplete: "off",
  });
  const hint = h("p", { id: ids.hint, class: "hint" });
  const adapt = () => {
    const field = fields.find((candidate) => candidate.name === select.value) ?? fields[0];
    input.disabled = field.kind !== "map";
    hint.textContent = field.kind === "map" ? `key: ${describeType(field.keyType)}` : "a single value: it has no key";
  };
  select.addEventListener("change", adapt);
  adapt();
  const submit = (event) => {
    event.preventDefault();
    const target = input.disabled ? to("state", select.value) : to("state", select.value, input.value.trim());
    const wanted = at.value.trim();
    location.hash = wanted ? `${target}?height=${encodeURIComponent(wanted)}` : target;
  };
  return h(
    "form",
    { class: "card lookup", onsubmit: submit, "aria-label": "Look up the state" },
    h("div", { class: "control" }, h("label", { for: ids.field }, "Field"), select),
    h("div", { class: "control grow" }, h("label", { for: ids.key }, "Key"), input, hint),
    h("div", { class: "control" }, h("label", { for: ids.height }, "Height"), at),
    h("button", { type: "submit", class: "primary" }, "Look up"),
  );
}

export function describeType(type) {
  return typeof type === "string" ? type : JSON.stringify(type);
}

function renderFields(fields) {
  return h(
    "section",
    { class: "card", "aria-labelledby": "fields-title" },
    h("h2", { id: "fields-title" }, "Fields"),
    listFields(fields),
  );
}

export function listFields(fields) {
  return h("ul", { class: "field-list" }, ...fields.map(renderField));
}

function renderField(field) {
  const value = describeType(field.valueType);
  return h(
    "li",
    {},
    link(to("state", field.name), field.name),
    " ",
    h("code", {}, field.kind === "map" ? `${describeType(field.keyType)} → ${value}` : value),
    " ",
    h("span", { class: `badge ${field.settled ? "good" : "quiet"}` }, field.settled ? "settles on L1" : "metadata"),
  );
}

async function renderResult(field, params) {
  if (!field.settled) {
    const state = await call("getState", params);
    return [
      renderHeld(state.exists, state.value, null, state.height, params),
      h(
        "p",
        { class: "note" },
        "A metadata field: the block's metadata root commits to all of it, so a single key has no proof.",
      ),
    ];
  }
  const proof = await call("getProof", params);
  const held = renderHeld(proof.exists, proof.stored, proof, proof.height, params);
  return [
    held,
    h("h2", {}, proof.exists ? "Proof that it is there" : "Proof that it is not there"),
    await renderStateProof(proof),
  ];
}

function renderHeld(exists, value, proof, height, params) {
  const deleted = exists && value === null;
  const title = exists ? (deleted ? "Deleted" : "Value") : "Nothing there";
  return h(
    "section",
    { class: "card", "aria-labelledby": "value-title", "data-exists": String(exists) },
    h(
      "div",
      { class: "title-row" },
      h("h2", { id: "value-title" }, title),
      renderLevel(getLevel(height, feed.heights)),
    ),
    exists && !deleted
      ? renderValue(value)
      : h("p", {}, deleted ? "The key was set once and is deleted now." : "This key was never set."),
    h(
      "div",
      { class: "meta" },
      renderFacts([
        [
          "key",
          params.key === undefined ? null : isHex(params.key) ? renderFullHash(params.key) : renderValue(params.key),
        ],
        ["at height", link(to("block", height), height.toLocaleString())],
        ["tree key", proof ? renderFullHash(proof.treeKey) : null],
        ["committed bytes", proof?.exists ? renderValue(proof.value) : null],
      ]),
    ),
  );
}
