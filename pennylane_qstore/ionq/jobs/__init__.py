"""The life of one job: submit, poll, fetch, bill."""
