-- What admins do afterwards: correct records, which leaves a trail, and remove accounts, which keeps their records.

-- Each correction of a record, with the values before and after it. Never changed and never removed.
CREATE TABLE corrections (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    attendance_id INTEGER NOT NULL REFERENCES attendances (id),
    user_id       INTEGER NOT NULL REFERENCES users (id),  -- the admin who made it
    version       INTEGER NOT NULL,            -- of the record, after the correction
    old_values    TEXT NOT NULL,               -- JSON object of the fields that changed, as they were …
    new_values    TEXT NOT NULL,               -- … and as they are since
    reason        TEXT,
    created_at    TEXT NOT NULL
);
CREATE INDEX corrections_attendance_id_index ON corrections (attendance_id, id);

-- A removed account stays as a row, since records and corrections name it. It cannot sign in, and its address is free:
-- NULLs do not collide.
ALTER TABLE users ADD COLUMN deleted_at TEXT;
ALTER TABLE users ADD COLUMN email_key TEXT GENERATED ALWAYS AS (CASE WHEN deleted_at IS NULL THEN email END) VIRTUAL;
DROP INDEX users_email_unique;
CREATE UNIQUE INDEX users_email_key_unique ON users (email_key);

-- Lists are read in the order of `id`, newest first, from where the page before ended.
CREATE INDEX attendances_node_id_index ON attendances (node_id, id);
CREATE INDEX attendances_status_index ON attendances (status, id);
