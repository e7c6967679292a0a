// Keyboard: j/k or arrows, Enter (the focused link does that), / search, ? help, 1-6 tabs, Delete, Escape.

const typing = (node) => node.closest?.("input, textarea, select, [contenteditable]");

export function startKeys(actions) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const key = event.key;
    if (typing(event.target)) {
      if (key === "Escape" && !event.target.value) event.target.blur();
      else if (key === "ArrowDown" || key === "Enter") run(event, () => actions.move(0));
      return;
    }
    const inReader = event.target.closest?.("#reader");
    if (key === "j" || (key === "ArrowDown" && !inReader)) run(event, () => actions.move(1));
    else if (key === "k" || (key === "ArrowUp" && !inReader)) run(event, () => actions.move(-1));
    else if (key === "/") run(event, actions.search);
    else if (key === "?") run(event, actions.help);
    else if (key === "Escape") run(event, actions.back);
    else if (key === "Delete" || key === "#") run(event, actions.remove);
    else if (key >= "1" && key <= "6") run(event, () => actions.tab(Number(key) - 1));
  });
}

function run(event, action) {
  event.preventDefault();
  action();
}
