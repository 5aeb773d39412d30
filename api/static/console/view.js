// Turning resources into elements. Text is only ever set as text.

export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export function badge(text, kind) {
  return element("span", { className: `badge ${kind}` }, text);
}

const USER_KINDS = { active: "good", connecting: "warn", needs_reconnect: "bad", disconnecting: "plain" };
const BOT_KINDS = { completed: "good", recording: "good", in_call: "good", failed: "bad", missed: "bad", cancelled: "plain" };
const PROVIDERS = { google: "Google", microsoft: "Outlook" };
const REASONS = {
  rule_matched: "rule",
  no_rule_matched: "no rule matches",
  no_meeting_url: "no meeting link",
  ended: "is over",
  owner_declined: "declined",
  all_day: "all day",
  cancelled: "cancelled",
  override_record: "you said so",
  override_skip: "you said so",
  access_revoked: "access was lost",
};

export function words(code) {
  return code.replaceAll("_", " ");
}

export function when(text) {
  if (!text) return "–";
  return new Date(text).toLocaleString([], { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
}

export function countdown(text, now = Date.now()) {
  const seconds = Math.round((new Date(text).getTime() - now) / 1000);
  if (seconds <= 0) return "now";
  const parts = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60), seconds % 60];
  return `in ${parts[0] ? `${parts[0]} h ` : ""}${parts[0] || parts[1] ? `${parts[1]} min ` : ""}${parts[2]} s`;
}

export function userCard(user, selected, choose) {
  const state = badge(words(user.state), USER_KINDS[user.state] || "plain");
  const button = element(
    "button",
    { type: "button", "aria-pressed": String(selected), "data-focus": user.id, onclick: () => choose(user.id) },
    element("strong", {}, user.email),
    element("small", {}, `${PROVIDERS[user.provider]} · ${user.customer_user_id}`),
    element("span", {}, state, user.error_code ? ` ${words(user.error_code)}` : ""),
  );
  const again = user.reconnect_url ? element("a", { href: user.reconnect_url }, "Reconnect") : null;
  return element("li", {}, button, again);
}

export function eventRow(event, bot, act) {
  const decision = event.decision;
  const recorded = decision.outcome === "record";
  const why = REASONS[decision.reason] || words(decision.reason);
  return element(
    "tr",
    {},
    element("td", { className: "when" }, when(event.start)),
    element("td", {}, event.title || "(no title)", element("span", { className: "reason" }, link(event))),
    element(
      "td",
      {},
      badge(recorded ? "record" : "skip", recorded ? "good" : "plain"),
      element("span", { className: "reason" }, decision.rule ? `${why}: ${decision.rule}` : why),
      actions(event, act),
    ),
    element("td", {}, ...(event.bot_id && !bot ? ["has a bot"] : botCell(bot))),
  );
}

function link(event) {
  if (!event.meeting_url) return "no meeting link";
  return element("a", { href: event.meeting_url, rel: "noreferrer noopener", target: "_blank" }, words(event.meeting_platform));
}

function actions(event, act) {
  const said = event.override ? event.override.recording : null;
  const button = (recording, label) =>
    element(
      "button",
      {
        type: "button",
        className: "small",
        "aria-pressed": String(said === recording),
        "aria-label": `${label}: ${event.title}`,
        "data-focus": `${event.id}-${recording}`,
        onclick: () => act(event, said === recording ? null : recording),
      },
      said === recording ? `${label} ✓` : label,
    );
  return element("div", { className: "actions" }, button("record", "Record"), button("skip", "Skip"));
}

function botCell(bot) {
  if (!bot) return ["–"];
  const waits = bot.state === "scheduled" ? element("span", { className: "reason", "data-until": bot.dispatch_at }, countdown(bot.dispatch_at)) : null;
  return [badge(words(bot.state), BOT_KINDS[bot.state] || "warn"), waits];
}

export function botRow(bot) {
  const outcome = bot.failure_code ? words(bot.failure_code) : bot.recorded_seconds ? `${bot.recorded_seconds} s recorded` : "";
  return element(
    "tr",
    {},
    element("td", {}, element("small", {}, bot.id)),
    element("td", {}, ...botCell(bot), element("span", { className: "reason" }, outcome)),
    element("td", { className: "when" }, bot.dispatched_at ? when(bot.dispatched_at) : `planned ${when(bot.dispatch_at)}`),
    element("td", { className: "when" }, when(bot.join_at)),
  );
}
