# Makes the database at the first start, runs the scripts for that, and serves with the settings that it is given. As the
# real entrypoint where the container's user is postgres from the start.
set -eu
if [ ! -e "$PGDATA/PG_VERSION" ]; then
    mkdir -p "$PGDATA"
    (umask 077 && echo "$POSTGRES_PASSWORD" > /tmp/password)
    initdb --encoding=UTF8 --pgdata="$PGDATA" --username="$POSTGRES_USER" --auth-host=scram-sha-256 --pwfile=/tmp/password > /dev/null
    rm /tmp/password
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
    pg_ctl --pgdata="$PGDATA" --options="-c listen_addresses=''" --wait start > /dev/null
    createdb --username="$POSTGRES_USER" "$POSTGRES_DB"
    for script in /docker-entrypoint-initdb.d/*.sh; do . "$script"; done
    pg_ctl --pgdata="$PGDATA" --wait stop > /dev/null
fi
exec "$@" -c listen_addresses='*'
