# Creates the user that product_api works as. PostgreSQL's image runs this once, when the volume is new; the migrations
# then give the user its rights, which are few: see «The two users of the database» in deploy/README.md.
psql -v ON_ERROR_STOP=1 --quiet --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
\getenv password POSTGRES_APP_PASSWORD
CREATE ROLE b2b_chat_app LOGIN PASSWORD :'password';
SQL
