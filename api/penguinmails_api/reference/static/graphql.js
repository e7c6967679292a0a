"use strict";
// Runs what is in the editor with the test key that was pasted, which stays in this tab's sessionStorage.

const STORE = "penguinmails.test_key";
const form = document.getElementById("explorer");
const key = document.getElementById("key");
const query = document.getElementById("query");
const variables = document.getElementById("variables");
const result = form.querySelector(".result");

function remember(value) {
  try {
    if (value) sessionStorage.setItem(STORE, value);
    else sessionStorage.removeItem(STORE);
  } catch {
    // Storage may be forbidden; the field still holds the key.
  }
}

function checkKey() {
  const value = key.value.trim();
  const wrong = value !== "" && !value.startsWith("pm_test_");
  key.setCustomValidity(wrong ? "This is not a test key: those begin with pm_test_." : "");
  key.setAttribute("aria-invalid", String(wrong));
  remember(wrong ? "" : value);
  return value !== "" && !wrong;
}

function show(text) {
  const pre = document.createElement("pre");
  pre.tabIndex = 0;
  pre.textContent = text;
  result.replaceChildren(pre);
}

async function run(event) {
  event.preventDefault();
  if (!checkKey()) {
    show("Paste a test key (pm_test_...) first.");
    key.focus();
    return;
  }
  let values;
  try {
    values = JSON.parse(variables.value || "{}");
  } catch (error) {
    show(`The variables are not JSON: ${error.message}`);
    variables.focus();
    return;
  }
  show("…");
  try {
    // No cookies: what is tried is the key, never a session that happens to be open.
    const response = await fetch("/graphql", {
      method: "POST",
      credentials: "omit",
      headers: { Authorization: `Bearer ${key.value.trim()}`, "Content-Type": "application/json" },
      body: JSON.stringify({ query: query.value, variables: values }),
    });
    show(`${response.status} ${response.statusText}\n\n${JSON.stringify(await response.json(), null, 2)}`);
  } catch (error) {
    show(`No answer: ${error.message}`);
  }
}

function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) target.open = true;
}

try {
  key.value = sessionStorage.getItem(STORE) || "";
} catch {
  // As above.
}
form.hidden = false;
form.addEventListener("submit", run);
form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run(event);
});
key.addEventListener("input", checkKey);
document.getElementById("forget").addEventListener("click", () => {
  key.value = "";
  checkKey();
  key.focus();
});
window.addEventListener("hashchange", openTarget);
openTarget();
