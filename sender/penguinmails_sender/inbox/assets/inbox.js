// The page: a list that follows the server, and a reader. The address bar (#cap_...) says which message is open.
import { $, announce, getJson, remove } from "./dom.js";
import { MessageList } from "./list.js";
import { Reader } from "./reader.js";
import { startKeys } from "./keys.js";
import { emptyState, helpBody } from "./guide.js";

const narrow = matchMedia("(max-width: 760px)");
const list = new MessageList();
const reader = new Reader({ onDelete: askDelete, onBack: back });
let info = null;
let searchTimer = 0;

const current = () => (location.hash.startsWith("#cap_") ? location.hash.slice(1) : null);

// Open a message (or none) by way of the address bar, so that Back works.
function open(id, { focus = true } = {}) {
  reader.focusNext = focus;
  if (id === current()) return show();
  if (id) location.hash = id;
  else {
    history.pushState(null, "", location.pathname);
    show();
  }
}

function back() {
  const wasReading = current() !== null;
  if (wasReading && narrow.matches) open(null);
  list.focusSelected();
}

async function show() {
  const id = current();
  document.body.classList.toggle("reading", id !== null);
  list.select(id);
  const isVacant = id === null && list.isLoaded && list.empty && !list.query;
  document.body.classList.toggle("vacant", isVacant);
  if (id) return reader.show(id);
  reader.clear(isVacant ? emptyState(info) : null);
}

async function reload() {
  await list.load();
  if (current() === null) show();
}

async function askDelete(id) {
  const subject = id ? list.get(id)?.subject || "(no subject)" : "";
  const sure = await ask(id ? "Delete this message?" : "Delete all messages?", id ? subject : "The inbox will be empty.");
  if (!sure) return;
  try {
    await remove(id ? `/api/messages/${id}` : "/api/messages");
  } catch (error) {
    announce(`Could not delete: ${error.message}`);
  }
}

function ask(title, text) {
  const dialog = $("ask-dialog");
  $("ask-title").textContent = title;
  $("ask-text").textContent = text;
  dialog.returnValue = "no";
  dialog.showModal();
  $("ask-yes").focus();
  return new Promise((done) => {
    dialog.addEventListener("close", () => done(dialog.returnValue === "yes"), { once: true });
  });
}

function help() {
  $("help-body").replaceChildren(helpBody(info));
  $("help-dialog").showModal();
}

function live(state, text) {
  $("live").dataset.state = state;
  $("live-text").textContent = text;
}

function follow() {
  const stream = new EventSource("/api/stream");
  stream.addEventListener("open", () => {
    live("on", "Live");
    reload(); // whatever was missed or deleted while the line was down
  });
  stream.addEventListener("error", () => live("off", "Reconnecting"));
  stream.addEventListener("message", (event) => {
    const item = JSON.parse(event.data);
    list.arrived(item);
    if (current() === null) show();
    announce(`New message from ${item.from || "nobody"}: ${item.subject || "no subject"}`);
  });
  stream.addEventListener("deleted", (event) => {
    const { id } = JSON.parse(event.data);
    const next = list.drop(id);
    if (id === current()) open(narrow.matches ? null : next);
    else if (current() === null) show();
  });
  stream.addEventListener("cleared", () => {
    list.clear();
    open(null);
  });
  stream.addEventListener("reload", reload);
  addEventListener("pagehide", () => stream.close());
}

$("search-form").addEventListener("submit", (event) => event.preventDefault());
$("search").addEventListener("input", () => {
  clearTimeout(searchTimer);
  searchTimer = setTimeout(async () => {
    list.query = $("search").value.trim();
    await reload();
    announce($("count").textContent);
  }, 150);
});
$("list").addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  open(link.hash.slice(1)); // also when it is open already: then the focus goes to it
});
$("more").addEventListener("click", () => list.loadMore());
$("clear").addEventListener("click", () => askDelete(null));
$("help").addEventListener("click", help);
addEventListener("hashchange", show);
addEventListener("popstate", show);

startKeys({
  move: (step) => {
    const id = list.move(step);
    if (id && !narrow.matches) open(id, { focus: false });
  },
  back,
  search: () => $("search").select(),
  help,
  remove: () => current() && askDelete(current()),
  tab: (number) => reader.chooseTab(number),
});

try {
  info = await getJson("/api/info");
} catch {
  info = null;
}
follow();
show();
