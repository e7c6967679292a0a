// Passkeys: asks the server for a question, the authenticator for an answer, and sends the answer back.
// The JSON forms of WebAuthn Level 3 do the base64url on both sides; browsers without them keep the buttons hidden.
"use strict";

(() => {
  const able =
    "PublicKeyCredential" in window &&
    "parseRequestOptionsFromJSON" in PublicKeyCredential &&
    "parseCreationOptionsFromJSON" in PublicKeyCredential;
  if (!able) return;

  const token = document.querySelector('meta[name="form-token"]').content;
  const failure = document.querySelector("[data-passkey-error]");

  async function send(url, body) {
    const response = await fetch(url, {
      method: "POST",
      credentials: "same-origin",
      headers: { "Content-Type": "application/json", "X-Form-Token": token },
      body: JSON.stringify(body),
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.detail || "That did not work.");
    return answer;
  }

  const steps = {
    async "sign-in"(button) {
      const options = await send("/login/passkey/options", {});
      const credential = await navigator.credentials.get({
        publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options),
      });
      return send("/login/passkey", { credential: credential.toJSON(), next: button.dataset.next });
    },
    async register() {
      const options = await send("/account/passkeys/options", {});
      const credential = await navigator.credentials.create({
        publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options),
      });
      const name = document.getElementById("passkey-name").value;
      return send("/account/passkeys", { credential: credential.toJSON(), name });
    },
  };

  for (const element of document.querySelectorAll("[data-passkey]")) {
    element.hidden = false;
    const step = steps[element.dataset.passkey];
    if (!step) continue;
    element.addEventListener("click", async () => {
      element.disabled = true;
      failure.hidden = true;
      try {
        const answer = await step(element);
        window.location.assign(answer.location);
      } catch (error) {
        // The browser's own words for "cancelled" and "not allowed" mislead; ours are from the server.
        failure.textContent =
          error.name === "NotAllowedError" || error.name === "AbortError"
            ? "The passkey was not used. Try again, or sign in another way."
            : error.message;
        failure.hidden = false;
        element.disabled = false;
      }
    });
  }
})();
