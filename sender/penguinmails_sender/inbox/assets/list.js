// The left pane: newest first, one link per message, filled page by page and from the live stream.
import { $, badge, getJson, h, shortName, shortTime } from "./dom.js";

const KEPT_ROWS = 500; // rows kept while messages stream in; older ones come back with "Show older messages"

export class MessageList {
  constructor() {
    this.items = new Map(); // id -> item, newest first
    this.unread = new Set();
    this.selected = null;
    this.query = "";
    this.next = null;
    this.loads = 0;
    this.isLoaded = false;
    this.pending = []; // arrived, not drawn yet
    this.recent = new Map(); // arrived since the last load was asked for: its answer may not know them
    this.gone = new Set(); // deleted since then: its answer may still hold them
    this.title = document.title;
  }

  get empty() {
    return this.items.size === 0;
  }

  get(id) {
    return this.items.get(id);
  }

  url(after) {
    const parameters = new URLSearchParams({ limit: "50" });
    if (this.query) parameters.set("q", this.query);
    if (after) parameters.set("after", after);
    return `/api/messages?${parameters}`;
  }

  async load() {
    const turn = ++this.loads; // a slow answer to an old search must not overwrite a newer one
    let page;
    this.recent.clear();
    this.gone.clear();
    try {
      page = await getJson(this.url());
    } catch (error) {
      $("count").textContent = `The inbox did not answer: ${error.message}`;
      return;
    }
    if (turn !== this.loads) return;
    this.isLoaded = true;
    const known = new Set(page.data.map((item) => item.id));
    const missed = this.query ? [] : [...this.recent.values()].filter((item) => !known.has(item.id)).reverse();
    const items = [...missed, ...page.data].filter((item) => !this.gone.has(item.id));
    this.items = new Map(items.map((item) => [item.id, item]));
    this.next = page.next_cursor;
    this.pending = [];
    const focused = document.activeElement.closest?.("#list li")?.dataset.id;
    $("list").replaceChildren(...items.map((item) => this.row(item)));
    this.count();
    if (focused) $("list").querySelector(`[data-id="${focused}"] a`)?.focus();
  }

  async loadMore() {
    const turn = this.loads;
    const page = await getJson(this.url(this.next)).catch(() => null);
    if (!page || turn !== this.loads) return;
    const fresh = page.data.filter((item) => !this.items.has(item.id));
    for (const item of fresh) this.items.set(item.id, item);
    this.next = page.next_cursor;
    const rows = fresh.map((item) => this.row(item));
    $("list").append(...rows);
    rows[0]?.firstChild.focus();
    this.count();
  }

  // A message from the stream. A burst is drawn once per frame; with a search on, the server decides what fits.
  arrived(item) {
    if (this.items.has(item.id)) return;
    this.unread.add(item.id);
    if (this.query) {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.load(), 200);
      return;
    }
    this.items = new Map([[item.id, item], ...this.items]);
    this.recent.set(item.id, item);
    this.pending.push(item);
    if (this.pending.length === 1) requestAnimationFrame(() => this.flush());
    this.count();
  }

  flush() {
    const fresh = this.pending.filter((item) => this.items.has(item.id)).reverse();
    this.pending = [];
    $("list").prepend(...fresh.map((item) => this.row(item, true)));
    while ($("list").children.length > KEPT_ROWS) {
      const last = $("list").lastElementChild;
      this.items.delete(last.dataset.id);
      last.remove();
      this.next = [...this.items.keys()].at(-1);
    }
    this.count();
  }

  // Remove one; the id of its neighbour, which takes the focus.
  drop(id) {
    this.gone.add(id);
    this.recent.delete(id);
    const ids = [...this.items.keys()];
    const index = ids.indexOf(id);
    if (index < 0) return null;
    this.items.delete(id);
    this.unread.delete(id);
    $("list").querySelector(`[data-id="${id}"]`)?.remove();
    this.count();
    return ids[index + 1] ?? ids[index - 1] ?? null;
  }

  clear() {
    this.loads++; // an answer under way is out of date
    this.isLoaded = true;
    this.recent.clear();
    this.pending = [];
    this.items.clear();
    this.unread.clear();
    this.next = null;
    $("list").replaceChildren();
    this.count();
  }

  row(item, isNew = false) {
    const unread = this.unread.has(item.id);
    const to = item.to || item.recipients.join(", ");
    const link = h(
      "a.row",
      { href: `#${item.id}`, tabindex: "-1", "aria-current": item.id === this.selected && "true" },
      h("span.from", {}, unread && h("span.hidden", {}, "Unread. "), shortName(item.from) || item.envelope_sender || "(no sender)"),
      h("time", { datetime: item.received_at }, shortTime(item.received_at)),
      h("span.subject", {}, item.subject || "(no subject)"),
      h("span.to", {}, "to ", shortName(to) || "nobody"),
      badge(item.dkim.verdict, item.dkim.reason),
    );
    return h(`li${unread ? ".unread" : ""}${isNew ? ".new" : ""}`, { "data-id": item.id }, link);
  }

  count() {
    const number = this.items.size;
    const more = this.next ? "+" : "";
    const noun = number === 1 && !more ? "message" : "messages";
    const found = `${number}${more} ${noun}`;
    $("count").textContent = this.query ? (number ? `${found} found` : `Nothing matches “${this.query}”`) : number ? found : "No messages yet";
    $("more").hidden = !this.next;
    $("clear").disabled = this.empty && !this.query;
    document.title = this.unread.size ? `(${this.unread.size}) ${this.title}` : this.title;
    this.tabStop();
  }

  // One row is in the tab order: the open one, else the first (roving tabindex).
  tabStop() {
    const links = [...$("list").querySelectorAll("a")];
    const stop = links.find((link) => link.getAttribute("aria-current")) ?? links[0];
    for (const link of links) link.tabIndex = link === stop ? 0 : -1;
  }

  select(id) {
    this.selected = id;
    this.unread.delete(id);
    for (const row of $("list").children) {
      const isOpen = row.dataset.id === id;
      const link = row.firstChild;
      if (isOpen) {
        link.setAttribute("aria-current", "true");
        row.classList.remove("unread");
        link.querySelector(".from .hidden")?.remove();
        row.scrollIntoView({ block: "nearest" });
      } else link.removeAttribute("aria-current");
    }
    this.count();
  }

  // Move the focus by `step` rows from the focused or open one; the id it lands on.
  move(step) {
    const links = [...$("list").querySelectorAll("a")];
    if (!links.length) return null;
    const focused = links.indexOf(document.activeElement);
    const from = focused >= 0 ? focused : links.findIndex((link) => link.getAttribute("aria-current"));
    const to = from < 0 ? 0 : Math.min(links.length - 1, Math.max(0, from + step));
    links[to].focus();
    return links[to].hash.slice(1);
  }

  focusSelected() {
    const links = [...$("list").querySelectorAll("a")];
    (links.find((link) => link.tabIndex === 0) ?? $("list")).focus();
  }
}
