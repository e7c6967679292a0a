// Small helpers. Text from mail only ever enters the page through textContent.

export const $ = (id) => document.getElementById(id);

// h("a.row", {href: "#x", "aria-current": "true"}, "text", node) -> element
export function h(spec, attributes = {}, ...children) {
  const [tag, ...classes] = spec.split(".");
  const node = document.createElement(tag);
  if (classes.length) node.className = classes.join(" ");
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child != null && child !== false));
  return node;
}

export async function getJson(url) {
  const response = await fetch(url, { headers: { Accept: "application/json" } });
  const body = await response.json().catch(() => null);
  if (!response.ok) throw new Error(body?.errors?.[0]?.detail ?? body?.detail ?? `HTTP ${response.status}`);
  return body;
}

export async function remove(url) {
  const response = await fetch(url, { method: "DELETE" });
  if (!response.ok && response.status !== 404) throw new Error(`HTTP ${response.status}`);
}

export function announce(text) {
  $("announce").textContent = text;
}

// "Ada Lovelace" of `"Ada Lovelace" <ada@acme.test>, b@acme.test`, else the address.
export function shortName(value) {
  const first = value.match(/^\s*(?:"((?:[^"\\]|\\.)*)"|([^<",]*?))\s*<([^>]*)>/);
  if (!first) return value.trim();
  return (first[1]?.replace(/\\(.)/g, "$1") ?? first[2]).trim() || first[3];
}

const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export function shortTime(iso) {
  const then = new Date(iso);
  return then.toDateString() === new Date().toDateString() ? TIME.format(then) : DAY.format(then);
}

export const fullTime = (iso) => FULL.format(new Date(iso));

export function bytes(count) {
  if (count < 1000) return `${count} B`;
  if (count < 1_000_000) return `${(count / 1000).toFixed(1)} kB`;
  return `${(count / 1_000_000).toFixed(1)} MB`;
}

const WORDS = { pass: "DKIM pass", fail: "DKIM fail", none: "Not signed", permerror: "DKIM error", temperror: "DKIM unknown" };

export function badge(verdict, reason) {
  return h(`span.badge.${verdict}`, { title: reason }, WORDS[verdict] ?? verdict);
}
