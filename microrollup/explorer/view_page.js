// A page that the app declares: its queries as facts and tables, all of one block.

import { announce, h, link, makeId, replace, to } from "./dom.js";
import { renderCell } from "./cell.js";
import { renderEmpty, renderFacts } from "./format.js";
import { feed } from "./live.js";
import { RpcError, call, callApp, getPages } from "./rpc.js";
import { connection } from "./signer.js";
import { renderFields } from "./page_fields.js";
import { renderSigner } from "./signer_view.js";
import { toForm } from "./view_sign.js";

export async function renderAppPage(context, [name, value]) {
  const pages = await getPages();
  const page = pages.find((candidate) => candidate.name === name);
  if (!page) {
    return h("div", {}, h("h1", { tabindex: -1 }, "Not found"), renderEmpty("The app has no such page"));
  }
  const found = pages.find((candidate) => candidate.name === (page.parameter === null ? page.finds : page.name));
  const body = h("div", {});
  const stamp = h("p", { class: "stamp" });
  const wantsFields = Object.keys(page.fields).length > 0;
  let filled = wantsFields ? null : {};
  const root = h(
    "div",
    {},
    h("h1", { tabindex: -1 }, page.title),
    page.summary ? h("p", { class: "lead" }, page.summary) : null,
    page.ofSigner && value ? renderStranger(value) : null,
    page.ofSigner && !value ? renderSigner(context, () => context.guard(() => load())) : null,
    page.ofSigner && page.acts.length > 0 ? h("p", { class: "acts" }, ...renderActs(page.acts)) : null,
    found && !page.ofSigner ? renderLookup(found, value) : null,
    wantsFields
      ? renderFields(page, async (values) => {
          filled = values;
          replace(body); // answers to other values go at once
          await context.guard(() => load());
        })
      : null,
    stamp,
    body,
  );
  const about = () => value ?? (page.ofSigner ? connection.current?.sender : undefined);
  let asked = 0;
  const load = async () => {
    const number = ++asked;
    const subject = about();
    if ((page.parameter !== null && !subject) || filled === null) {
      context.shown = undefined;
      delete stamp.dataset.key;
      replace(stamp);
      replace(body);
      return;
    }
    const { latest } = feed.heights ?? (await call("height"));
    const known = { ...filled, ...(page.parameter === null ? {} : { [page.parameter]: subject }), height: latest };
    const parts = await loadParts(page, known);
    if (number !== asked) return; // somebody else is connected, or other values are filled in: their answer comes
    replace(body, ...parts);
    if (page.parts.every((part) => !part.parameters.includes("height"))) return;
    showStamp(stamp, latest, latest, load);
    context.shown = latest;
  };
  context.watch(() => {
    const latest = feed.heights?.latest;
    if (context.shown !== undefined && latest > context.shown) showStamp(stamp, context.shown, latest, load);
  });
  await load();
  return root;
}

/** Said first: a link may show somebody else's accounts to who takes them for his own. */
function renderStranger(sender) {
  return h(
    "p",
    { class: "note warn" },
    "This is about ",
    h("bdi", { class: "whole" }, sender),
    ", who came with the link, and not about who is connected here.",
  );
}

/** Which block is shown; and a button for a newer one: nothing changes while somebody reads. */
function showStamp(stamp, shown, latest, load) {
  const refresh = async (event) => {
    event.target.disabled = true;
    try {
      await load();
      announce(`Block ${shown} is replaced by a newer one`);
    } catch (error) {
      event.target.disabled = false;
      announce(String(error.message ?? error));
    }
  };
  const key = `${shown}/${latest > shown}`;
  if (stamp.dataset.key === key) return;
  stamp.dataset.key = key;
  replace(
    stamp,
    "As of ",
    link(to("block", shown), `block ${shown.toLocaleString()}`),
    latest > shown ? h("button", { type: "button", onclick: refresh }, "Show the newest") : null,
  );
}

function renderLookup(page, value) {
  const id = makeId("lookup");
  const input = h("input", {
    id,
    type: "text",
    value: value ?? "",
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
  });
  const submit = (event) => {
    event.preventDefault();
    const wanted = input.value.trim();
    if (wanted) location.hash = to("page", page.name, wanted);
  };
  const label = page.title.toLowerCase() === page.parameter ? page.title : `${page.title}: ${page.parameter}`;
  return h(
    "form",
    { class: "card lookup single", onsubmit: submit, "aria-label": `Look up: ${page.title}` },
    h("div", { class: "control grow" }, h("label", { for: id }, label), input),
    h("button", { type: "submit", class: "primary" }, "Look up"),
  );
}

async function loadParts(page, known) {
  const select = (part) => Object.fromEntries(part.parameters.map((name) => [name, known[name]]));
  const loaded = await Promise.all(
    page.parts.map((part) =>
      callApp(part.method, select(part)).then(
        (answer) => ({ part, answer }),
        (error) => ({ part, error }),
      ),
    ),
  );
  const isAbout = page.parameter !== null || Object.keys(page.fields).length > 0;
  const empty = loaded.filter(({ part, answer }) => isAbout && answer !== undefined && isEmpty(part, answer));
  return [
    ...loaded
      .filter((each) => !empty.includes(each))
      .map(({ part, answer, error }) =>
        error ? renderFailedPart(part, error) : renderPart(part, answer, (after) => callApp(part.method, { ...select(part), after })),
      ),
    empty.length > 0
      ? h("p", { class: "note" }, `Nothing under: ${empty.map(({ part }) => part.title).join(", ")}.`)
      : null,
  ];
}

function isEmpty(part, answer) {
  if (answer === null) return true;
  return part.kind !== "one" && getRows(part, answer).length === 0;
}

function getRows(part, answer) {
  return part.kind === "pages" ? answer.items : answer;
}

function renderFailedPart(part, error) {
  if (!(error instanceof RpcError)) throw error;
  const detail = typeof error.data?.detail === "string" ? error.data.detail : error.message;
  return renderCard(
    part,
    h(
      "div",
      { class: error.data?.code === "rejected" ? "failure mild" : "failure", role: "alert", "data-code": error.code },
      h("p", { class: "failure-title" }, error.data?.code === "rejected" ? "Nothing found" : error.explanation),
      h("p", {}, h("bdi", {}, detail)),
    ),
  );
}

function renderCard(part, ...children) {
  const id = makeId("part");
  return h(
    "section",
    { class: "card", "aria-labelledby": id, "data-method": part.method },
    h("h2", { id }, part.title),
    ...children,
  );
}

function renderPart(part, answer, ask) {
  if (isEmpty(part, answer)) return renderCard(part, renderEmpty("Nothing yet"));
  if (part.kind === "one") {
    const facts = part.columns.map((column) => [column.title, renderCell(column, answer, { full: true })]);
    const acts = part.acts.length > 0 ? h("p", { class: "acts" }, ...renderActs(part.acts, answer)) : null;
    return renderCard(part, renderFacts(facts), acts);
  }
  return renderCard(part, ...renderSheet(part, answer, ask));
}

/** A table; on a narrow screen each of its rows is a small list of its own. */
function renderSheet(part, answer, ask) {
  const body = h("tbody", {});
  const append = (rows) => {
    for (const row of rows) body.append(renderRow(part, row));
  };
  append(getRows(part, answer));
  const table = h(
    "table",
    { class: "sheet" },
    h(
      "thead",
      {},
      h("tr", {}, ...part.columns.map((column) => h("th", { scope: "col", class: classOf(column) }, column.title)),
        part.acts.length > 0 ? h("th", { scope: "col" }, "actions") : null,
      ),
    ),
    body,
  );
  const more = h("p", { class: "sheet-more" });
  const offer = (next) => {
    if (next === null || next === undefined) return replace(more);
    const button = h("button", { type: "button" }, "Show more");
    button.addEventListener("click", async () => {
      button.disabled = true;
      try {
        const page = await ask(next);
        const first = body.rows.length;
        append(page.items);
        offer(page.next);
        announce(`${page.items.length} more`);
        const row = body.rows[first];
        (row?.querySelector("a") ?? row?.cells[0])?.focus({ preventScroll: true });
      } catch (error) {
        button.disabled = false;
        announce(String(error.message ?? error));
      }
    });
    return replace(more, button);
  };
  if (part.kind === "pages") offer(answer.next);
  return [h("div", { class: "sheet-holder" }, table), more];
}

/** Buttons that lead to the forms of actions, which begin with values of the row. */
function renderActs(acts, row = {}) {
  return acts.map((act) => {
    const all = Object.entries(act.fills).map(([member, source]) => [member, row[source]]);
    const values = all.filter(([, value]) => value !== null && value !== undefined);
    return h("a", { class: "button", href: toForm(act.action, values) }, act.title);
  });
}

function classOf(column) {
  return column.form === "ether" ? "number" : null;
}

function renderRow({ columns, acts }, row) {
  return h(
    "tr",
    {},
    ...columns.map((column, place) => {
      const shown = renderCell(column, row);
      const attributes = { "data-name": column.title, class: classOf(column), "data-empty": shown === null };
      const cell = shown ?? h("span", { class: "quiet" }, "–");
      return place === 0
        ? h("th", { ...attributes, scope: "row", tabindex: -1 }, cell)
        : h("td", attributes, cell);
    }),
    acts.length > 0
      ? h("td", { "data-name": "actions" }, h("div", { class: "acts" }, ...renderActs(acts, row)))
      : null,
  );
}
