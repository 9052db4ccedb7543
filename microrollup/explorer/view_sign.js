// An action of the app as a form: filled in, signed by the connected wallet or passkey, submitted, and watched.

import { announce, h, link, makeId, replace, to } from "./dom.js";
import { renderEmpty, renderFacts, renderFullHash, renderStatus } from "./format.js";
import { feed } from "./live.js";
import { RpcError, call, getConfig } from "./rpc.js";
import { SigningError, connection } from "./signer.js";
import { renderSigner } from "./signer_view.js";
import { renderRungs } from "./view_action.js";

const PLAIN = /^(address|bool|string|bytes\d*|u?int\d*)$/;

/** Where the form of an action is; `values` are what its fields begin with. */
export function toForm(action, values = {}) {
  const query = new URLSearchParams(values).toString();
  return `${to("sign", action)}${query ? `?${query}` : ""}`;
}

export async function renderSignPage(context, [name]) {
  const { actions } = await getConfig();
  if (name === undefined) return renderChoice(actions);
  const action = actions.find((each) => each.name === name);
  if (!action) return h("div", {}, h("h1", { tabindex: -1 }, "Not found"), renderEmpty("The app has no such action"));
  const outcome = h("div", {});
  return h(
    "div",
    {},
    h("h1", { tabindex: -1 }, "Sign ", h("bdi", {}, action.name)),
    renderSigner(context),
    renderForm(context, action, outcome),
    outcome,
  );
}

function renderChoice(actions) {
  return h(
    "div",
    {},
    h("h1", { tabindex: -1 }, "Sign an action"),
    actions.length === 0
      ? renderEmpty("Nothing of this app is signed here")
      : h(
          "ul",
          { class: "card field-list" },
          ...actions.map((each) => h("li", {}, link(toForm(each.name), each.name), " ", h("code", {}, each.typeString))),
        ),
  );
}

function renderForm(context, action, outcome) {
  const members = action.types[action.name].filter(({ name }) => name !== "nonce");
  const fields = members.map((member) => renderField(member, context.query.get(member.name)));
  const problem = h("p", { class: "problem", role: "alert" });
  const button = h("button", { type: "submit", class: "primary" }, "Sign and submit");
  let busy = false; // rather than a disabled button, which would lose the focus
  const submit = async (event) => {
    event.preventDefault();
    if (busy) return;
    problem.textContent = "";
    const message = readFields(fields, problem);
    if (message === null) return;
    busy = true;
    button.setAttribute("aria-disabled", "true");
    try {
      const answer = await signAndSubmit(action, message);
      const { card, heading } = renderOutcome(context, answer);
      replace(outcome, card);
      heading.focus();
      announce(`${action.name}: ${answer.status}`);
    } catch (error) {
      problem.textContent = explain(error);
    } finally {
      busy = false;
      button.removeAttribute("aria-disabled");
    }
  };
  return h(
    "form",
    { class: "card action-form", onsubmit: submit, "aria-label": action.name, novalidate: true },
    [...context.query].length > 0 ? h("p", { class: "note" }, "Some values came with the link: read them first.") : null,
    ...fields.map((field) => field.element),
    button,
    problem,
  );
}

function renderField({ name, type }, value) {
  const id = makeId("member");
  const attributes = { id, name, autocomplete: "off", autocapitalize: "off", spellcheck: "false" };
  const isText = type === "bool" || PLAIN.test(type);
  const input =
    type === "bool"
      ? h("select", attributes, ...["false", "true"].map((each) => h("option", { value: each, selected: each === value }, each)))
      : isText
        ? h("input", { ...attributes, type: "text", value: value ?? "" })
        : h("textarea", { ...attributes, rows: 3 }, value ?? "");
  const hint = isText ? type : `${type}, as JSON`;
  const label = h("label", { for: id }, h("bdi", {}, name), " ", h("span", { class: "quiet" }, hint));
  const hidden = h("p", { class: "unseen", role: "alert" });
  const tell = () => {
    const said = nameHidden(input.value);
    if (hidden.textContent !== said) hidden.textContent = said;
  };
  input.addEventListener("input", tell);
  tell();
  return { name, type, input, element: h("div", { class: "control" }, label, input, hidden) };
}

/** What a field does not show of its text: characters that are not seen, or that turn the others around. */
function nameHidden(text) {
  const found = new Set([...text].filter((each) => /[\p{C}\p{Zl}\p{Zp}]/u.test(each) && !/[\t\n]/.test(each)));
  if (found.size === 0) return "";
  const names = [...found].slice(0, 8).map((each) => `U+${each.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`);
  return `The text is not what it looks like: it has ${names.join(", ")}.`;
}

/** The message, or null after a problem was shown: at the first field that cannot be what it should. */
function readFields(fields, problem) {
  const message = {};
  for (const field of fields) {
    try {
      message[field.name] = readValue(field.type, field.input.value);
      field.input.removeAttribute("aria-invalid");
    } catch {
      field.input.setAttribute("aria-invalid", "true");
      field.input.focus();
      problem.textContent = `${field.name} is not ${field.type}.`;
      return null;
    }
  }
  return message;
}

function readValue(type, text) {
  if (type === "string") return text;
  if (!PLAIN.test(type)) return JSON.parse(text);
  const given = text.trim();
  if (type === "bool") return given === "true";
  if (/^u?int/.test(type)) {
    if (!/^-?\d+$/.test(given)) throw new TypeError(type);
    return BigInt(given).toString();
  }
  const digits = type === "address" ? "{40}" : type === "bytes" ? "*" : `{${2 * Number(type.slice(5))}}`;
  if (!new RegExp(`^0x[0-9a-fA-F]${digits}$`).test(given) || given.length % 2) throw new TypeError(type);
  return given.toLowerCase();
}

async function signAndSubmit(action, values) {
  const signer = connection.current;
  if (!signer) throw new SigningError("Connect a wallet or a passkey first.");
  const [{ domain }, { pending }] = await Promise.all([getConfig(), call("getNonce", { sender: signer.sender })]);
  const message = { ...values, nonce: String(pending) };
  const signature = await signer.sign({ domain, types: action.types, primaryType: action.name, message });
  return call("submitAction", { action: { type: action.name, message, signature, sender: signer.sender } });
}

function explain(error) {
  if (error instanceof SigningError) return error.message;
  if (error instanceof RpcError) return `${error.explanation} ${error.data?.detail ?? error.message}`;
  return `This cannot be signed: ${error.message}`;
}

/** What became of it, and how far it is confirmed. */
function renderOutcome(context, answer) {
  const id = makeId("outcome");
  const heading = h("h2", { id, tabindex: -1 }, "Submitted ", renderStatus(answer.status));
  const rungs = h("ol", { class: "rungs", "aria-label": "Confirmation" });
  const show = () => replace(rungs, ...renderRungs(answer, feed.heights));
  context.watch(show);
  show();
  const card = h(
    "section",
    { class: "card", "aria-labelledby": id },
    heading,
    answer.reason ? h("p", { class: "note warn" }, "Reason: ", h("bdi", {}, answer.reason)) : null,
    rungs,
    renderFacts([["action", renderFullHash(answer.actionHash, to("action", answer.actionHash))]]),
  );
  return { card, heading };
}
