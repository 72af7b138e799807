"""One process that holds key, ledger and budget, and speaks IonQ's API to everybody else."""
