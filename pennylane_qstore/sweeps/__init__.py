"""Many training runs at once: together in few jobs, by a study, or spread over processes."""
