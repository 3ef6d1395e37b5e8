-- Version 3: the version of the members of a chat.

ALTER TABLE chats ADD COLUMN members_version INTEGER NOT NULL DEFAULT 0;
