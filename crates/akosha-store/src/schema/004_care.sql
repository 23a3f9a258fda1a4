-- Uploads since the vault was cared for last.
ALTER TABLE pushes ADD COLUMN uploads_since_care INTEGER NOT NULL DEFAULT 0;
-- The target that has to have it, as far as it was acknowledged; empty where none has to any more.
ALTER TABLE begun ADD COLUMN target TEXT NOT NULL DEFAULT '';
-- Whether another store made it, and this one took the system over after it.
ALTER TABLE begun ADD COLUMN adopted INTEGER NOT NULL DEFAULT 0;
