// People of the attendance API, for tests: who they are and what they may call.

import assert from 'node:assert/strict';

/** A person with a bearer token. */
export class Person {
  constructor(gema, token, user) {
    Object.assign(this, { gema, token, user });
  }

  /** Logs in; the seeded admin unless told otherwise. */
  static async login(gema, email = 'admin@example.com', password = 'password') {
    const anybody = new Person(gema, null, null);
    const { status, body } = await anybody.call('POST', '/api/login', { email, password });
    assert.equal(status, 200, JSON.stringify(body));
    return new Person(gema, body.token, body.user);
  }

  /** One call: {status, body, headers}; the body is JSON if there is one. */
  async call(method, path, body) {
    const response = await fetch(this.gema.web + path, {
      method,
      headers: {
        Accept: 'application/json', 'Content-Type': 'application/json',
        ...(this.token && { Authorization: `Bearer ${this.token}` }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text && JSON.parse(text) };
  }

  /** A call that must succeed with this status; its body. */
  async must(expected, method, path, body) {
    const answer = await this.call(method, path, body);
    assert.equal(answer.status, expected, `${method} ${path}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  checkIn() {
    return this.must(201, 'POST', '/api/attendances/check-in', {});
  }

  checkOut() {
    return this.must(200, 'POST', '/api/attendances/check-out', {});
  }

  /** A new employee, logged in. Only an admin can do that. */
  async hire(name) {
    const email = `${name.split(' ')[0].toLowerCase()}@example.com`;
    const password = `a long password of ${name}`;
    await this.must(201, 'POST', '/api/users', { name, email, password, role: 'employee' });
    return Person.login(this.gema, email, password);
  }
}
