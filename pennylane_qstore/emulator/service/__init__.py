"""The life of a job: queue, sessions, billing, time."""
