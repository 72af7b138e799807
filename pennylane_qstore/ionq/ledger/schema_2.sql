-- The ledger's database, version 2: accounts that budgets limit, and the batches of copies.

-- What each row is charged to. Only rows that cost money have entries.
CREATE TABLE charges (
    account TEXT NOT NULL,
    submission INTEGER NOT NULL,
    PRIMARY KEY (account, submission)
) WITHOUT ROWID;

CREATE INDEX charges_by_submission ON charges (submission);

-- What an account had spent before this ledger, and the limit of everybody who shares the ledger,
-- in the account without a name.
CREATE TABLE accounts (
    name TEXT PRIMARY KEY,
    opening_usd REAL NOT NULL DEFAULT 0,
    budget_usd REAL
) WITHOUT ROWID;

-- The batches of a run that one start of a program has taken.
CREATE TABLE claims (
    run TEXT NOT NULL,
    start TEXT NOT NULL,
    step INTEGER NOT NULL,
    PRIMARY KEY (run, start, step)
) WITHOUT ROWID
