# Run once by the image of MariaDB, when it makes the database. docs/database.md says why these rights.
# Tables are changed by a user that can come from one address only: that of the service `migrate`.
password=$(docker_sql_escape_string_literal "$DB_PASSWORD")
docker_process_sql <<SQL
CREATE USER 'gema_migrate'@'172.30.255.9' IDENTIFIED BY '$password';
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, REFERENCES ON \`$DB_DATABASE\`.* TO 'gema_migrate'@'172.30.255.9';
SQL
if [ "$DB_USERNAME" != root ]; then
    docker_process_sql <<SQL
CREATE USER '$DB_USERNAME'@'172.30.255.%' IDENTIFIED BY '$password';
GRANT SELECT, INSERT, UPDATE, DELETE ON \`$DB_DATABASE\`.* TO '$DB_USERNAME'@'172.30.255.%';
SQL
fi
