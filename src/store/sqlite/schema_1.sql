-- Version 1. Times are milliseconds since 1970, ids the 16 bytes of a UUID.

CREATE TABLE users (
    pk          INTEGER PRIMARY KEY AUTOINCREMENT,
    id          BLOB NOT NULL UNIQUE,
    external_id TEXT NOT NULL UNIQUE,
    username    TEXT NOT NULL,
    name        TEXT NOT NULL,
    avatar      TEXT NOT NULL,
    github      TEXT NOT NULL,
    image_uuid  TEXT,
    created_at  INTEGER NOT NULL,
    modified_at INTEGER NOT NULL
) STRICT;

-- head: the number of the latest message; latest_at: its created_at.
CREATE TABLE chats (
    pk          INTEGER PRIMARY KEY AUTOINCREMENT,
    id          BLOB NOT NULL UNIQUE,
    name        TEXT,
    policy      TEXT NOT NULL CHECK (policy IN ('closed', 'open')),
    owner       INTEGER REFERENCES users (pk),
    team        INTEGER,
    head        INTEGER NOT NULL DEFAULT 0,
    latest_at   INTEGER NOT NULL DEFAULT 0,
    created_at  INTEGER NOT NULL,
    modified_at INTEGER NOT NULL,
    active_at   INTEGER NOT NULL
) STRICT;

-- place: the order of joining; last_read: the number up to which the member has read.
CREATE TABLE members (
    chat      INTEGER NOT NULL REFERENCES chats (pk),
    place     INTEGER NOT NULL,
    user      INTEGER NOT NULL REFERENCES users (pk),
    last_read INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (chat, place)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX members_user ON members (user, chat);

-- A table with row ids: without them a row of more than a kilobyte would take a page of its own.
CREATE TABLE messages (
    chat        INTEGER NOT NULL REFERENCES chats (pk),
    seq         INTEGER NOT NULL,
    id          BLOB NOT NULL,
    sender      INTEGER NOT NULL REFERENCES users (pk),
    kind        TEXT NOT NULL,
    text        TEXT NOT NULL,
    client_id   TEXT,
    read        INTEGER NOT NULL DEFAULT 0,
    created_at  INTEGER NOT NULL,
    modified_at INTEGER NOT NULL,
    UNIQUE (chat, seq)
) STRICT;
CREATE UNIQUE INDEX messages_client_id ON messages (chat, sender, client_id)
    WHERE client_id IS NOT NULL;
