// Reads {dns: {name: text}, files, ip, helo, sender} and writes what mailauth makes of each file.
import { readFileSync } from 'node:fs';
import { authenticate } from 'mailauth';

const job = JSON.parse(readFileSync(0, 'utf8'));

async function resolver(name, type) {
  const text = job.dns[name.toLowerCase()];
  if (type !== 'TXT' || text === undefined) {
    throw Object.assign(new Error(`no ${type} of ${name}`), { code: 'ENOTFOUND' });
  }
  return [text.match(/.{1,255}/g)];
}

const results = [];
for (const file of job.files) {
  const { ip, helo, sender } = job;
  const found = await authenticate(readFileSync(file), { ip, helo, sender, mta: 'mx.test', resolver, strict: true });
  results.push({
    dkim: found.dkim.results.map((result) => result.status.result),
    spf: found.spf?.status?.result,
    dmarc: found.dmarc?.status?.result,
  });
}
console.log(JSON.stringify(results));
