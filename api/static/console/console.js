import { ApiError, call, forgetKey, storedKey, storeKey, takeKeyFromAddress } from "./api.js";
import { botRow, countdown, eventRow, userCard, when, words } from "./view.js";

const POLL_MILLISECONDS = 2000;
const EXAMPLE = {
  rules: [
    {
      name: "no 1:1s with my manager",
      action: "skip",
      when: { all: [{ one_to_one: true }, { attendee_emails: { any_of: ["$manager_email"] } }] },
    },
    { name: "customers", action: "record", when: { attendee_domains: { any_of: ["customer.com", "customer.test"] } } },
    { name: "internal meetings", action: "record", when: { internal: true } },
  ],
};

const shown = new Map();
let selected = null;
let polling = 0;

const part = (id) => document.getElementById(id);

function notice(text, kind = "plain") {
  const place = part("notice");
  place.textContent = text;
  place.className = `notice ${kind}`;
  place.hidden = !text;
}

// Drawn only when something changed, so that focus, selection and screen readers are left in peace.
function draw(id, data, make) {
  const seen = JSON.stringify(data);
  if (shown.get(id) === seen) return;
  shown.set(id, seen);
  const focused = document.activeElement?.getAttribute("data-focus");
  part(id).replaceChildren(...make());
  if (focused) document.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
}

async function refresh() {
  const users = (await call("GET", "/calendar/users?limit=100")).data;
  const bots = (await call("GET", "/bots?limit=50")).data;
  if (!users.some((user) => user.id === selected)) await choose(users.length ? users[0].id : null);
  part("calendars").hidden = users.length === 0;
  // What only ticks would redraw the list every time.
  const still = users.map((user) => ({ ...user, sync_lag_seconds: null, last_synced_at: null }));
  draw("users", [still, selected], () => users.map((user) => userCard(user, user.id === selected, choose)));
  part("bots-part").hidden = bots.length === 0;
  draw("bots", bots, () => bots.map(botRow));
  const user = users.find((candidate) => candidate.id === selected);
  if (user) await refreshCalendar(user, bots);
}

async function refreshCalendar(user, bots) {
  const from = new Date(Date.now() - 3600000).toISOString();
  const events = (await call("GET", `/calendar/users/${user.id}/events?limit=50&from=${from}`)).data;
  const byId = await botsOf(events, bots);
  if (user.id !== selected) return;
  part("synced").textContent = user.last_synced_at ? `Last synced ${when(user.last_synced_at)}` : "Not synced yet";
  part("no-events").hidden = events.length > 0;
  draw("events", [events, events.map((event) => byId.get(event.bot_id))], () =>
    events.map((event) => eventRow(event, byId.get(event.bot_id), override)),
  );
}

// The newest bots are at hand. Where there are very many, those of the next few meetings are asked for one by one.
async function botsOf(events, bots) {
  const byId = new Map(bots.map((bot) => [bot.id, bot]));
  const missing = new Set(events.map((event) => event.bot_id).filter((id) => id && !byId.has(id)));
  const asked = await Promise.all([...missing].slice(0, 5).map((id) => call("GET", `/bots/${id}`)));
  for (const bot of asked) byId.set(bot.id, bot);
  return byId;
}

function tick() {
  for (const place of document.querySelectorAll("[data-until]")) place.textContent = countdown(place.dataset.until);
}

async function choose(id) {
  selected = id;
  part("one-calendar").hidden = part("rules-part").hidden = id === null;
  if (id !== null) await showRules();
}

async function showRules() {
  const rules = await call("GET", `/calendar/users/${selected}/rules`);
  const empty = rules.version === null;
  const inOrder = rules.rules.map(({ name, action, when: condition }) => ({ name, action, when: condition }));
  part("rules").value = JSON.stringify(empty ? EXAMPLE : { rules: inOrder, all_day: rules.all_day }, null, 2);
  part("rules-source").textContent = empty
    ? "No rules yet, so nothing is recorded. Here is an example to save."
    : `${rules.source === "user" ? "This calendar's own rules" : "The tenant's default rules"}, version ${rules.version}.`;
  part("rules-answer").hidden = true;
}

async function override(event, recording) {
  const path = `/calendar/users/${event.calendar_user_id}/events/${event.id}/override`;
  await attempt(() =>
    recording ? call("PUT", path, { recording, scope: "occurrence" }) : call("DELETE", `${path}?scope=${event.override.scope}`),
  );
}

async function connect(provider) {
  const body = {
    customer_user_id: part("customer-user-id").value,
    redirect_url: `${location.origin}/console`,
    ...(part("with-rules").checked ? { rules: EXAMPLE } : {}),
  };
  await attempt(async () => {
    const answer = await call("POST", `/calendar/connect/${provider}`, body).catch((error) => {
      // Where the console's own address may not be returned to, the plain page at the end does as well.
      if (error.problem?.code !== "invalid_redirect_url") throw error;
      return call("POST", `/calendar/connect/${provider}`, { ...body, redirect_url: undefined });
    });
    location.assign(answer.authorization_url);
  });
}

function answerRules(text, kind) {
  const place = part("rules-answer");
  place.className = `notice ${kind}`;
  place.textContent = text;
  place.hidden = false;
}

async function withRules(send) {
  try {
    await send(JSON.parse(part("rules").value));
  } catch (error) {
    if (error instanceof SyntaxError) answerRules("This is not JSON.", "bad");
    else if (error instanceof ApiError) answerRules(faults(error), "bad");
    else throw error;
  }
}

function faults(error) {
  const told = (error.problem.errors || []).map((fault) => `${fault.path}: ${fault.message}`);
  return told.length ? told.join("; ") : error.message;
}

async function saveRules(document) {
  const saved = await call("PUT", `/calendar/users/${selected}/rules`, document);
  await showRules();
  answerRules(`Saved as version ${saved.version}.`, "good");
}

async function tryRules(document) {
  const { data, summary } = await call("POST", `/calendar/users/${selected}/rules/simulate`, document);
  const flips = data.filter((row) => row.changed).map((row) => `“${row.title}” would be ${row.after.outcome === "record" ? "recorded" : "skipped"}`);
  const counts = `${summary.record} recorded, ${summary.skip} skipped, ${summary.flips} would change.`;
  answerRules(flips.length ? `${counts} ${flips.slice(0, 10).join("; ")}.` : counts, "plain");
}

async function attempt(work) {
  try {
    await work();
    await refresh();
  } catch (error) {
    failed(error);
  }
}

function failed(error) {
  if (error instanceof ApiError && error.status === 401) {
    signOut();
    notice("This API key is not good. Please sign in again.", "bad");
  } else {
    notice(error instanceof ApiError ? faults(error) : "The server does not answer. Trying again …", "bad");
  }
}

async function poll(round) {
  let pause = POLL_MILLISECONDS;
  if (!document.hidden) {
    try {
      await refresh();
      if (part("notice").classList.contains("bad")) notice("");
    } catch (error) {
      if (round !== polling) return;
      failed(error);
      pause *= 3;
    }
  }
  if (round === polling && storedKey()) setTimeout(poll, pause, round);
}

function tellHowConnectingEnded() {
  const told = new URLSearchParams(location.search);
  const status = told.get("status");
  if (!status) return;
  selected = told.get("meetbot_calendar_user_id");
  if (status === "connected") notice("The calendar is connected. Its meetings appear below in a moment.", "good");
  else notice(`The calendar was not connected: ${words(told.get("error") || "error")}.`, "warn");
  history.replaceState(null, "", location.pathname);
}

async function signIn() {
  part("sign-in").hidden = true;
  part("signed-in").hidden = part("sign-out").hidden = false;
  polling += 1;
  try {
    const tenant = await call("GET", "/tenant");
    part("tenant").textContent = `${tenant.name} · ${tenant.region}`;
    if (selected) await choose(selected);
  } catch (error) {
    failed(error);
    if (!storedKey()) return;
  }
  await poll(polling);
}

function signOut() {
  forgetKey();
  polling += 1;
  selected = null;
  shown.clear();
  for (const id of ["signed-in", "calendars", "one-calendar", "rules-part", "bots-part", "sign-out"]) part(id).hidden = true;
  part("tenant").textContent = "";
  part("sign-in").hidden = false;
  part("key").focus();
}

part("sign-in-form").addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  storeKey(part("key").value);
  part("key").value = "";
  notice("");
  signIn();
});
part("connect-form").addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  connect(submitted.submitter?.value || "google");
});
part("sign-out").addEventListener("click", signOut);
part("sync").addEventListener("click", () => attempt(() => call("POST", `/calendar/users/${selected}/sync`)));
part("save-rules").addEventListener("click", () => withRules(saveRules));
part("try-rules").addEventListener("click", () => withRules(tryRules));
setInterval(tick, 1000);

takeKeyFromAddress();
tellHowConnectingEnded();
if (storedKey()) signIn();
else signOut();
