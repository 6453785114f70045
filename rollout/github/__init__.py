"""GitHub: what it enforces, what its CI proved, and what is told to it; without Django and without a clock."""
