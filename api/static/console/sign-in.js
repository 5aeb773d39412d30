// In development `meetbot dev` prints the console's address with a key in its fragment, which no server sees.
const form = /** @type {HTMLFormElement | null} */ (document.getElementById("sign-in-form"));
const field = /** @type {HTMLInputElement | null} */ (document.getElementById("key"));
const given = new URLSearchParams(location.hash.slice(1)).get("key");
if (form && field && given && !document.getElementById("fault")) {
  history.replaceState(null, "", location.pathname + location.search);
  field.value = given;
  form.submit();
}
