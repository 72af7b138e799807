-- The ledger's database, version 1. A version that ledgers were written in is never edited:
-- a change is another migration (see database.py).

CREATE TABLE submissions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    token TEXT UNIQUE,
    state TEXT NOT NULL,
    service TEXT NOT NULL,
    backend TEXT NOT NULL,
    shots INTEGER NOT NULL,
    circuits INTEGER NOT NULL,
    qubits INTEGER NOT NULL,
    payload_sha256 TEXT NOT NULL,
    run TEXT,
    step INTEGER,
    chunk INTEGER,
    attempt INTEGER NOT NULL,
    part TEXT,
    aggregation TEXT,
    estimated_usd REAL,
    billed_usd REAL,
    job_id TEXT,
    results BLOB,
    failure TEXT,
    owner TEXT,
    lease_until REAL NOT NULL DEFAULT 0,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    UNIQUE (run, step, chunk, attempt)
);

CREATE INDEX submissions_by_state ON submissions (state);

CREATE INDEX submissions_by_job ON submissions (job_id);

CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    submission INTEGER NOT NULL,
    at REAL NOT NULL,
    event TEXT NOT NULL,
    detail TEXT
);

CREATE INDEX events_by_submission ON events (submission);
