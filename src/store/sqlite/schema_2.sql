-- Version 2: events, the chats about them, photos, and requests that may be repeated.
-- icons and photos are JSON lists of texts; key_content stands for what a request asked for.

CREATE TABLE events (
    pk          INTEGER PRIMARY KEY AUTOINCREMENT,
    owner       INTEGER NOT NULL REFERENCES users (pk),
    name        TEXT NOT NULL,
    icons       TEXT NOT NULL,
    location    TEXT NOT NULL,
    starts      INTEGER NOT NULL,
    ends        INTEGER NOT NULL,
    key_name    TEXT UNIQUE,
    key_content BLOB,
    created_at  INTEGER NOT NULL,
    modified_at INTEGER NOT NULL
) STRICT;
CREATE INDEX events_owner ON events (owner, pk);

-- An event's chat has all three of these, any other none; access_version counts its changes.
ALTER TABLE chats ADD COLUMN event INTEGER REFERENCES events (pk);
ALTER TABLE chats ADD COLUMN guest INTEGER REFERENCES users (pk);
ALTER TABLE chats ADD COLUMN access TEXT CHECK (access IN ('unasked', 'asked', 'granted'));
ALTER TABLE chats ADD COLUMN access_version INTEGER NOT NULL DEFAULT 0;
ALTER TABLE chats ADD COLUMN key_name TEXT;
ALTER TABLE chats ADD COLUMN key_content BLOB;
CREATE UNIQUE INDEX chats_event ON chats (event, guest) WHERE event IS NOT NULL;
CREATE UNIQUE INDEX chats_key ON chats (key_name) WHERE key_name IS NOT NULL;

ALTER TABLE messages ADD COLUMN photos TEXT;
