// Two comforts; every page works without them. Regions marked `data-live` are fetched again every few seconds, and the first
// visit takes the browser's own time zone.
const SECONDS = 5;
const policy = window.trustedTypes?.createPolicy("fragment", { createHTML: (html) => html });

/** @param {Element} region */
function isInUse(region) {
  return region.contains(document.activeElement) && document.activeElement !== region;
}

/** @param {Document} fresh */
function take(fresh) {
  for (const region of document.querySelectorAll("[data-live]")) {
    const name = CSS.escape(region.getAttribute("data-live") ?? "");
    const other = fresh.querySelector(`[data-live="${name}"]`);
    if (!other || other.innerHTML === region.innerHTML || isInUse(region)) continue;
    for (const open of region.querySelectorAll("details[open][data-keep]")) {
      other.querySelector(`details[data-keep="${CSS.escape(open.getAttribute("data-keep") ?? "")}"]`)?.setAttribute("open", "");
    }
    if (other.innerHTML === region.innerHTML) continue;
    region.replaceChildren(...document.adoptNode(other).childNodes);
  }
}

async function refresh() {
  if (document.hidden || !document.querySelector("[data-live]")) return;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok || answer.redirected) return;
  const html = await answer.text();
  const trusted = /** @type {string} */ (policy ? policy.createHTML(html) : html);
  take(new DOMParser().parseFromString(trusted, "text/html"));
}

function takeZone() {
  const field = document.querySelector("[data-zone]");
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!field || !zone || document.cookie.includes("meetbot_zone=")) return;
  document.cookie = `meetbot_zone=${zone}; path=/console; max-age=31536000; samesite=lax`;
  if (field instanceof HTMLInputElement && field.value !== zone && document.cookie.includes("meetbot_zone=")) location.reload();
}

function repeat() {
  setTimeout(() => refresh().catch(() => undefined).finally(repeat), SECONDS * 1000);
}

document.addEventListener("keydown", (event) => {
  const inField = event.target instanceof Element && event.target.closest("input, textarea, select");
  if (event.key !== "/" || inField || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  /** @type {HTMLInputElement | null} */ (document.querySelector(".search input"))?.focus();
});

// A page that answers a sent form has no address to be fetched from.
if (!document.querySelector("[aria-invalid]") && document.querySelector("[data-live]")) repeat();
takeZone();
