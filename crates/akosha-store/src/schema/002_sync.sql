-- Uploads that this store began, and where its change log stood: a head that names one of them was
-- written here, whatever the address of the vault.
CREATE TABLE begun (
    system_id TEXT NOT NULL,
    upload_id TEXT NOT NULL,
    epoch     INTEGER NOT NULL,
    to_seq    INTEGER NOT NULL,
    begun_at  INTEGER NOT NULL,
    PRIMARY KEY (system_id, upload_id)
) STRICT, WITHOUT ROWID;
INSERT INTO begun (system_id, upload_id, epoch, to_seq, begun_at)
    SELECT system_id, last_upload_id, max(epoch), acked_seq, coalesce(verified_at, 0) FROM pushes
    WHERE last_upload_id IS NOT NULL GROUP BY system_id, last_upload_id;

-- The last change that the target ever acknowledged; it stays where the target lost it again.
ALTER TABLE pushes ADD COLUMN sent_seq INTEGER NOT NULL DEFAULT 0;
UPDATE pushes SET sent_seq = acked_seq;

-- System ids that another writer claims in a target, until a push succeeds.
CREATE TABLE disputes (
    target    TEXT NOT NULL,
    system_id TEXT NOT NULL,
    epoch     INTEGER,  -- the other writer's; NULL: the id cannot be taken over there
    message   TEXT NOT NULL,
    hint      TEXT NOT NULL,
    since     INTEGER NOT NULL,
    PRIMARY KEY (target, system_id)
) STRICT, WITHOUT ROWID;

-- Who pushes to this store over HTTP as which system.
CREATE TABLE writers (
    system_id TEXT PRIMARY KEY,
    writer_id TEXT NOT NULL,
    epoch     INTEGER NOT NULL,
    since     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The manifest and the reader that found it at fault for good; NULL: the upload is tried again.
ALTER TABLE quarantine ADD COLUMN seen TEXT;

ALTER TABLE jobs ADD COLUMN hint TEXT;
