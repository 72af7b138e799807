-- The ledger's database, version 3: jobs that several runs share.

-- The circuits of a job that are one run's, from start to stop, under the key of that run. The
-- job's own rows have the name in shared as their run.
CREATE TABLE shares (
    run TEXT NOT NULL,
    step INTEGER NOT NULL,
    chunk INTEGER NOT NULL,
    payload_sha256 TEXT NOT NULL,
    shared TEXT NOT NULL,
    start INTEGER NOT NULL,
    stop INTEGER NOT NULL,
    fraction REAL NOT NULL,
    PRIMARY KEY (run, step, chunk)
) WITHOUT ROWID;

-- The part of a row's price that an account pays.
ALTER TABLE charges ADD COLUMN fraction REAL NOT NULL DEFAULT 1;

CREATE VIEW payloads AS
    SELECT run, step, chunk, payload_sha256 FROM submissions
    UNION ALL SELECT run, step, chunk, payload_sha256 FROM shares
