// The page's frame: addresses after `#`, the connection's state, the banner, and which view is shown.

import { announce, h, link, replace, to } from "./dom.js";
import { refreshTimes, renderEmpty } from "./format.js";
import { feed } from "./live.js";
import { RpcError, getConfig, getPages } from "./rpc.js";
import { resolveSearch } from "./search.js";
import { renderActionPage } from "./view_action.js";
import { renderBlockPage } from "./view_block.js";
import { renderCheckPage } from "./view_check.js";
import { renderLivePage } from "./view_live.js";
import { renderAppPage } from "./view_page.js";
import { renderRollupPage } from "./view_rollup.js";
import { renderSenderPage } from "./view_sender.js";
import { renderSignPage } from "./view_sign.js";
import { renderStatePage } from "./view_state.js";

const VIEWS = {
  "": ["Live", renderLivePage],
  block: ["Block", renderBlockPage],
  action: ["Action", renderActionPage],
  state: ["State", renderStatePage],
  sender: ["Sender", renderSenderPage],
  check: ["Check a proof", renderCheckPage],
  rollup: ["Rollup", renderRollupPage],
  page: ["Page", renderAppPage],
  sign: ["Sign an action", renderSignPage],
};

const CONNECTION_WORDS = { connecting: "connecting", live: "live", polling: "polling", offline: "offline" };

const main = document.getElementById("main");
const banner = document.getElementById("banner");
let current = { stop: () => {} };

/** What a view is given: the address's query, and ways to watch the feed for as long as the view is shown. */
class Context {
  #watchers = [];
  #leaving = new AbortController();

  constructor(query, path) {
    this.query = query;
    this.path = path;
  }

  watch(show) {
    feed.addEventListener("change", show);
    this.#watchers.push(show);
  }

  /** Hear of something's changes for as long as the view is shown. */
  listen(target, hear) {
    target.addEventListener("change", hear, { signal: this.#leaving.signal });
  }

  stop() {
    this.#leaving.abort();
    for (const show of this.#watchers) feed.removeEventListener("change", show);
    this.#watchers = [];
  }

  /** Note something in the address without a new entry in the history. */
  setQuery(name, value) {
    if (current !== this) return;
    this.query.set(name, value);
    history.replaceState(null, "", `#${this.path}?${this.query}`);
  }

  /** Run something that may fail, and show how. */
  async guard(work) {
    try {
      await work();
    } catch (error) {
      main.append(renderFailure(error));
    }
  }
}

function readAddress() {
  const [path, query = ""] = location.hash.slice(1).split("?");
  let parts;
  try {
    parts = path.split("/").filter(Boolean).map(decodeURIComponent);
  } catch {
    parts = ["unreadable"];
  }
  return { path: path || "/", parts, query: new URLSearchParams(query) };
}

async function show({ focus = true } = {}) {
  const {
    path,
    parts: [name = "", ...rest],
    query,
  } = readAddress();
  const [title, render] = VIEWS[name] ?? ["Not found", renderNotFound];
  current.stop();
  const context = new Context(query, path);
  current = context;
  markNavigation(name, rest[0]);
  main.setAttribute("aria-busy", "true");
  let page;
  try {
    page = await render(context, rest);
  } catch (error) {
    page = h("div", {}, h("h1", { tabindex: -1 }, title), renderFailure(error));
  }
  if (current !== context) return;
  replace(main, page);
  main.removeAttribute("aria-busy");
  const heading = main.querySelector("h1");
  document.title = [heading?.textContent ?? title, document.body.dataset.rollup].filter(Boolean).join(" · ");
  if (focus) {
    heading?.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
}

async function renderNotFound() {
  return h(
    "div",
    {},
    h("h1", { tabindex: -1 }, "Not found"),
    renderEmpty("There is no such page", link("#/", "Go to the newest blocks")),
  );
}

function renderFailure(error) {
  if (!(error instanceof RpcError)) {
    console.error(error);
    return h(
      "div",
      { class: "failure", role: "alert" },
      h("p", { class: "failure-title" }, "This page could not show what it got."),
      h("p", {}, h("bdi", {}, String(error.message ?? error))),
    );
  }
  const detail = typeof error.data?.detail === "string" ? `: ${error.data.detail}` : "";
  return h(
    "div",
    { class: error.isMissing ? "failure mild" : "failure", role: "alert", "data-code": error.code },
    h("p", { class: "failure-title" }, error.explanation),
    h("p", {}, h("bdi", {}, `${error.message}${detail}`)),
    h("p", {}, h("button", { type: "button", onclick: () => show() }, "Try again")),
  );
}

/** The menu's entry of a view; a page about one thing belongs to the entry whose look-up leads to it. */
function markNavigation(name, page) {
  for (const anchor of document.querySelectorAll("nav.pages a")) {
    const own = anchor.dataset.page;
    if (own === undefined ? anchor.dataset.view === name : name === "page" && [own, anchor.dataset.finds].includes(page)) anchor.setAttribute("aria-current", "page");
    else anchor.removeAttribute("aria-current");
  }
}

function showConnection() {
  const pill = document.getElementById("connection");
  pill.dataset.state = feed.connection;
  pill.querySelector("span:last-child").textContent = CONNECTION_WORDS[feed.connection];
  showBanner();
}

let bannerShown = "";

/** What everybody should know first. Replaced only when it changes, as it is an alert. */
function showBanner() {
  const stopped = feed.status?.intake === "stopped";
  const key = `${stopped ? `stopped: ${feed.status.reason}` : ""}|${feed.connection}`;
  if (key === bannerShown) return;
  bannerShown = key;
  const notices = [];
  if (stopped) {
    notices.push(
      h(
        "div",
        { class: "notice bad", "data-notice": "stopped" },
        h("strong", {}, "Intake is stopped. "),
        "The node takes no new actions; what is acknowledged stays in its log.",
        ...renderStop(feed.status),
      ),
    );
  }
  if (feed.connection === "polling") {
    notices.push(
      h(
        "div",
        { class: "notice warn", "data-notice": "polling" },
        "No live connection: asking every few seconds instead, and trying to reconnect. ",
        h("button", { type: "button", onclick: () => feed.reconnect() }, "Reconnect now"),
      ),
    );
  }
  if (feed.connection === "offline") {
    notices.push(
      h(
        "div",
        { class: "notice bad", "data-notice": "offline" },
        h("strong", {}, "The node does not answer. "),
        "What is shown is as old as its times say. ",
        h("button", { type: "button", onclick: () => feed.reconnect() }, "Try again"),
      ),
    );
  }
  replace(banner, ...notices);
}

/** Why intake stopped: the divergence, if a verifier found one, and the node's own words. */
function renderStop({ reason, divergence }) {
  return [
    divergence
      ? h(
          "p",
          {},
          "A verifier finds another ",
          h("code", {}, divergence.field),
          " in ",
          link(to("block", divergence.height), `block ${divergence.height}`),
          Number.isSafeInteger(divergence.seq) ? `, seq ${divergence.seq}` : "",
          ": that block and all after it are invalid (C2X).",
        )
      : null,
    reason ? h("p", {}, h("bdi", {}, reason)) : null,
  ];
}

async function search(event) {
  event.preventDefault();
  const input = document.getElementById("search");
  const problem = document.getElementById("search-problem");
  problem.textContent = "";
  try {
    const target = await resolveSearch(input.value);
    if (target === null) {
      problem.textContent = "That is not a height, hash, address or key of this rollup.";
      input.setAttribute("aria-invalid", "true");
      return;
    }
    input.removeAttribute("aria-invalid");
    if (location.hash === target) show();
    else location.hash = target;
  } catch (error) {
    problem.textContent =
      error instanceof RpcError ? `${error.explanation} ${error.message}` : "That cannot be looked up.";
  }
}

/** The app's own pages come into the menu, those that are about one thing excepted. */
async function showPages() {
  try {
    const rollup = document.querySelector("nav.pages a[data-view=rollup]");
    for (const page of (await getPages()).filter((each) => each.parameter === null || each.ofSigner))
      rollup.before(h("a", { href: to("page", page.name), "data-page": page.name, "data-finds": page.finds }, page.title));
  } catch {
    setTimeout(showPages, 3_000);
    return;
  }
  const [name = "", page] = readAddress().parts;
  markNavigation(name, page);
}

async function showName() {
  try {
    const { name } = await getConfig();
    document.body.dataset.rollup = name;
    document.getElementById("rollup-name").textContent = name;
    if (!document.title.endsWith(name)) document.title = `${document.title} · ${name}`;
  } catch {
    setTimeout(showName, 3_000);
  }
}

document.getElementById("search-form").addEventListener("submit", search);
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
  main.scrollIntoView();
});
addEventListener("hashchange", () => show());
addEventListener("keydown", (event) => {
  const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName ?? "");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    document.getElementById("search").focus();
  }
});
feed.addEventListener("connection", () => {
  showConnection();
  announce(`Connection: ${CONNECTION_WORDS[feed.connection]}`);
});
feed.addEventListener("change", showBanner);
setInterval(refreshTimes, 1_000);
showName();
showConnection();
await Promise.all([feed.start(), showPages(), show({ focus: false })]);
document.documentElement.dataset.ready = "true";
