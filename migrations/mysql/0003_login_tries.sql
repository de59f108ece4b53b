-- The twin of ../sqlite/0003_login_tries.sql.

CREATE TABLE IF NOT EXISTS login_tries (
    id       BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    account  CHAR(64) NOT NULL,
    client   CHAR(64) NOT NULL,
    tried_at DATETIME(6) NOT NULL,
    KEY login_tries_account_index (account, client),
    KEY login_tries_tried_at_index (tried_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
