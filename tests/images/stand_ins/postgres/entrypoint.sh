# Makes the database at the first start, and serves as the user postgres, with the settings that it is given.
set -eu
as_postgres() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }

mkdir -p "$PGDATA" /run/postgresql
chown -R postgres "$PGDATA" /run/postgresql
if [ ! -e "$PGDATA/PG_VERSION" ]; then
    install -m 600 -o postgres /dev/null /tmp/password
    echo "$POSTGRES_PASSWORD" > /tmp/password
    as_postgres initdb --username="$POSTGRES_USER" --auth-host=scram-sha-256 --pwfile=/tmp/password > /dev/null
    rm /tmp/password
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
    echo "CREATE DATABASE $POSTGRES_DB" | as_postgres postgres --single -D "$PGDATA" postgres > /dev/null
fi
exec setpriv --reuid=postgres --regid=postgres --clear-groups "$@" -c listen_addresses='*'
