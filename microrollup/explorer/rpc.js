// JSON-RPC 2.0 over HTTP, to the place that the page came from.

const ENDPOINT = new URL("./", document.baseURI).href;
const TIMEOUT_MS = 20_000;

const EXPLANATIONS = {
  "-32602": "The node does not accept that.",
  "-32001": "Nothing found.",
  "-32002": "That height is no longer kept. Replaying the log rebuilds older ones.",
  "-32003": "Intake is stopped.",
  "-32004": "The node is at one of its limits; try again in a moment.",
  "-32007": "The app has no answer to that.",
  "-32008": "This node takes actions only from those who have one of its tokens.",
  "-32006": "Too many questions from this address; try again in a moment.",
};

/** An error that the node answered, or that kept it from answering (code 0). */
export class RpcError extends Error {
  constructor(code, message, data) {
    super(message);
    this.code = code;
    this.data = data;
  }

  get isMissing() {
    return this.code === -32001;
  }

  /** A sentence for people. */
  get explanation() {
    return EXPLANATIONS[String(this.code)] ?? (this.code === 0 ? "The node does not answer." : "The node refuses.");
  }
}

export function readError(error) {
  const message = typeof error?.message === "string" ? error.message : "unknown error";
  return new RpcError(Number(error?.code) || -32603, message, error?.data);
}

let lastId = 0;

async function post(body) {
  let response;
  try {
    response = await fetch(ENDPOINT, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      credentials: "omit",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (error) {
    throw new RpcError(0, error.name === "TimeoutError" ? "no answer within 20 seconds" : "no connection");
  }
  try {
    return await response.json();
  } catch {
    throw new RpcError(0, `the answer is not JSON (HTTP ${response.status})`);
  }
}

export function makeRequest(method, params = {}) {
  lastId += 1;
  return { jsonrpc: "2.0", id: lastId, method: `rollup_${method}`, params };
}

/** Call one method (`rollup_` in front is added). Throws an RpcError. */
export async function call(method, params) {
  return ask(makeRequest(method, params));
}

/** Call a method of the app's own, by its full name. Throws an RpcError. */
export async function callApp(method, params) {
  return ask({ ...makeRequest("", params), method });
}

async function ask(request) {
  const answer = await post(request);
  if (answer?.error) throw readError(answer.error);
  return answer.result;
}

/** Call a method for each of several params in one request; null where the node answered with an error. */
export async function callMany(method, manyParams) {
  if (manyParams.length === 0) return [];
  const requests = manyParams.map((params) => makeRequest(method, params));
  const answers = await post(requests);
  if (!Array.isArray(answers)) throw readError(answers?.error);
  const byId = new Map(answers.map((answer) => [answer.id, answer]));
  return requests.map((request) => byId.get(request.id)?.result ?? null);
}

let config;
let pages;

/** The rollup's declaration; asked for once. */
export function getConfig() {
  config ??= call("config").catch((error) => {
    config = undefined;
    throw error;
  });
  return config;
}

const METHOD_NOT_FOUND = -32601;

/** The pages that the app declares, asked for once; none of a node that does not know of such pages. */
export function getPages() {
  pages ??= call("getPages").catch((error) => {
    if (error.code === METHOD_NOT_FOUND) return [];
    pages = undefined;
    throw error;
  });
  return pages;
}
