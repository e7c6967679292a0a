// Reads requests as JSON on standard input, prints what the verifier in the named folder says of each.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { verifyWebhook } = await import(pathToFileURL(`${process.argv[2]}/verify_webhook.mjs`));
const said = JSON.parse(readFileSync(0, "utf8")).map(({ secrets, headers, body, now }) => {
  try {
    verifyWebhook(secrets, headers, Buffer.from(body, "base64"), { now });
    verifyWebhook(secrets, new Headers(headers), Buffer.from(body, "base64"), { now });
    return "ok";
  } catch (error) {
    return error.code;
  }
});
console.log(JSON.stringify(said));
