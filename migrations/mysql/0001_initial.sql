-- The twin of ../sqlite/0001_initial.sql, which says what each table and column is for. Here stands only what differs.
--
-- Rules of this folder
--   * Forward only: a file that was released is never edited, a change is a new file, in both folders.
--   * Each statement can be repeated (IF NOT EXISTS): MySQL commits every change of a table at once, so a migration that
--     a crash cut off is begun anew from its start.
--   * Only what MySQL 8.0.16 and MariaDB 10.6 both understand. MySQL itself is untested so far.
--   * utf8mb4_bin: texts are compared byte by byte, as SQLite does it. Names that compare without regard to case are
--     compared through LOWER().
--   * Times are DATETIME(6) in UTC; `date` is the local working day.
--   * Indexes are called TABLE_COLUMN_unique: the program finds the column in the server's complaint.

CREATE TABLE IF NOT EXISTS users (
    id            BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name          VARCHAR(255) NOT NULL,
    email         VARCHAR(255) NOT NULL,
    password_hash VARCHAR(255) NOT NULL,
    role          VARCHAR(16) NOT NULL CHECK (role IN ('admin', 'employee')),
    created_at    DATETIME(6) NOT NULL,
    updated_at    DATETIME(6) NOT NULL,
    UNIQUE KEY users_email_unique (email)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE IF NOT EXISTS attendances (
    id         BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    user_id    BIGINT NOT NULL,
    node_id    BIGINT NOT NULL,
    date       DATE NOT NULL,
    check_in   DATETIME(6) NOT NULL,
    check_out  DATETIME(6),
    status     VARCHAR(16) NOT NULL CHECK (status IN ('present', 'late')),
    notes      TEXT,
    version    BIGINT NOT NULL DEFAULT 1,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    open_key   VARCHAR(40) GENERATED ALWAYS AS
               (CASE WHEN check_out IS NULL THEN CONCAT(user_id, ':', date) END) VIRTUAL,
    UNIQUE KEY attendances_open_key_unique (open_key),
    KEY attendances_user_id_index (user_id, id),
    KEY attendances_date_index (date, id),
    CONSTRAINT attendances_user_id_foreign FOREIGN KEY (user_id) REFERENCES users (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE IF NOT EXISTS tokens (
    id           BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    user_id      BIGINT NOT NULL,
    token_hash   CHAR(64) NOT NULL,
    created_at   DATETIME(6) NOT NULL,
    last_used_at DATETIME(6),
    UNIQUE KEY tokens_token_hash_unique (token_hash),
    KEY tokens_user_id_index (user_id),
    CONSTRAINT tokens_user_id_foreign FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE IF NOT EXISTS sessions (
    id_hash    CHAR(64) NOT NULL PRIMARY KEY,
    user_id    BIGINT NOT NULL,
    created_at DATETIME(6) NOT NULL,
    expires_at DATETIME(6) NOT NULL,
    KEY sessions_expires_at_index (expires_at),
    KEY sessions_user_id_index (user_id),
    CONSTRAINT sessions_user_id_foreign FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE IF NOT EXISTS idempotency_keys (
    user_id    BIGINT NOT NULL,
    key_hash   CHAR(64) NOT NULL,
    answer     MEDIUMTEXT NOT NULL,
    created_at DATETIME(6) NOT NULL,
    PRIMARY KEY (user_id, key_hash),
    KEY idempotency_keys_created_at_index (created_at),
    CONSTRAINT idempotency_keys_user_id_foreign FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE IF NOT EXISTS outbox (
    id            BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    attendance_id BIGINT NOT NULL,
    user_id       BIGINT NOT NULL,
    event         VARCHAR(64) NOT NULL,
    event_id      CHAR(36) NOT NULL,
    public_data   MEDIUMTEXT NOT NULL,
    private_data  MEDIUMTEXT NOT NULL,
    attempts      BIGINT NOT NULL DEFAULT 0,
    postponed     BIGINT NOT NULL DEFAULT 0,
    created_at    DATETIME(6) NOT NULL,
    available_at  DATETIME(6) NOT NULL,
    lease_owner   VARCHAR(128),
    leased_until  DATETIME(6),
    UNIQUE KEY outbox_event_id_unique (event_id),
    KEY outbox_attendance_id_index (attendance_id, id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE IF NOT EXISTS failed_jobs (
    id            BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    attendance_id BIGINT NOT NULL,
    user_id       BIGINT NOT NULL,
    event         VARCHAR(64) NOT NULL,
    event_id      CHAR(36) NOT NULL,
    public_data   MEDIUMTEXT NOT NULL,
    private_data  MEDIUMTEXT NOT NULL,
    error         MEDIUMTEXT NOT NULL,
    created_at    DATETIME(6) NOT NULL,
    failed_at     DATETIME(6) NOT NULL,
    UNIQUE KEY failed_jobs_event_id_unique (event_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
