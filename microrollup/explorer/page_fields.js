// The fields of an app's page: what a reader fills in or pastes, and the page's queries are asked with.

import { h, makeId } from "./dom.js";

/** A form; `ask` is called with the values by the parameters' names, blanks around them cut off. */
export function renderFields(page, ask) {
  const fields = Object.entries(page.fields).map(([name, title]) => {
    const id = makeId("field");
    const input = h("textarea", { id, name, rows: 3, autocomplete: "off", autocapitalize: "off", spellcheck: "false" });
    return { name, input, element: h("div", { class: "control" }, h("label", { for: id }, title), input) };
  });
  let busy = false; // rather than a disabled button, which would lose the focus
  const submit = async (event) => {
    event.preventDefault();
    const empty = fields.find(({ input }) => input.value.trim() === "");
    if (empty) return empty.input.focus();
    if (busy) return undefined;
    busy = true;
    try {
      await ask(Object.fromEntries(fields.map(({ name, input }) => [name, input.value.trim()])));
    } finally {
      busy = false;
    }
  };
  return h(
    "form",
    { class: "card action-form", onsubmit: submit, "aria-label": page.title, novalidate: true },
    ...fields.map(({ element }) => element),
    h("button", { type: "submit", class: "primary" }, "Show"),
  );
}
