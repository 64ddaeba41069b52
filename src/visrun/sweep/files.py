"""The files of a sweep's folder, and the one fact that its study keeps. Imports no Optuna."""

from __future__ import annotations

TABLE = "trials.csv"
RESULTS = "optimization_results.yaml"
JOURNAL = "study.journal"
LEAD = ".lead.lock"  # the process that leads, and its command; with the study's name before it, beside its journal
PLOTS = "plots"
IMPORTANCE = "importance.json"  # within PLOTS
ATTRIBUTE = "visrun"  # of the study: what everybody who works for it or looks at it shares
