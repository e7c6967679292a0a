"use strict";
// "Try it": sends what the form says with the key that was pasted. The key lives in this tab's sessionStorage and goes
// nowhere but to this server; live keys are refused, since a click here would send real mail.

const STORE = "penguinmails.test_key";
const key = document.getElementById("key");

function saved() {
  try {
    return sessionStorage.getItem(STORE) || "";
  } catch {
    return "";
  }
}

function save(value) {
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
  save(wrong ? "" : value);
  return !wrong;
}

function address(form) {
  let path = form.dataset.path;
  const query = new URLSearchParams();
  for (const input of form.querySelectorAll("input[data-in]")) {
    if (input.dataset.in === "path") path = path.replace(`{${input.name}}`, encodeURIComponent(input.value));
    else if (input.dataset.in === "query" && input.value !== "") query.append(input.name, input.value);
  }
  return query.size ? `${path}?${query}` : path;
}

function show(form, text) {
  const result = form.querySelector(".result");
  const pre = document.createElement("pre");
  pre.tabIndex = 0;
  pre.textContent = text;
  result.replaceChildren(pre);
}

async function readable(response) {
  const type = response.headers.get("content-type") || "";
  if (type.includes("json")) return JSON.stringify(await response.json(), null, 2);
  if (type.startsWith("text/")) return await response.text();
  const size = (await response.blob()).size;
  return size ? `(${size} bytes of ${type})` : "";
}

async function send(event) {
  event.preventDefault();
  const form = event.target;
  const isPublic = form.dataset.public === "yes";
  if (!isPublic && (!checkKey() || !key.value.trim())) {
    show(form, "Paste a test key (pm_test_...) at the top of the page first.");
    key.focus();
    key.reportValidity();
    return;
  }
  const headers = {};
  if (!isPublic) headers.Authorization = `Bearer ${key.value.trim()}`;
  const body = form.querySelector("textarea[data-in=body]");
  if (body) headers["Content-Type"] = "application/json";
  if (form.dataset.method === "POST") headers["Idempotency-Key"] = crypto.randomUUID();
  const url = address(form);
  show(form, "…");
  try {
    // No cookies: what is tried is the key, never a session that happens to be open.
    const options = { method: form.dataset.method, headers, body: body ? body.value : undefined, credentials: "omit" };
    const response = await fetch(url, options);
    const lines = [`${form.dataset.method} ${url}`, `${response.status} ${response.statusText}`];
    for (const name of ["request-id", "ratelimit", "retry-after"]) {
      if (response.headers.has(name)) lines.push(`${name}: ${response.headers.get(name)}`);
    }
    show(form, `${lines.join("\n")}\n\n${await readable(response)}`);
  } catch (error) {
    show(form, `No answer: ${error.message}`);
  }
}

key.value = saved();
key.addEventListener("input", checkKey);
key.form.addEventListener("submit", (event) => event.preventDefault());
document.getElementById("forget").addEventListener("click", () => {
  key.value = "";
  checkKey();
  key.focus();
});
for (const form of document.querySelectorAll("form[hidden]")) form.hidden = false;
for (const form of document.querySelectorAll("form.try")) form.addEventListener("submit", send);
