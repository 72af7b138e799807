"""The page over a ledger: runs and jobs at IonQ, with loss curves, costs and cancelling."""
