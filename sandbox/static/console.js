"use strict";

// The page asks for everything once a second and redraws only the parts that changed, so that focus and forms stay.

const STEPS = ["queued", "joining", "in_call", "recording", "finalizing", "completed"];
const PROVIDER_NAMES = { google: "Google", microsoft: "Microsoft" };
const byId = (id) => document.getElementById(id);
const form = byId("new-event");
const drawn = new Map();
let shownPast = new Set();

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// `about` tells a screen reader which of several buttons with the same label this is.
function button(label, action, about) {
  return make("button", { type: "button", textContent: label, ariaLabel: `${label}: ${about}`, onclick: () => attempt(action) });
}

async function call(method, path, body) {
  const answer = await fetch(path, {
    method,
    headers: body === undefined ? {} : { "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: AbortSignal.timeout(10000),
  });
  const text = await answer.text();
  const content = text ? JSON.parse(text) : null;
  if (!answer.ok) {
    const detail = content && content.detail;
    throw new Error(typeof detail === "string" ? detail : JSON.stringify(detail) || `status ${answer.status}`);
  }
  return content;
}

function say(text, problem = false) {
  const line = byId("message");
  line.textContent = text;
  line.classList.toggle("problem", problem);
}

async function attempt(action) {
  try {
    const done = await action();
    if (typeof done === "string") say(done);
    await refresh();
  } catch (error) {
    say(`That did not work: ${error.message}`, true);
  }
}

// Redraw a part only when its data changed, and give the focus back afterwards.
function draw(id, data, render) {
  const key = JSON.stringify(data);
  if (drawn.get(id) === key) return;
  drawn.set(id, key);
  const host = byId(id);
  const focused = host.contains(document.activeElement) ? document.activeElement.dataset.focus : null;
  host.replaceChildren(...render());
  if (focused) {
    const again = [...host.querySelectorAll("[data-focus]")].find((element) => element.dataset.focus === focused);
    if (again) again.focus();
  }
}

const dayFormat = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short" });
const timeFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const clockFormat = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

function when(event, now) {
  const start = new Date(event.start), end = new Date(event.end);
  const day = dayFormat.format(start);
  if (event.all_day) return [day, "all day"];
  return [day, `${timeFormat.format(start)}–${timeFormat.format(end)}`, ...nearness(start, end, now)];
}

function nearness(start, end, now) {
  const minutes = Math.ceil((start - now) / 60000);
  if (minutes > 90 || end <= now) return [];
  return [minutes > 0 ? `in ${minutes} min` : "running"];
}

function eventPath(event, verb = "") {
  const occurrence = event.original_start ? `?original_start=${encodeURIComponent(event.original_start)}` : "";
  return `/control/events/${event.key}${verb}${occurrence}`;
}

function shiftButton(event, minutes) {
  const label = `${minutes > 0 ? "+" : "−"}${Math.abs(minutes)} min`;
  return button(label, async () => {
    await call("PATCH", eventPath(event), { shift_minutes: minutes });
    return `Moved “${event.title}” by ${label}.`;
  }, event.title);
}

function answerButton(account, event, answer, label) {
  return button(label, async () => {
    await call("POST", `/control/events/${event.key}/respond`, {
      email: account.email, answer, original_start: event.original_start,
    });
    return `${account.name} ${answer} “${event.title}”.`;
  }, `${event.title}, as ${account.name}`);
}

function eventButtons(account, event) {
  if (event.cancelled) {
    return event.is_organizer ? [button("Restore", async () => {
      await call("POST", eventPath(event, "/restore"));
      return `Restored “${event.title}”.`;
    }, event.title)] : [];
  }
  if (event.is_organizer) {
    return [
      ...(event.all_day ? [] : [-5, 5, 30].map((minutes) => shiftButton(event, minutes))),
      button("Cancel", async () => {
        await call("DELETE", eventPath(event));
        return `Cancelled “${event.title}”${event.original_start ? " (this occurrence)" : ""}.`;
      }, event.title),
    ];
  }
  return [
    event.answer !== "accepted" ? answerButton(account, event, "accepted", "Accept") : null,
    event.answer !== "declined" ? answerButton(account, event, "declined", "Decline") : null,
  ].filter(Boolean);
}

function tag(text, kind = "") {
  return make("span", { className: `tag ${kind}`, textContent: text });
}

function eventRow(account, event, now) {
  const buttons = eventButtons(account, event);
  buttons.forEach((each, index) => { each.dataset.focus = `${account.email} ${event.key} ${event.original_start} ${index}`; });
  const tags = [
    event.cancelled ? tag("cancelled", "bad") : null,
    event.recurring ? tag("repeats") : null,
    !event.is_organizer && event.answer ? tag(event.answer === "needsAction" ? "not answered" : event.answer, event.answer === "declined" ? "bad" : event.answer === "accepted" ? "good" : "") : null,
  ].filter(Boolean);
  const people = event.is_organizer ? event.attendees : [event.organizer];
  const past = new Date(event.end) <= now;
  return make("li", { className: `event${event.cancelled ? " cancelled" : ""}${past ? " past" : ""}` },
    make("time", { dateTime: event.start }, ...when(event, now).map((line) => make("span", { textContent: line }))),
    make("div", {},
      make("strong", { textContent: event.title }), " ", ...tags.flatMap((each) => [each, " "]),
      people.length ? make("p", { className: "detail", textContent: `${event.is_organizer ? "with" : "by"} ${people.join(", ")}` }) : null,
      event.meeting_url ? make("p", { className: "detail", textContent: shortened(event.meeting_url) }) : null,
      buttons.length ? make("p", { className: "row" }, ...buttons) : null,
    ),
  );
}

function shortened(url) {
  return url.length > 60 ? `${url.slice(0, 57)}…` : url;
}

function person(account, now) {
  const near = account.events.slice(0, 5), later = account.events.slice(5);
  const rows = (events) => make("ul", { className: "events" }, ...events.map((event) => eventRow(account, event, now)));
  const more = make("details", { className: "more", open: shownPast.has(account.email) },
    make("summary", { textContent: `${later.length} more within a week` }), rows(later));
  more.addEventListener("toggle", () => (more.open ? shownPast.add(account.email) : shownPast.delete(account.email)));
  const revoke = button("Revoke consent", async () => {
    await call("POST", `/control/accounts/${encodeURIComponent(account.email)}/revoke`);
    return `${account.name} revoked their consent.`;
  }, account.name);
  revoke.dataset.focus = `${account.email} revoke`;
  return make("section", { className: "person", ariaLabel: account.name },
    make("h3", {}, account.name, make("small", { textContent: account.email }), tag(PROVIDER_NAMES[account.provider]),
      account.connected ? tag("connected", "good") : tag("not connected"), account.connected ? revoke : null),
    account.events.length ? rows(near) : make("p", { className: "empty", textContent: "Nothing within a week." }),
    later.length ? more : null,
  );
}

function jobRow(job) {
  const reached = STEPS.indexOf(job.status);
  const broken = job.status === "failed" || job.status === "cancelled";
  const passed = new Set(job.steps.map((step) => step.status));
  const kind = job.status === "completed" ? "good" : job.status === "failed" ? "bad" : "warn";
  const facts = [
    job.recordedSeconds ? `${job.recordedSeconds} s recorded` : null,
    job.failure_code,
    job.status === "queued" ? `joins ${clockFormat.format(new Date(job.joinAt))}` : null,
  ].filter(Boolean);
  return make("article", { className: "job" },
    make("strong", { textContent: job.title || job.displayName }), " ", tag(job.status, kind),
    make("div", { className: "steps", role: "img", ariaLabel: `Step ${Math.max(reached, 0) + 1} of ${STEPS.length}` },
      ...STEPS.map((step) => make("i", { className: passed.has(step) ? "done" : broken ? "bad" : "", title: step }))),
    make("p", { className: "soft", textContent: facts.join(" · ") || shortened(job.meetingUrl) }),
  );
}

function deliveryRow(delivery) {
  const kind = delivery.state === "delivered" ? "good" : delivery.state === "dead" ? "bad" : "warn";
  const answer = delivery.answer === null ? delivery.state : `${delivery.answer}${delivery.attempts > 1 ? `, ${delivery.attempts} tries` : ""}`;
  return make("li", { className: "delivery" },
    make("span", { textContent: `${delivery.event.replace("job.", "")} · ${delivery.status}` }), tag(answer, kind));
}

function drawPeopleChoices(accounts) {
  const emails = accounts.map((account) => account.email);
  if (drawn.get("choices") === emails.join()) return;
  drawn.set("choices", emails.join());
  const owner = form.elements.owner, chosen = owner.value;
  owner.replaceChildren(...accounts.map((account) => make("option", { value: account.email, textContent: `${account.name} (${PROVIDER_NAMES[account.provider]})` })));
  if (emails.includes(chosen)) owner.value = chosen;
  const legend = make("legend", { textContent: "Guests" });
  byId("guests").replaceChildren(legend, ...accounts.map((account) =>
    make("label", {}, make("input", { type: "checkbox", name: "guest", value: account.email }), account.email)));
  withoutOwner();
}

function withoutOwner() {
  for (const box of form.querySelectorAll("input[name=guest]")) {
    const isOwner = box.value === form.elements.owner.value;
    box.disabled = isOwner;
    if (isOwner) box.checked = false;
  }
}

let failing = false;

async function refresh() {
  let state;
  try {
    state = await call("GET", "/control/overview");
  } catch {
    failing = true;
    say("The sandbox does not answer; trying again.", true);
    return;
  }
  if (failing) say("");
  failing = false;
  const now = new Date(state.clock.now);
  byId("now").textContent = clockFormat.format(now);
  byId("now").dateTime = state.clock.now;
  const ahead = Math.round(state.clock.offset_seconds);
  byId("clock-note").textContent = state.clock.frozen ? "frozen" : ahead ? `${Math.abs(ahead)} s ${ahead > 0 ? "ahead of" : "behind"} real time` : "real time";
  byId("freeze").setAttribute("aria-pressed", String(state.clock.frozen));
  drawPeopleChoices(state.accounts);
  const minute = Math.floor(now / 60000);
  draw("calendars", [state.accounts, minute], () => state.accounts.map((account) => person(account, now)));
  draw("jobs", state.jobs, () => state.jobs.length ? state.jobs.map(jobRow) : [make("p", { className: "empty", textContent: "No bot yet." })]);
  draw("deliveries", state.deliveries, () => state.deliveries.length
    ? [make("ul", { className: "plain" }, ...state.deliveries.slice(0, 12).map(deliveryRow))]
    : [make("p", { className: "empty", textContent: "None yet." })]);
}

async function prefillLink() {
  const platform = form.elements.platform.value;
  form.elements.link.value = platform ? (await call("GET", `/control/links/${platform}`)).url : "";
}

async function createMeeting() {
  const fields = form.elements;
  const guests = [...form.querySelectorAll("input[name=guest]:checked")].map((box) => box.value);
  const others = fields.others.value.split(",").map((text) => text.trim()).filter(Boolean);
  await call("POST", `/control/accounts/${encodeURIComponent(fields.owner.value)}/events`, {
    title: fields.title.value,
    starts_in_minutes: Number(fields.starts.value),
    duration_minutes: Number(fields.minutes.value),
    meeting_url: fields.link.value || null,
    attendees: [...guests, ...others],
    recurrence: fields.repeats.value ? [fields.repeats.value] : [],
  });
  const title = fields.title.value;
  await prefillLink();
  return `Created “${title}”.`;
}

async function poll() {
  if (!document.hidden) await refresh();
  setTimeout(poll, 1000);
}

form.addEventListener("submit", (event) => { event.preventDefault(); attempt(createMeeting); });
form.elements.platform.addEventListener("change", () => attempt(prefillLink));
form.elements.owner.addEventListener("change", withoutOwner);
for (const each of document.querySelectorAll("[data-clock]")) {
  each.addEventListener("click", () => attempt(() => call("POST", "/control/clock", { advance_seconds: Number(each.dataset.clock) })));
}
byId("freeze").addEventListener("click", (event) => {
  const frozen = event.currentTarget.getAttribute("aria-pressed") !== "true";
  attempt(() => call("POST", "/control/clock", { frozen }));
});
byId("real-time").addEventListener("click", () => attempt(() => call("POST", "/control/clock", { offset_seconds: 0 })));
attempt(prefillLink);
poll();
