// What a newcomer reads: how to send the first mail, the keys, the recipients that fail on purpose.
import { h } from "./dom.js";

function python(info) {
  return `import smtplib
from email.message import EmailMessage

mail = EmailMessage()
mail["From"] = "me@acme.test"
mail["To"] = "you@example.test"
mail["Subject"] = "First light"
mail.set_content("It works.")
with smtplib.SMTP("${info.smtp_host}", ${info.smtp_port}) as smtp:
    smtp.send_message(mail)`;
}

function curl(info) {
  return `curl ${info.api_url}/v1/emails \\
  -H "Authorization: Bearer $PENGUINMAILS_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{"from": "me@acme.test", "to": ["you@example.test"],
       "subject": "First light", "text": "It works."}'`;
}

function example(label, code) {
  const copy = h("button.quiet.copy", { type: "button" }, "Copy");
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(code);
      copy.textContent = "Copied";
    } catch {
      copy.textContent = "Select and copy";
    }
    setTimeout(() => (copy.textContent = "Copy"), 2000);
  });
  return h("figure.example", {}, h("figcaption", {}, h("span", {}, label), copy), h("pre", { tabindex: "0" }, code));
}

function examples(info) {
  const list = [];
  if (info?.api_url) list.push(example("With the API", curl(info)));
  if (info?.smtp_port) list.push(example("With Python, over SMTP", python(info)));
  return list;
}

export function emptyState(info) {
  return h(
    "section.empty",
    {},
    h("img", { src: "/assets/penguin.svg", alt: "", width: "72", height: "72" }),
    h("h2", {}, "Nothing here yet"),
    h("p", {}, "Mail you send appears here at once. It stays on this machine; nothing is delivered to anyone."),
    info?.smtp_port ? h("p", {}, "SMTP server: ", h("code", {}, `${info.smtp_host}:${info.smtp_port}`)) : null,
    ...examples(info),
  );
}

const KEYS = [
  [["j", "↓"], "next message"],
  [["k", "↑"], "previous message"],
  [["Enter"], "open the message"],
  [["/"], "search"],
  [["1", "–", "6"], "choose a tab"],
  [["Delete"], "delete the message"],
  [["Esc"], "back to the list"],
  [["?"], "this help"],
];

export function helpBody(info) {
  const keys = KEYS.map(([names, meaning]) => {
    const caps = names.map((name) => (name === "–" ? "–" : h("kbd", {}, name)));
    return h("tr", {}, h("th", { scope: "row" }, ...caps), h("td", {}, meaning));
  });
  const magic = (info?.magic_recipients ?? []).map((one) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, ...one.local_parts.map((part) => h("code", {}, `${part}@`))),
      h("td", {}, h("code", {}, one.reply), h("br"), one.meaning),
    ),
  );
  const limits = info && `The newest ${info.max_messages.toLocaleString()} messages are kept, up to ${Math.round(info.max_bytes / 1_048_576)} MiB.`;
  return h(
    "div",
    {},
    h("h3", {}, "Keyboard"),
    h("table.keys", {}, h("tbody", {}, ...keys)),
    h("h3", {}, "Recipients that fail on purpose"),
    h("p", {}, "Send to one of these names at any domain to get the reply. A tag (bounce+1@) is fine."),
    h("table.magic", {}, h("tbody", {}, ...magic)),
    h("h3", {}, "Sending"),
    h("p", {}, "Mail is kept here and delivered to nobody. ", limits),
    ...examples(info),
  );
}
