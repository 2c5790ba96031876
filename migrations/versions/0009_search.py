"""An index for searches: the trigrams of each message, apart for each person.

A search looks for a part of a word, so that an index of words would not do; and pg_trgm is not on every server. The
function folds what people take for the same letter by itself, so that the database's locale plays no part.

Messages enter the index behind the chats that write them, and old ones bit by bit (`conversations.indexing`). Whatever
is not in it yet is searched as before, so this migration reads no message, and the release before runs on.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_INVISIBLE = r"\u00ad\u200b\u200c\u200d\u2060\ufeff"
_CAPITALS = "АБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯё"
_SMALL = "абвгдеежзийклмнопрстуфхцчшщъыьэюяе"
_SPACES = (
    r"\t\n\u000b\f\r\u00a0\u2000\u2001\u2002\u2003\u2004\u2005"
    r"\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
_SPACES_COUNT = 22

# The person is part of what is hashed: whose words are common does not make another's search slow.
_FUNCTION = f"""
    CREATE OR REPLACE FUNCTION search_grams(owner uuid, said text) RETURNS integer[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT COALESCE(array_agg(hashtext(whose || gram)), '{{}}')
        FROM (
            SELECT right(owner::text, 12) COLLATE "C" AS whose, c || lead(c) OVER w || lead(c, 2) OVER w AS gram
            FROM unnest(string_to_array(
                translate(
                    lower(translate(normalize(said, NFC), E'{_INVISIBLE}', '') COLLATE "C"),
                    E'{_CAPITALS}{_SPACES}', '{_SMALL}{" " * _SPACES_COUNT}'
                ),
                NULL
            )) WITH ORDINALITY AS spelled(c, place)
            WINDOW w AS (ORDER BY place)
        ) AS grams
        WHERE strpos(gram, ' ') = 0
    $$
"""  # noqa: S608 - of constants


def upgrade() -> None:
    # Each step can be taken again: one that builds an index without a lock is no part of a transaction.
    op.execute("ALTER TABLE messages ADD COLUMN IF NOT EXISTS is_searchable boolean DEFAULT false NOT NULL")
    op.execute(_FUNCTION)
    with op.get_context().autocommit_block():
        for name in ("ix_messages_search", "ix_messages_not_searchable"):
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")  # an invalid one is left where its making failed
        op.create_index(
            "ix_messages_search",
            "messages",
            [sa.text("search_grams(user_id, text)")],
            postgresql_using="gin",
            postgresql_where="is_searchable",
            postgresql_concurrently=True,
        )
        op.create_index(
            "ix_messages_not_searchable",
            "messages",
            ["user_id"],
            postgresql_where="NOT is_searchable AND completed_at IS NOT NULL",
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    op.drop_index("ix_messages_not_searchable", "messages")
    op.drop_index("ix_messages_search", "messages")
    op.execute("DROP FUNCTION search_grams(uuid, text)")
    op.drop_column("messages", "is_searchable")
