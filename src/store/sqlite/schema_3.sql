-- Version 3: the version of the members of a chat, roles, mutes, bans, revoked tokens and the audit
-- log.

ALTER TABLE chats ADD COLUMN members_version INTEGER NOT NULL DEFAULT 0;

-- role: 0 reader, 1 member, 2 moderator, 3 owner. muted_until: NULL in a mute without an end.
ALTER TABLE members ADD COLUMN role INTEGER NOT NULL DEFAULT 1 CHECK (role BETWEEN 0 AND 3);
ALTER TABLE members ADD COLUMN muted INTEGER NOT NULL DEFAULT 0 CHECK (muted IN (0, 1));
ALTER TABLE members ADD COLUMN muted_until INTEGER;

-- until: NULL without an end.
CREATE TABLE bans (
    chat  INTEGER NOT NULL REFERENCES chats (pk),
    user  INTEGER NOT NULL REFERENCES users (pk),
    until INTEGER,
    PRIMARY KEY (chat, user)
) STRICT, WITHOUT ROWID;

ALTER TABLE users ADD COLUMN revoked_before INTEGER;

-- Ids, not numbers: a record outlives its chat. actor: NULL for the host application; detail: a
-- JSON object.
CREATE TABLE audit (
    id     BLOB NOT NULL PRIMARY KEY,
    at     INTEGER NOT NULL,
    actor  BLOB,
    act    TEXT NOT NULL,
    chat   BLOB,
    user   BLOB,
    detail TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_chat ON audit (chat, id) WHERE chat IS NOT NULL;
CREATE INDEX audit_user ON audit (user, id) WHERE user IS NOT NULL;
