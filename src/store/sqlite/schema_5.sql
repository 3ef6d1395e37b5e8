-- Version 5: a deleted chat stays, for the messages that refer to it, until they are removed. Its row
-- has a random id, and nothing else by which it could be found.

ALTER TABLE chats ADD COLUMN deleted INTEGER NOT NULL DEFAULT 0 CHECK (deleted IN (0, 1));
CREATE INDEX chats_deleted ON chats (pk) WHERE deleted = 1;
