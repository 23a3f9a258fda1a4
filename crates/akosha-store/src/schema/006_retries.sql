-- How often an upload that is set aside was tried, and when it is tried again.
ALTER TABLE quarantine ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE quarantine ADD COLUMN not_before INTEGER NOT NULL DEFAULT 0;
