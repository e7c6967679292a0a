// The person in a browser, for clients that are tested from Node: opens the authorization URL with the session's cookie,
// presses a button of the consent page, and gives back where the browser is sent.

export async function consent(url, cookie, decision = "allow") {
  const page = await fetch(url, { headers: { cookie }, redirect: "manual" });
  if (page.status === 303) return new URL(page.headers.get("location"), url);
  const html = await page.text();
  if (page.status !== 200) throw new Error(`authorization endpoint: ${page.status} ${html}`);
  const form = new URLSearchParams({ decision });
  for (const [, name, value] of html.matchAll(/<input type="hidden" name="(interaction)" value="([^"]*)"/g)) form.set(name, value);
  const action = new URL(html.match(/<form method="post" action="(\/oauth2\/consent)"/)[1], url);
  const answer = await fetch(action, { method: "POST", headers: { cookie }, body: form, redirect: "manual" });
  if (answer.status !== 303) throw new Error(`consent: ${answer.status} ${await answer.text()}`);
  return new URL(answer.headers.get("location"), url);
}

export async function approveDevice(issuer, userCode, cookie) {
  const page = await fetch(new URL("/device", issuer), { headers: { cookie } });
  const browser = page.headers.getSetCookie().map((value) => value.split(";")[0]);
  const all = [cookie, ...browser].join("; ");
  const again = await (await fetch(new URL("/device", issuer), { headers: { cookie: all } })).text();
  const token = [...again.matchAll(/name="form_token" value="([0-9a-f]+)"/g)].at(-1)[1];
  const asked = await fetch(new URL("/device", issuer), {
    method: "POST",
    headers: { cookie: all, origin: new URL(issuer).origin },
    body: new URLSearchParams({ form_token: token, user_code: userCode }),
  });
  const html = await asked.text();
  const interaction = html.match(/name="interaction" value="([^"]*)"/)[1];
  const done = await fetch(new URL("/oauth2/consent", issuer), {
    method: "POST",
    headers: { cookie: all },
    body: new URLSearchParams({ interaction, decision: "allow" }),
    redirect: "manual",
  });
  if (done.status !== 303) throw new Error(`device: ${done.status} ${await done.text()}`);
}

// What a promise is refused with: the OAuth error, or the kind of failure that the library found by itself.
export async function refused(work) {
  try {
    await work();
  } catch (error) {
    return error.error ?? error.cause?.[0]?.parameters?.error ?? error.cause?.error ?? error.code ?? String(error);
  }
  return "not refused";
}
