// A form that is answered once: after the first click its buttons rest. Without this script a second click is refused
// by the server.
for (const form of document.querySelectorAll("form[data-once]")) {
  form.addEventListener("submit", () => {
    // Later: the value of the button that was pressed still has to be sent.
    setTimeout(() => form.querySelectorAll("button").forEach((button) => { button.disabled = true; }), 0);
  });
  // Back in history: the page as it was before the click.
  addEventListener("pageshow", () => form.querySelectorAll("button").forEach((button) => { button.disabled = false; }));
}
