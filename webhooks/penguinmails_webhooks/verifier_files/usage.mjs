// Node's own server. In Express: app.post("/hooks", express.raw({ type: "*/*" }), ...) and request.body
import { createServer } from "node:http";
import { verifyWebhook } from "./verify_webhook.mjs";

createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks); // the bytes, before any parsing
  try {
    verifyWebhook(process.env.PENGUINMAILS_WEBHOOK_SECRET, request.headers, body);
  } catch (error) {
    return response.writeHead(400).end(error.code);
  }
  const event = JSON.parse(body);
  console.log(event.id, event.type); // remember the id: a repeat carries the same one
  response.writeHead(204).end();
}).listen(process.env.PORT ?? 3000, "127.0.0.1");
