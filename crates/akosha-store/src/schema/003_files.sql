-- Files that a target has, as they were when they were pushed last.
CREATE TABLE pushed_files (
    target    TEXT NOT NULL,
    system_id TEXT NOT NULL,
    name      TEXT NOT NULL,
    signature TEXT NOT NULL,  -- key, and state of the file and its logs where it is known
    entries   TEXT NOT NULL,  -- JSON: the files of the manifest, with their logs
    upload_id TEXT NOT NULL,
    PRIMARY KEY (target, system_id, name)
) STRICT, WITHOUT ROWID;
