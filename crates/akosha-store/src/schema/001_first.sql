-- Times are microseconds since 1970 in UTC.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Every revision of every memory, in the order in which this store met it.
CREATE TABLE changes (
    seq              INTEGER PRIMARY KEY AUTOINCREMENT,
    system_id        TEXT NOT NULL,
    memory_id        TEXT NOT NULL,
    revision         INTEGER NOT NULL,
    op               TEXT NOT NULL CHECK (op IN ('put', 'forget', 'erase')),
    is_head          INTEGER NOT NULL,  -- 1: what readers of this memory see
    is_local         INTEGER NOT NULL,  -- 1: made here, so a push sends it
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    stored_at        INTEGER NOT NULL,
    ingestion_method TEXT NOT NULL,
    kind             TEXT NOT NULL,
    project          TEXT,
    session_id       TEXT,
    metadata         TEXT NOT NULL,
    text             TEXT NOT NULL
) STRICT;
CREATE INDEX changes_by_memory ON changes (system_id, memory_id, revision);
CREATE UNIQUE INDEX changes_heads ON changes (memory_id, system_id) WHERE is_head = 1;
CREATE INDEX changes_listed ON changes (created_at, seq) WHERE is_head = 1 AND op = 'put';
CREATE INDEX changes_local ON changes (system_id, seq) WHERE is_local = 1;

CREATE TABLE vectors (
    seq     INTEGER PRIMARY KEY,
    is_head INTEGER NOT NULL,
    norm    REAL NOT NULL,
    model   TEXT,
    vector  BLOB NOT NULL  -- 384 little-endian 32-bit floats
) STRICT;

-- rowid is changes.seq; heads alone are indexed.
CREATE VIRTUAL TABLE words USING fts5 (
    text, labels,
    content = '', contentless_delete = 1,
    tokenize = 'porter unicode61 remove_diacritics 2'
);
INSERT INTO words (words, rank) VALUES ('rank', 'bm25(1.0, 0.5)');

-- How far a push to a target has come, and which upload it has begun.
CREATE TABLE pushes (
    target           TEXT NOT NULL,
    system_id        TEXT NOT NULL,
    acked_seq        INTEGER NOT NULL DEFAULT 0,
    epoch            INTEGER NOT NULL DEFAULT 0,
    last_upload_id   TEXT,
    verified_at      INTEGER,
    intent_upload_id TEXT,
    intent_to_seq    INTEGER,
    intent_at        INTEGER,
    PRIMARY KEY (target, system_id)
) STRICT, WITHOUT ROWID;

-- Memories that a target refused while it took others.
CREATE TABLE rejected (
    target    TEXT NOT NULL,
    system_id TEXT NOT NULL,
    memory_id TEXT NOT NULL,
    seq       INTEGER NOT NULL,
    attempts  INTEGER NOT NULL,
    error     TEXT NOT NULL,
    PRIMARY KEY (target, system_id, memory_id)
) STRICT, WITHOUT ROWID;

-- Uploads that a pull has seen to the end.
CREATE TABLE uploads (
    system_id TEXT NOT NULL,
    upload_id TEXT NOT NULL,
    merged_at INTEGER NOT NULL,
    rows      INTEGER NOT NULL,
    PRIMARY KEY (system_id, upload_id)
) STRICT, WITHOUT ROWID;

-- What a pull set aside: a whole upload (item is empty) or one memory of it.
CREATE TABLE quarantine (
    system_id TEXT NOT NULL,
    upload_id TEXT NOT NULL,
    item      TEXT NOT NULL,
    reason    TEXT NOT NULL,
    since     INTEGER NOT NULL,
    PRIMARY KEY (system_id, upload_id, item)
) STRICT, WITHOUT ROWID;

-- Two contents of one revision; both are kept in changes.
CREATE TABLE conflicts (
    system_id TEXT NOT NULL,
    memory_id TEXT NOT NULL,
    revision  INTEGER NOT NULL,
    found_at  INTEGER NOT NULL,
    PRIMARY KEY (system_id, memory_id, revision)
) STRICT, WITHOUT ROWID;

CREATE TABLE jobs (
    job_id      TEXT PRIMARY KEY,
    state       TEXT NOT NULL CHECK (state IN ('pending', 'running', 'parked', 'done')),
    trigger     TEXT NOT NULL,
    request     TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    not_before  INTEGER NOT NULL,
    attempts    INTEGER NOT NULL DEFAULT 0,
    finished_at INTEGER,
    error       TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX jobs_open ON jobs (state, not_before) WHERE state != 'done';

CREATE TABLE leases (
    name       TEXT PRIMARY KEY,
    holder     TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
