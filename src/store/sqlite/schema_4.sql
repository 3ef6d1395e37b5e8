-- Version 4: the mutes and the role reader of users that are no members, and the mark of a copy.

-- The columns are those of members; role: 0 reader, 1 member.
CREATE TABLE kept_rights (
    chat        INTEGER NOT NULL REFERENCES chats (pk),
    user        INTEGER NOT NULL REFERENCES users (pk),
    role        INTEGER NOT NULL CHECK (role IN (0, 1)),
    muted       INTEGER NOT NULL CHECK (muted IN (0, 1)),
    muted_until INTEGER,
    PRIMARY KEY (chat, user)
) STRICT, WITHOUT ROWID;

-- Has a row from the beginning of a copy into this file to its end.
CREATE TABLE unfinished_copy (
    place INTEGER PRIMARY KEY CHECK (place = 1)
) STRICT;
