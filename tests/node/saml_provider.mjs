// A SAML identity provider (npm samlify) for tests of single sign-on. It signs everybody in as grace@example.com.
// Arguments: port, URL of the service provider's metadata, files of key and certificate (PEM). Prints its entity id when
// it is ready. The service provider's metadata is read at the first request.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import * as samlify from 'samlify';

const [port, metadataUrl, keyFile, certificateFile] = process.argv.slice(2);
const base = `http://localhost:${port}`;
samlify.setSchemaValidator({ validate: async () => 'ok' });

const template = samlify.SamlLib.defaultLoginResponseTemplate.context.replace(
  '{AuthnStatement}{AttributeStatement}',
  '<saml:AuthnStatement AuthnInstant="{IssueInstant}" SessionIndex="_session"><saml:AuthnContext><saml:AuthnContextClassRef>'
    + 'urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>',
);
const idp = samlify.IdentityProvider({
  entityID: `${base}/metadata`,
  privateKey: readFileSync(keyFile, 'utf8'),
  signingCert: readFileSync(certificateFile, 'utf8'),
  requestSignatureAlgorithm: 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
  nameIDFormat: ['urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress'],
  singleSignOnService: [{ Binding: 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect', Location: `${base}/sso` }],
  loginResponseTemplate: { context: template, attributes: [] },
});

const escape = (text) => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

function fill(sp, request) {
  return (text) => {
    const now = new Date();
    const later = new Date(now.getTime() + 300_000).toISOString();
    const acs = sp.entityMeta.getAssertionConsumerService('post');
    const id = `_${crypto.randomUUID()}`;
    const values = {
      ID: id, AssertionID: `_${crypto.randomUUID()}`, Destination: acs, Audience: sp.entityMeta.getEntityID(),
      EntityID: sp.entityMeta.getEntityID(), SubjectRecipient: acs, AssertionConsumerServiceURL: acs,
      Issuer: `${base}/metadata`, IssueInstant: now.toISOString(), StatusCode: 'urn:oasis:names:tc:SAML:2.0:status:Success',
      ConditionsNotBefore: now.toISOString(), ConditionsNotOnOrAfter: later,
      SubjectConfirmationDataNotOnOrAfter: later, InResponseTo: request.extract.request.id,
      NameIDFormat: 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress', NameID: 'grace@example.com',
    };
    return { id, context: samlify.SamlLib.replaceTagsByValue(text, values) };
  };
}

createServer(async (request, response) => {
  try {
    const url = new URL(request.url, base);
    if (url.pathname !== '/sso') return response.writeHead(404).end();
    const sp = samlify.ServiceProvider({ metadata: await (await fetch(metadataUrl)).text() });
    const query = Object.fromEntries(url.searchParams);
    const asked = await idp.parseLoginRequest(sp, 'redirect', { query });
    const made = await idp.createLoginResponse(
      sp, asked, 'post', { email: 'grace@example.com' }, { customTagReplacement: fill(sp, asked), relayState: query.RelayState });
    response.writeHead(200, { 'Content-Type': 'text/html' });
    response.end(`<!doctype html><title>Signed in</title><form method="post" action="${escape(made.entityEndpoint)}">`
      + `<input type="hidden" name="SAMLResponse" value="${escape(made.context)}">`
      + `<input type="hidden" name="RelayState" value="${escape(query.RelayState)}"><button>Go back</button></form>`);
  } catch (error) {
    response.writeHead(500, { 'Content-Type': 'text/plain' }).end(String(error?.stack ?? error));
  }
}).listen(Number(port), '127.0.0.1', () => console.log(`${base}/metadata`));
