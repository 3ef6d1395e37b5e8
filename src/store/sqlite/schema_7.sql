-- Version 7: what the application attached to a message, as the JSON that it wrote.

ALTER TABLE messages ADD COLUMN metadata TEXT;
