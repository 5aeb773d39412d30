// The public API, as any customer would call it. The key stays in this tab.

const STORE = "meetbot-api-key";

export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail || `status ${status}`);
    this.status = status;
    this.problem = problem;
  }
}

export function storedKey() {
  return sessionStorage.getItem(STORE);
}

export function storeKey(key) {
  sessionStorage.setItem(STORE, key.trim());
}

export function forgetKey() {
  sessionStorage.removeItem(STORE);
}

// `meetbot dev` prints an address that ends in #key=…: it never reaches a server's log, and leaves the address bar at once.
// Anybody can send such an address, so it never replaces the key of somebody who is signed in, and in production it is not taken.
export function takeKeyFromAddress() {
  const key = new URLSearchParams(location.hash.slice(1)).get("key");
  if (!key) return;
  history.replaceState(null, "", location.pathname + location.search);
  if ("takesKeyFromAddress" in document.body.dataset && !storedKey()) storeKey(key);
}

export async function call(method, path, body) {
  const headers = { Authorization: `Bearer ${storedKey()}` };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const answer = await fetch(`/v1${path}`, {
    method,
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: AbortSignal.timeout(10000),
  });
  const document = answer.status === 204 ? null : await answer.json().catch(() => ({}));
  if (!answer.ok) throw new ApiError(answer.status, document);
  return document;
}
