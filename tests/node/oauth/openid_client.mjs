// openid-client, unmodified, through every flow. Reads {issuer, api, cookie, app, publicApp} from standard input and
// prints what it saw as one JSON object.
import * as client from "openid-client";
import { readFileSync } from "node:fs";
import { approveDevice, consent, refused } from "./browser.mjs";

const { issuer, cookie, app, publicApp, redirect } = JSON.parse(readFileSync(0, "utf8"));
const insecure = { execute: [client.allowInsecureRequests] };
const seen = {};
const config = await client.discovery(new URL(issuer), app.client_id, app.client_secret, undefined, insecure);
const basic = await client.discovery(new URL(issuer), app.client_id, undefined, client.ClientSecretBasic(app.client_secret), insecure);
const bare = await client.discovery(new URL(issuer), publicApp.client_id, undefined, client.None(), insecure);
client.enableNonRepudiationChecks(config);

async function code(configuration, extra = {}, checks = {}) {
  const verifier = client.randomPKCECodeVerifier();
  const state = client.randomState();
  const nonce = client.randomNonce();
  const parameters = {
    redirect_uri: redirect, scope: "openid email emails:read", state, nonce,
    code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256", ...extra,
  };
  const url = checks.par
    ? await client.buildAuthorizationUrlWithPAR(configuration, parameters)
    : client.buildAuthorizationUrl(configuration, parameters);
  const back = await consent(url, cookie);
  return { back, checks: { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce } };
}

const api = (token, path = "/v1/emails") => client.fetchProtectedResource(config, token, new URL(path, issuer), "GET").then((r) => r.status);

for (const [name, configuration] of [["post", config], ["basic", basic], ["public", bare]]) {
  const { back, checks } = await code(configuration);
  const token = await client.authorizationCodeGrant(configuration, back, checks);
  const claims = token.claims();
  const who = await client.fetchUserInfo(configuration, token.access_token, claims.sub);
  const next = await client.refreshTokenGrant(configuration, token.refresh_token);
  seen[`code ${name}`] = {
    email: claims.email, userinfo: who.email, status: await api(token.access_token),
    rotated: next.refresh_token !== token.refresh_token, scope: next.scope,
    replay: await refused(() => client.authorizationCodeGrant(configuration, back, checks)),
    family: await refused(() => client.refreshTokenGrant(configuration, next.refresh_token)),
  };
}

{
  const { back, checks } = await code(config, {}, { par: true });
  seen.par = (await client.authorizationCodeGrant(config, back, checks)).token_type;
}
{
  const own = await client.clientCredentialsGrant(config, { scope: "emails:read", resource: `${issuer}/v1` });
  seen.client = { scope: own.scope, status: await api(own.access_token) };
  const told = await client.tokenIntrospection(config, own.access_token);
  await client.tokenRevocation(config, own.access_token);
  const after = await client.tokenIntrospection(config, own.access_token);
  seen.introspection = { before: told.active, scope: told.scope, after: after.active };
}
{
  const started = await client.initiateDeviceAuthorization(bare, { scope: "emails:read" });
  started.interval = 1; // the library waits so long before its first poll
  await approveDevice(issuer, started.user_code, cookie);
  const token = await client.pollDeviceAuthorizationGrant(bare, started);
  seen.device = { scope: token.scope, status: await api(token.access_token) };
}
{
  const metadata = { client_name: "By itself", redirect_uris: [redirect], grant_types: ["authorization_code", "refresh_token"],
    token_endpoint_auth_method: "none", scope: "openid emails:read emails:write" };
  const own = await client.dynamicClientRegistration(new URL(issuer), metadata, client.None(), insecure);
  const { back, checks } = await code(own, { scope: "emails:read" });
  const token = await client.authorizationCodeGrant(own, back, { ...checks, expectedNonce: undefined });
  seen.registered = { scope: own.clientMetadata().scope, token: token.scope };
}
seen.refusals = {
  redirect: await refused(async () => { throw new Error((await fetch(client.buildAuthorizationUrl(config, {
    redirect_uri: "https://evil.example/", scope: "openid", code_challenge: "a".repeat(43), code_challenge_method: "S256" }),
    { headers: { cookie }, redirect: "manual" })).status); }),
  pkce: await refused(async () => {
    const url = client.buildAuthorizationUrl(config, { redirect_uri: redirect, scope: "openid", state: "s" });
    await client.authorizationCodeGrant(config, await consent(url, cookie), { expectedState: "s" });
  }),
  denied: await refused(async () => {
    const url = client.buildAuthorizationUrl(config, { redirect_uri: redirect, scope: "openid", state: "s",
      code_challenge: "a".repeat(43), code_challenge_method: "S256" });
    await client.authorizationCodeGrant(config, await consent(url, cookie, "deny"), { expectedState: "s" });
  }),
  secret: await refused(async () => client.clientCredentialsGrant(
    await client.discovery(new URL(issuer), app.client_id, "wrong", undefined, insecure), {})),
  target: await refused(() => client.clientCredentialsGrant(config, { resource: "https://elsewhere.example" })),
};
if (config.serverMetadata().dpop_signing_alg_values_supported) {
  const keys = await client.randomDPoPKeyPair("ES256");
  const DPoP = client.getDPoPHandle(bare, keys);
  const { back, checks } = await code(bare);
  const token = await client.authorizationCodeGrant(bare, back, checks, undefined, { DPoP });
  const call = (options) => client.fetchProtectedResource(bare, token.access_token, new URL("/v1/emails", issuer), "GET", undefined, undefined, options);
  const other = client.getDPoPHandle(bare, await client.randomDPoPKeyPair("ES256"));
  const stolen = await fetch(new URL("/v1/emails", issuer), { headers: { authorization: `Bearer ${token.access_token}` } });
  seen.dpop = {
    type: token.token_type.toLowerCase(), status: (await call({ DPoP })).status, again: (await call({ DPoP })).status,
    bearer: stolen.status,
    refreshed: (await client.refreshTokenGrant(bare, token.refresh_token, undefined, { DPoP })).token_type.toLowerCase(),
    stolen: await refused(() => client.refreshTokenGrant(bare, token.refresh_token, undefined, { DPoP: other })),
  };
}
console.log(JSON.stringify(seen));
