-- Indexes that were added without another meaning of any table: an older program may use a file that
-- has them, and a newer one creates those that are missing when it opens a file.

-- The chats that a user owns, which count towards its limit.
CREATE INDEX IF NOT EXISTS chats_owner ON chats (owner) WHERE owner IS NOT NULL;
-- The open chats, the newest of which a list shows.
CREATE INDEX IF NOT EXISTS chats_open ON chats (pk) WHERE policy = 'open';
