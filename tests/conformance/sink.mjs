#!/usr/bin/env node
// Takes the webhooks of a server under test and hands them out to the suite.
// usage: sink.mjs [PORT]   POST / takes one, GET / answers with all of them: [{"headers":{…},"body":"…"}, …]

import http from 'node:http';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';

/** Starts it on a free port unless one is given; resolves to {url, close}. */
export async function startSink(port = 0) {
  const seen = [];
  const server = http.createServer(async (request, response) => {
    if (request.method === 'GET') {
      response.end(JSON.stringify(seen));
      return;
    }
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    seen.push({ headers: request.headers, body: Buffer.concat(chunks).toString() });
    response.end('{}');
  });
  await new Promise((resolve) => { server.listen(port, '127.0.0.1', resolve); });
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { url: `http://127.0.0.1:${server.address().port}/`, close };
}

if (argv[1] === fileURLToPath(import.meta.url)) console.log((await startSink(Number(argv[2] ?? 0))).url);
