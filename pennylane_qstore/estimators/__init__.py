"""Quantum models as estimators of scikit-learn: pipelines, cross-validation, grid search."""
