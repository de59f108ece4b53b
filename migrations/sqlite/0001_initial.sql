-- The first schema, and the place to start reading the attendance system.
--
-- Rules of this folder
--   * Forward only: a file that was released is never edited, a change is a new file.
--   * All times are UTC text of fixed width, 'YYYY-MM-DD HH:MM:SS.ffffff', so that they sort as they are.
--   * `date` columns are the local working day ('YYYY-MM-DD') in the configured time zone.
--   * Queries stay within the SQL that MySQL 8 shares, so a twin of this file can exist for it.

-- Who may sign in. `email` is stored in lower case, so UNIQUE means what people expect.
CREATE TABLE users (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    name          TEXT NOT NULL,
    email         TEXT NOT NULL,
    password_hash TEXT NOT NULL,               -- argon2id, PHC string
    role          TEXT NOT NULL CHECK (role IN ('admin', 'employee')),
    created_at    TEXT NOT NULL,
    updated_at    TEXT NOT NULL
);
CREATE UNIQUE INDEX users_email_unique ON users (email);

-- One stay at work, from check-in to check-out.
CREATE TABLE attendances (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id    INTEGER NOT NULL REFERENCES users (id),
    node_id    INTEGER NOT NULL,               -- the node that took the check-in; never changes
    date       TEXT NOT NULL,                  -- local working day of the check-in
    check_in   TEXT NOT NULL,
    check_out  TEXT,                           -- NULL while the person is at work
    status     TEXT NOT NULL CHECK (status IN ('present', 'late')),
    notes      TEXT,
    version    INTEGER NOT NULL DEFAULT 1,     -- counts the changes of this row; clients drop older ones
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    -- One open record per person and day, decided here and not in the program: of two simultaneous check-ins one
    -- fails on the index below. NULLs do not collide, so closed records are free.
    open_key   TEXT GENERATED ALWAYS AS
               (CASE WHEN check_out IS NULL THEN user_id || ':' || date END) VIRTUAL
);
CREATE UNIQUE INDEX attendances_open_key_unique ON attendances (open_key);
CREATE INDEX attendances_user_id_index ON attendances (user_id, id);
CREATE INDEX attendances_date_index ON attendances (date, id);

-- Bearer tokens for API consumers. Only the SHA-256 is kept: who reads this table cannot sign in with it.
CREATE TABLE tokens (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id      INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    token_hash   TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    last_used_at TEXT
);
CREATE UNIQUE INDEX tokens_token_hash_unique ON tokens (token_hash);
CREATE INDEX tokens_user_id_index ON tokens (user_id);

-- Signed-in browser sessions, found by the SHA-256 of the cookie. Visitors who are not signed in have no row: their
-- CSRF token is derived from the cookie itself, so an anonymous request never writes.
CREATE TABLE sessions (
    id_hash    TEXT PRIMARY KEY,
    user_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL
);
CREATE INDEX sessions_expires_at_index ON sessions (expires_at);
CREATE INDEX sessions_user_id_index ON sessions (user_id);

-- Answers to check-ins that carried an Idempotency-Key: a retry gets the first answer again and changes nothing. Kept
-- for a day. The key is stored as its SHA-256, so that its length does not matter.
CREATE TABLE idempotency_keys (
    user_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    key_hash   TEXT NOT NULL,
    answer     TEXT NOT NULL,                  -- the JSON of the 201
    created_at TEXT NOT NULL,
    PRIMARY KEY (user_id, key_hash)
);
CREATE INDEX idempotency_keys_created_at_index ON idempotency_keys (created_at);

-- Events that still have to be published. A row is written in the transaction of the change it tells about and
-- deleted once the broadcast server has it. Both payloads are stored as they will be sent, so a retry is byte for
-- byte the same.
CREATE TABLE outbox (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    attendance_id INTEGER NOT NULL,            -- rows of one attendance are published strictly in order of id
    user_id       INTEGER NOT NULL,            -- whose private channel gets the full copy
    event         TEXT NOT NULL,               -- 'attendance.created' or 'attendance.updated'
    event_id      TEXT NOT NULL,               -- UUID, the same in every retry
    public_data   TEXT NOT NULL,               -- for the public channel
    private_data  TEXT NOT NULL,               -- for the private channel
    attempts      INTEGER NOT NULL DEFAULT 0,  -- refusals that used up a try
    postponed     INTEGER NOT NULL DEFAULT 0,  -- failures that may pass; they use up nothing
    created_at    TEXT NOT NULL,
    available_at  TEXT NOT NULL,               -- not before this time
    lease_owner   TEXT,                        -- the worker that has the row in hand …
    leased_until  TEXT                         -- … and until when nobody else may take it
);
CREATE UNIQUE INDEX outbox_event_id_unique ON outbox (event_id);
CREATE INDEX outbox_attendance_id_index ON outbox (attendance_id, id);

-- Events that were refused for good, with the reason.
CREATE TABLE failed_jobs (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    attendance_id INTEGER NOT NULL,
    user_id       INTEGER NOT NULL,
    event         TEXT NOT NULL,
    event_id      TEXT NOT NULL,
    public_data   TEXT NOT NULL,
    private_data  TEXT NOT NULL,
    error         TEXT NOT NULL,
    created_at    TEXT NOT NULL,
    failed_at     TEXT NOT NULL
);
CREATE UNIQUE INDEX failed_jobs_event_id_unique ON failed_jobs (event_id);
