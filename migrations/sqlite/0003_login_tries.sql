-- Failed sign-ins of the last minute, one row each, for slowing down who guesses passwords. Used while no Redis counts
-- them; a refused try leaves no row. Nobody can be read from it: both are SHA-256.
CREATE TABLE login_tries (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    account  TEXT NOT NULL,                    -- of the e-mail address that was typed
    client   TEXT NOT NULL,                    -- of the client's address, for IPv6 of its first 64 bits
    tried_at TEXT NOT NULL
);
CREATE INDEX login_tries_account_index ON login_tries (account, client);
CREATE INDEX login_tries_tried_at_index ON login_tries (tried_at);
