-- Indexes that were added without another meaning of any table: an older program may use a file that
-- has them, and a newer one creates those that are missing when it opens a file.

-- The chats that a user owns, which count towards its limit.
CREATE INDEX IF NOT EXISTS chats_owner ON chats (owner) WHERE owner IS NOT NULL;
-- The open chats, by their numbers: a list shows the newest ones.
CREATE INDEX IF NOT EXISTS chats_open ON chats (policy) WHERE policy = 'open';
