// Reads an AsyncAPI document from standard input and prints what its own parser finds wrong, one line each.
import { Parser } from "@asyncapi/parser";
import { readFileSync } from "node:fs";

const { document, diagnostics } = await new Parser().parse(readFileSync(0, "utf8"));
for (const each of diagnostics) console.log(`${each.severity} ${each.code} ${each.path.join("/")}: ${each.message}`);
if (document) console.log(`messages: ${document.allMessages().all().length}, operations: ${document.allOperations().all().length}`);
process.exit(document ? 0 : 1);
