// The whole stack for a test: nginx, three attendance nodes, two broadcast nodes, two workers, MariaDB and Redis. It is
// started by the Rust kit (tests/examples/stack.rs), which obeys one line at a time and ends with us.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { APP, atEnd, ROOT } from './kit.mjs';

const TARGET = path.resolve(ROOT, process.env.CARGO_TARGET_DIR ?? 'target');
const PROGRAM = path.join(TARGET, 'debug', 'examples', 'stack');

/** A running stack. Everything is behind `port`; `nodes` are the attendance nodes themselves. */
export class Stack {
  static async start(t, queue = 'redis') {
    const stack = new Stack();
    const env = { ...process.env, GEMA_BIN: process.env.GEMA_BIN ?? path.join(TARGET, 'debug', 'gema') };
    stack.child = spawn(PROGRAM, [queue], { env, stdio: ['pipe', 'pipe', 'inherit'] });
    const ended = new Promise((resolve, reject) => {
      stack.child.once('error', () => reject(new Error(`${PROGRAM} is missing: cargo build -p gema-tests --examples`)));
      stack.child.once('exit', (code, signal) => resolve(code ?? signal));
    });
    stack.lines = createInterface({ input: stack.child.stdout })[Symbol.asyncIterator]();
    atEnd(t, async () => {
      stack.child.stdin.end();
      assert.equal(await ended, 0, 'the stack ends without a complaint');
    });
    const { web, nodes } = await Promise.race([stack.answer(), ended.then((status) => {
      throw new Error(`the stack does not start: ${status}`);
    })]);
    return Object.assign(stack, { app: APP, port: web, web: `http://127.0.0.1:${web}`, nodes: nodes.map((at) => `http://${at}`) });
  }

  async answer() {
    const { value, done } = await this.lines.next();
    assert.ok(!done, 'the stack has ended');
    return JSON.parse(value);
  }

  /** Says one line; resolves to what it is answered. One at a time. */
  ask(command) {
    this.child.stdin.write(`${command}\n`);
    return this.answer();
  }

  stop(name) { return this.ask(`stop ${name}`); }

  kill(name) { return this.ask(`kill ${name}`); }

  start(name) { return this.ask(`start ${name}`); }

  log(name) { return this.ask(`log ${name}`); }

  sql(statements) { return this.ask(`sql ${statements}`); }
}
