-- Thumbnails of recent frames, kept so that near duplicates can be shown side by side.
CREATE TABLE thumbnails (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    hash TEXT NOT NULL,
    pixels BLOB NOT NULL,
    created_at REAL NOT NULL
);
