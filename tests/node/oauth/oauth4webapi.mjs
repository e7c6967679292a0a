// oauth4webapi, unmodified: the strict way through discovery, PAR, code, JWT access tokens, refresh and revocation.
import * as oauth from "oauth4webapi";
import { readFileSync } from "node:fs";
import { consent, refused } from "./browser.mjs";

const { issuer, cookie, app, redirect } = JSON.parse(readFileSync(0, "utf8"));
const options = { [oauth.allowInsecureRequests]: true };
const seen = {};
const client = { client_id: app.client_id };
const auth = oauth.ClientSecretPost(app.client_secret);
const url = new URL(issuer);

const oidc = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, { ...options, algorithm: "oidc" }));
const as = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, { ...options, algorithm: "oauth2" }));
seen.discovery = [oidc.issuer, as.issuer];
for (const part of ["", "/v1"]) {
  const resource = new URL(issuer + part);
  const told = await oauth.processResourceDiscoveryResponse(resource, await oauth.resourceDiscoveryRequest(resource, options));
  seen[`resource ${part}`] = told.authorization_servers;
}

const verifier = oauth.generateRandomCodeVerifier();
const parameters = new URLSearchParams({
  client_id: app.client_id, response_type: "code", redirect_uri: redirect, scope: "openid emails:read", state: "s", nonce: "n",
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256", resource: `${issuer}/v1`,
});
const pushed = await oauth.processPushedAuthorizationResponse(as, client,
  await oauth.pushedAuthorizationRequest(as, client, auth, parameters, options));
const where = new URL(as.authorization_endpoint);
where.search = new URLSearchParams({ client_id: app.client_id, request_uri: pushed.request_uri });
const back = oauth.validateAuthResponse(as, client, await consent(where, cookie), "s");
const exchange = () => oauth.authorizationCodeGrantRequest(as, client, auth, back, redirect, verifier, options);
const token = await oauth.processAuthorizationCodeResponse(oidc, client, await exchange(), { expectedNonce: "n", requireIdToken: true });
seen.code = token.scope;

// As a resource server would check it (RFC 9068).
const request = new Request(new URL("/v1/emails", issuer), { headers: { authorization: `Bearer ${token.access_token}` } });
const claims = await oauth.validateJwtAccessToken(as, request, `${issuer}/v1`, options);
seen.jwt = { client: claims.client_id === app.client_id, iss: claims.iss, scope: claims.scope };
seen.foreign = await refused(() => oauth.validateJwtAccessToken(as, request.clone(), "https://elsewhere.example", options));

const refresh = async (value) => oauth.processRefreshTokenResponse(as, client,
  await oauth.refreshTokenGrantRequest(as, client, auth, value, options));
const next = await refresh(token.refresh_token);
seen.refresh = next.refresh_token !== token.refresh_token;
await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, auth, next.refresh_token, options));
seen.revoked = await refused(() => refresh(next.refresh_token));
seen.replay = await refused(async () => oauth.processAuthorizationCodeResponse(as, client, await exchange()));

const own = await oauth.processClientCredentialsResponse(as, client,
  await oauth.clientCredentialsGrantRequest(as, client, auth, new URLSearchParams({ scope: "emails:read" }), options));
const told = await oauth.processIntrospectionResponse(as, client,
  await oauth.introspectionRequest(as, client, auth, own.access_token, options));
seen.introspection = [told.active, told.scope];

const unsigned = [{ alg: "none", typ: "at+jwt" }, JSON.parse(Buffer.from(own.access_token.split(".")[1], "base64url"))]
  .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".") + ".";
seen.none = await refused(async () => oauth.protectedResourceRequest(unsigned, "GET", new URL("/v1/emails", issuer), undefined, undefined, options));
console.log(JSON.stringify(seen));
