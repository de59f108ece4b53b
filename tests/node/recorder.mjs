// A TCP proxy before gema that writes down what a client really sends: the request target and every text frame.

import net from 'node:net';
import { atEnd, until } from './kit.mjs';

/** Cuts one masked client frame off the buffer: {opcode, payload, rest}, or null if it is not complete yet. */
function clientFrame(buffer) {
  if (buffer.length < 6) return null;
  const short = buffer[1] & 0x7f;
  const [start, length] = short < 126 ? [2, short] : [4, buffer.readUInt16BE(2)];
  const end = start + 4 + length;
  if (short === 127 || buffer.length < end) return null;
  const mask = buffer.subarray(start, start + 4);
  const payload = Buffer.from(buffer.subarray(start + 4, end).map((byte, index) => byte ^ mask[index % 4]));
  return { opcode: buffer[0] & 0x0f, payload, rest: buffer.subarray(end) };
}

/** Starts the proxy; point a client at its `port`. New connections go to whatever its `gema` is. */
export async function record(t, gema) {
  const seen = { targets: [], frames: [], port: 0, gema };
  const sockets = new Set();
  const server = net.createServer((client) => {
    const upstream = net.connect(seen.gema.port, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    }
    upstream.pipe(client);
    let buffer = Buffer.alloc(0);
    let head = true;
    client.on('data', (chunk) => {
      upstream.write(chunk);
      buffer = Buffer.concat([buffer, chunk]);
      if (head) {
        const end = buffer.indexOf('\r\n\r\n');
        if (end < 0) return;
        seen.targets.push(buffer.toString('latin1').split(' ')[1]);
        buffer = buffer.subarray(end + 4);
        head = false;
      }
      for (let frame = clientFrame(buffer); frame; frame = clientFrame(buffer)) {
        if (frame.opcode === 1) seen.frames.push(frame.payload.toString());
        buffer = frame.rest;
      }
    });
    client.on('end', () => upstream.end());
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  atEnd(t, () => {
    seen.cut();
    server.close();
  });
  seen.port = server.address().port;
  // As when a network goes away: no close frame, no farewell.
  seen.cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  seen.frame = (text) => until(() => seen.frames.includes(text), `the client sends ${text}`);
  return seen;
}
