"""Sweeps: many runs that search for the best hyperparameters, as one Optuna study."""
