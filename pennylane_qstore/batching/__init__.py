"""Many tapes, few jobs."""
