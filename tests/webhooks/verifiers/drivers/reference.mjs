// What the published libraries say: reads {"requests": [...], "sign": [...]} on standard input, prints for each library
// whether it accepts each request, and the signatures it makes.
import { readFileSync } from "node:fs";
import { Webhook as Standard } from "standardwebhooks";
import { Webhook as Svix } from "svix";

const { requests, sign } = JSON.parse(readFileSync(0, "utf8"));
const answer = {};
for (const [name, Webhook] of Object.entries({ standardwebhooks: Standard, svix: Svix })) {
  answer[name] = {
    accepted: requests.map(({ secrets, headers, body }) => {
      try {
        new Webhook(secrets[0]).verify(Buffer.from(body, "base64").toString(), headers);
        return true;
      } catch {
        return false;
      }
    }),
    signed: sign.map(({ secret, id, timestamp, payload }) =>
      new Webhook(secret).sign(id, new Date(timestamp * 1000), payload),
    ),
  };
}
console.log(JSON.stringify(answer));
