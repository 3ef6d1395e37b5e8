-- Version 6: the integer ids that polychat gives out are counted here, apart from those that the host application
-- chooses; a chat may have a name in the host application.

CREATE TABLE counters (
    noun TEXT PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counters (noun, last)
    SELECT nouns.value, coalesce((SELECT seq FROM sqlite_sequence WHERE name = nouns.value), 0)
    FROM json_each('["users", "chats", "events"]') AS nouns;

ALTER TABLE chats ADD COLUMN external_id TEXT;
CREATE UNIQUE INDEX chats_external_id ON chats (external_id) WHERE external_id IS NOT NULL;
