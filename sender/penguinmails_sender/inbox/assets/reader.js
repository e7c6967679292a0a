// The right pane: one message, its DKIM verdict, and its parts in tabs.
import { $, badge, bytes, fullTime, getJson, h } from "./dom.js";

const RAW_SHOWN = 500_000; // characters of source put on the page; the rest is a download away

export class Reader {
  constructor({ onDelete, onBack }) {
    this.onDelete = onDelete;
    this.onBack = onBack;
    this.focusNext = false;
    this.shown = null;
    this.turn = 0;
    this.wanted = null; // the kind of tab the reader chose last, kept from message to message
    this.tabs = [];
  }

  clear(content) {
    this.turn++;
    this.shown = null;
    this.tabs = [];
    const hint = h("div.nothing", {}, h("p", {}, "Choose a message to read it."));
    $("reader").replaceChildren(content ?? hint);
  }

  async show(id) {
    if (id === this.shown) return this.focus();
    const turn = ++this.turn;
    let message;
    try {
      message = await getJson(`/api/messages/${id}`);
    } catch (error) {
      if (turn === this.turn) this.clear(this.problem(error.message));
      return;
    }
    if (turn !== this.turn) return;
    this.shown = id;
    $("reader").replaceChildren(this.head(message), this.dkim(message), ...this.body(message));
    $("reader").scrollTop = 0;
    this.focus();
  }

  focus() {
    if (this.focusNext) $("reader").querySelector("h2")?.focus();
    this.focusNext = false;
  }

  problem(text) {
    return h("div.nothing", {}, h("p", {}, text), h("button.quiet", { type: "button", onclick: this.onBack }, "Back to the list"));
  }

  head(message) {
    const line = (name, value) => value && [h("dt", {}, name), h("dd", {}, value)];
    return h(
      "header.head",
      {},
      h(
        "div.actions",
        {},
        h("button.quiet.back", { type: "button", onclick: this.onBack }, "← Messages"),
        h("a.quiet.button", { href: `/api/messages/${message.id}/raw`, download: `${message.id}.eml` }, "Download"),
        h("button.quiet", { type: "button", onclick: () => this.onDelete(message.id) }, "Delete"),
      ),
      h("h2", { tabindex: "-1" }, message.subject || "(no subject)"),
      h(
        "dl.facts",
        {},
        ...[
          line("From", message.from || "(none)"),
          line("To", message.to || "(none)"),
          line("Received", `${fullTime(message.received_at)} · ${bytes(message.size)}`),
        ].flat().filter(Boolean),
      ),
    );
  }

  dkim(message) {
    const verdict = message.dkim_verdict;
    const signatures = message.dkim.map((one) =>
      h("li", {}, badge(one.verdict, one.reason), h("span", {}, h("b", {}, one.domain || "unknown domain"), one.selector && ` · ${one.selector}`, one.algorithm && ` · ${one.algorithm}`, h("br"), one.reason)),
    );
    const summary = message.dkim.find((one) => one.verdict === "pass") ?? message.dkim[0];
    const text = summary ? `${summary.domain ? summary.domain + ": " : ""}${summary.reason}` : "The message has no DKIM-Signature.";
    if (!signatures.length) return h("p.dkim", {}, badge(verdict, text), " ", text);
    return h("details.dkim", {}, h("summary", {}, badge(verdict, text), h("span.why", {}, text)), h("ul", {}, ...signatures));
  }

  body(message) {
    const files = message.attachments.length;
    const kinds = [
      message.html !== null && ["html", "HTML", () => this.html(message)],
      message.text !== null && ["text", "Text", () => h("pre.text", { tabindex: "0" }, message.text)],
      ["headers", "Headers", () => this.headers(message)],
      ["raw", "Raw", () => this.raw(message)],
      message.links.length > 0 && ["links", `Links (${message.links.length})`, () => this.links(message)],
      ["attachments", files ? `Attachments (${files})` : "Attachments", () => this.attachments(message)],
    ].filter(Boolean);
    const panel = h("div.panel", { role: "tabpanel", id: "panel" });
    this.tabs = kinds.map(([kind, label, make]) => {
      const tab = h("button", { type: "button", role: "tab", id: `tab-${kind}`, "aria-controls": "panel" }, label);
      return { kind, make, tab };
    });
    this.panel = panel;
    const bar = h("div.tabs", { role: "tablist", "aria-label": "Parts of the message" }, ...this.tabs.map((one) => one.tab));
    this.tabs.forEach((one, index) => {
      one.tab.addEventListener("click", () => this.chooseTab(index, true));
      one.tab.addEventListener("keydown", (event) => this.tabKey(event, index));
    });
    const start = this.tabs.findIndex((one) => one.kind === this.wanted);
    this.activate(Math.max(0, start));
    return [bar, panel];
  }

  tabKey(event, index) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const end = { Home: 0, End: this.tabs.length - 1 }[event.key];
    if (step === undefined && end === undefined) return;
    event.preventDefault();
    const to = end ?? (index + step + this.tabs.length) % this.tabs.length;
    this.chooseTab(to, true);
  }

  chooseTab(index, focus = false) {
    if (!this.tabs[index]) return;
    this.wanted = this.tabs[index].kind;
    this.activate(index);
    if (focus) this.tabs[index].tab.focus();
  }

  activate(index) {
    this.tabs.forEach((one, number) => {
      one.tab.setAttribute("aria-selected", String(number === index));
      one.tab.tabIndex = number === index ? 0 : -1;
    });
    const { kind, make } = this.tabs[index];
    this.panel.setAttribute("aria-labelledby", `tab-${kind}`);
    this.panel.dataset.kind = kind;
    this.panel.replaceChildren(make());
  }

  html(message) {
    const frame = h("iframe", {
      sandbox: true,
      src: `/api/messages/${message.id}/html`,
      title: "HTML body of the message",
      referrerpolicy: "no-referrer",
    });
    const phone = h("button.quiet", { type: "button", "aria-pressed": "false" }, "Phone width");
    phone.addEventListener("click", () => {
      const isOn = phone.getAttribute("aria-pressed") !== "true";
      phone.setAttribute("aria-pressed", String(isOn));
      frame.classList.toggle("phone", isOn);
    });
    return h("div.html", {}, h("p.note", {}, h("span", {}, "Scripts, remote images and links are off. Links are in a tab of their own."), phone), frame);
  }

  headers(message) {
    const rows = message.headers.map((one) => h("tr", {}, h("th", { scope: "row" }, one.name), h("td", {}, one.value)));
    const envelope = [
      ["Sender", message.envelope_sender || "<> (null sender)"],
      ["Recipients", message.recipients.join(", ")],
      ["Client", `${message.helo} (${message.remote})${message.tls ? ", TLS" : ""}`],
    ].map(([name, value]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, value)));
    const table = (caption, content) => h("table", {}, h("caption", {}, caption), h("tbody", {}, ...content));
    return h("div.headers", {}, table("SMTP envelope", envelope), table("Header fields", rows));
  }

  raw(message) {
    const source = h("pre.text.source", { tabindex: "0", "aria-busy": "true" }, "Loading");
    fetch(`/api/messages/${message.id}/raw`)
      .then((response) => (response.ok ? response.text() : Promise.reject(new Error(`HTTP ${response.status}`))))
      .then((text) => {
        const cut = text.length > RAW_SHOWN ? "\n\n… cut here; use Download for the whole message" : "";
        source.textContent = text.slice(0, RAW_SHOWN) + cut;
      })
      .catch((error) => (source.textContent = error.message))
      .finally(() => source.removeAttribute("aria-busy"));
    return source;
  }

  links(message) {
    const rows = message.links.map((one) =>
      h("li", {}, h("a", { href: one.url, target: "_blank", rel: "noopener noreferrer" }, one.text), one.text !== one.url && h("span", {}, one.url)),
    );
    return h("ul.files", {}, ...rows);
  }

  attachments(message) {
    if (!message.attachments.length) return h("p.nothing", {}, "This message has no attachments.");
    const rows = message.attachments.map((one) => {
      const name = one.filename || `part ${one.index}`;
      const inline = one.content_id ? " · inline" : "";
      return h(
        "li",
        {},
        h("a", { href: `/api/messages/${message.id}/attachments/${one.index}`, download: true }, name),
        h("span", {}, `${one.content_type} · ${bytes(one.size)}${inline}`),
      );
    });
    return h("ul.files", {}, ...rows);
  }
}
