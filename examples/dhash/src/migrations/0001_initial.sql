-- Images, the queue of unsure matches, and what the metrics are computed from.
CREATE TABLE images (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    hash TEXT NOT NULL CHECK (length(hash) = 16),
    sha256 TEXT NOT NULL,
    format TEXT NOT NULL,
    source TEXT NOT NULL DEFAULT 'live' CHECK (source IN ('live', 'smoke')),
    created_at REAL NOT NULL,
    UNIQUE (sha256, source)
);
CREATE INDEX images_by_hash ON images (source, hash, id);

CREATE TABLE low_confidence_queue (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    image_id INTEGER NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    candidate_id INTEGER NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    distance INTEGER NOT NULL,
    created_at REAL NOT NULL
);

CREATE TABLE observations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    ok INTEGER NOT NULL CHECK (ok IN (0, 1)),
    hash_ms REAL NOT NULL
);
CREATE INDEX observations_by_time ON observations (at);

-- Totals for Prometheus: they only grow, while old observations are pruned.
CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    value REAL NOT NULL
) WITHOUT ROWID;
