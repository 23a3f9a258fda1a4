-- Which content readers see, by the first eight bytes of its SHA-256: finds what is stored twice.
CREATE TABLE contents (
    key       INTEGER NOT NULL,
    system_id TEXT NOT NULL,
    seq       INTEGER NOT NULL,  -- changes.seq of a head
    PRIMARY KEY (key, system_id, seq)
) STRICT, WITHOUT ROWID;

-- What the merge of an upload did.
ALTER TABLE uploads ADD COLUMN added INTEGER NOT NULL DEFAULT 0;
ALTER TABLE uploads ADD COLUMN updated INTEGER NOT NULL DEFAULT 0;
ALTER TABLE uploads ADD COLUMN skipped INTEGER NOT NULL DEFAULT 0;
ALTER TABLE uploads ADD COLUMN duplicates INTEGER NOT NULL DEFAULT 0;
ALTER TABLE uploads ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;

-- When a person dismissed it; NULL: it is open.
ALTER TABLE quarantine ADD COLUMN released_at INTEGER;

-- One row for each system that is known here, so that a page of them costs as much as it shows.
CREATE TABLE systems (
    system_id      TEXT PRIMARY KEY,
    memories       INTEGER NOT NULL DEFAULT 0,  -- that readers see
    uploads        INTEGER NOT NULL DEFAULT 0,  -- in the ledger
    last_upload_id TEXT,                        -- the newest of those
    last_merged_at INTEGER
) STRICT, WITHOUT ROWID;

-- How many uploads were merged, and memories stored, in each hour since 1970.
CREATE TABLE activity (
    hour     INTEGER PRIMARY KEY,
    uploads  INTEGER NOT NULL DEFAULT 0,
    memories INTEGER NOT NULL DEFAULT 0
) STRICT;

-- How far contents, systems and activity hold what changes and uploads do (`derived.rs`). What is
-- here already is added bit by bit later: this step takes the same time however much that is.
CREATE TABLE derived (
    id             INTEGER PRIMARY KEY CHECK (id = 1),
    newest_seq     INTEGER NOT NULL,  -- of changes, when a program that keeps them wrote last
    missing_up_to  INTEGER NOT NULL,  -- rows of changes up to this seq are not in them yet
    missing_system TEXT,              -- rows of uploads after these two are not in them yet;
    missing_upload TEXT               -- NULL: all are
) STRICT;
INSERT INTO derived
    SELECT 1, seq, seq, uploads, uploads FROM (SELECT
        coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'changes'), 0) AS seq,
        (SELECT '' FROM uploads LIMIT 1) AS uploads);

-- The counts of memories are kept by the program, row by row: a statement that fires a trigger makes
-- the full-text index write out what it has gathered, and a batch three times as slow.
CREATE TRIGGER upload_came AFTER INSERT ON uploads
WHEN NOT EXISTS (SELECT 1 FROM derived
    WHERE (new.system_id, new.upload_id) > (missing_system, missing_upload)) BEGIN
    INSERT INTO systems (system_id, uploads, last_upload_id, last_merged_at)
        VALUES (new.system_id, 1, new.upload_id, new.merged_at)
        ON CONFLICT DO UPDATE SET uploads = uploads + 1,
            last_upload_id = max(coalesce(last_upload_id, ''), excluded.last_upload_id),
            last_merged_at = max(coalesce(last_merged_at, 0), excluded.last_merged_at);
    INSERT INTO activity (hour, uploads) VALUES (new.merged_at / 3600000000, 1)
        ON CONFLICT DO UPDATE SET uploads = uploads + 1;
END;
CREATE TRIGGER upload_gone AFTER DELETE ON uploads
WHEN NOT EXISTS (SELECT 1 FROM derived
    WHERE (old.system_id, old.upload_id) > (missing_system, missing_upload)) BEGIN
    UPDATE systems SET uploads = uploads - 1 WHERE system_id = old.system_id;
    UPDATE activity SET uploads = uploads - 1 WHERE hour = old.merged_at / 3600000000;
END;
CREATE TRIGGER quarantine_came AFTER INSERT ON quarantine BEGIN
    INSERT OR IGNORE INTO systems (system_id) VALUES (new.system_id);
END;
