// Comfort only: every page works without it.
"use strict";
for (const form of document.querySelectorAll("form[data-once]")) {
  form.addEventListener("submit", () => {
    for (const button of form.querySelectorAll("button")) button.disabled = true;
  });
}
window.addEventListener("pageshow", (event) => {
  if (event.persisted) for (const button of document.querySelectorAll("button")) button.disabled = false;
});
// A whole family stands for its events; everything stands for all families.
function follow() {
  const all = document.querySelector("[data-all]");
  for (const family of document.querySelectorAll("fieldset[data-family]")) {
    const whole = family.querySelector("[data-whole]");
    if (whole) whole.disabled = Boolean(all && all.checked);
    const covered = Boolean(all && all.checked) || Boolean(whole && whole.checked);
    for (const box of family.querySelectorAll(".pick input")) box.disabled = covered;
    family.classList.toggle("covered", covered);
  }
}
if (document.querySelector("fieldset[data-family]")) {
  document.addEventListener("change", follow);
  follow();
}
const find = document.querySelector("[data-find]");
if (find) {
  find.closest(".search").hidden = false;
  find.addEventListener("keydown", (event) => {
    if (event.key === "Enter") event.preventDefault();
  });
  find.addEventListener("input", () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let any = false;
    for (const family of document.querySelectorAll("[data-family]")) {
      let shown = false;
      for (const item of family.querySelectorAll("[data-event]")) {
        const fits = words.every((word) => item.dataset.event.includes(word));
        item.hidden = !fits;
        shown = shown || fits;
      }
      family.hidden = !shown;
      any = any || shown;
    }
    document.querySelector("[data-none]").hidden = any;
  });
}
function copyButton(text, parent) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      const range = document.createRange();  // frames may not write to the clipboard unless they are let
      range.selectNodeContents(parent.querySelector("code"));
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  parent.append(button);
}
for (const block of document.querySelectorAll(".code, [data-copy]")) copyButton(block.querySelector("code").textContent, block);
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// What is under way shows its result by itself: the page is asked for again, a little less often each time.
async function refresh(tries) {
  const shown = document.getElementById("live");
  if (!shown || !("waiting" in shown.dataset) || tries > 8) return;
  await new Promise((done) => { setTimeout(done, 700 * tries); });
  if (!shown.contains(document.activeElement)) {
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      const fresh = answer.ok && new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live");
      if (fresh) shown.replaceWith(fresh);
    } catch {
      return;  // offline, or a sandboxed frame
    }
  }
  refresh(tries + 1);
}
refresh(1);
