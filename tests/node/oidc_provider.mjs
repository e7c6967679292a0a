// A standards-conforming OpenID provider (npm oidc-provider) for tests of single sign-on.
// Arguments: port, redirect URI. Prints its issuer when it is ready. Any login name is a person.
import Provider from 'oidc-provider';

const [port, redirectUri] = process.argv.slice(2);
const issuer = `http://localhost:${port}`;
const provider = new Provider(issuer, {
  clients: [{
    client_id: 'penguinmails',
    client_secret: 'a secret: with %',
    redirect_uris: [redirectUri],
    grant_types: ['authorization_code'],
    response_types: ['code'],
  }],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id}@example.com`, email_verified: true, name: `${id} of Acme` }),
  }),
  cookies: { keys: ['of a test'] },
});
provider.listen(Number(port), '127.0.0.1', () => console.log(issuer));
