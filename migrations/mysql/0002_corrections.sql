-- The twin of ../sqlite/0002_corrections.sql, which says what everything is for.
--
-- Of MySQL and MariaDB only the latter knows ALTER TABLE … IF NOT EXISTS. So each change of a table looks first whether
-- it has been made, and can be repeated like all others.

CREATE TABLE IF NOT EXISTS corrections (
    id            BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    attendance_id BIGINT NOT NULL,
    user_id       BIGINT NOT NULL,
    version       BIGINT NOT NULL,
    old_values    TEXT NOT NULL,
    new_values    TEXT NOT NULL,
    reason        TEXT,
    created_at    DATETIME(6) NOT NULL,
    KEY corrections_attendance_id_index (attendance_id, id),
    KEY corrections_user_id_index (user_id),
    CONSTRAINT corrections_attendance_id_foreign FOREIGN KEY (attendance_id) REFERENCES attendances (id),
    CONSTRAINT corrections_user_id_foreign FOREIGN KEY (user_id) REFERENCES users (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

SET @gema_change = IF(
    EXISTS (SELECT 1 FROM information_schema.columns
            WHERE table_schema = DATABASE() AND table_name = 'users' AND column_name = 'deleted_at'),
    'DO 0',
    'ALTER TABLE users
        ADD COLUMN deleted_at DATETIME(6),
        ADD COLUMN email_key VARCHAR(255) GENERATED ALWAYS AS
            (CASE WHEN deleted_at IS NULL THEN email END) VIRTUAL,
        DROP INDEX users_email_unique,
        ADD UNIQUE KEY users_email_key_unique (email_key)'
);
PREPARE gema_change FROM @gema_change;
EXECUTE gema_change;
DEALLOCATE PREPARE gema_change;

SET @gema_change = IF(
    EXISTS (SELECT 1 FROM information_schema.statistics
            WHERE table_schema = DATABASE() AND table_name = 'attendances'
              AND index_name = 'attendances_node_id_index'),
    'DO 0',
    'ALTER TABLE attendances
        ADD KEY attendances_node_id_index (node_id, id),
        ADD KEY attendances_status_index (status, id)'
);
PREPARE gema_change FROM @gema_change;
EXECUTE gema_change;
DEALLOCATE PREPARE gema_change;
