-- The core's codes over rows that decisions rest on. A row without one counts for nothing: whoever has a session
-- signs in again, and a question that was open has to be asked again.
ALTER TABLE approvals ADD COLUMN proof BLOB;
ALTER TABLE sessions ADD COLUMN proof BLOB;
