-- Version 8: the id that an imported message had where it came from. since: up to which number the messages of a
-- member do not move its read position, which was imported with them.

ALTER TABLE messages ADD COLUMN original_id TEXT;
CREATE UNIQUE INDEX messages_original_id ON messages (chat, original_id) WHERE original_id IS NOT NULL;
ALTER TABLE members ADD COLUMN since INTEGER NOT NULL DEFAULT 0;
