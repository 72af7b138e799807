"""The intent ledger: no job lost, none paid twice."""
