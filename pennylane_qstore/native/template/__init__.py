"""Templates: parameters to native circuits."""
