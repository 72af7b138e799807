"""The physics: circuits to distributions and shots."""
