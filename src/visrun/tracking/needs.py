"""What a kind of MLflow store needs on this machine beside MLflow: a driver, an SDK, credentials."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

DATABRICKS = "databricks"
# Of models alone, as MLflow's registry of tracking stores refuses them (mlflow.tracking._tracking_service.utils).
REGISTRIES = ("databricks-uc", "uc")
NAMES = (DATABRICKS, *REGISTRIES)  # that MLflow takes for a whole address
DATABASES = ("postgresql", "mysql", "mssql")
# The module of a database's driver, where a package that brings it has another name.
PACKAGES = {"psycopg2": "psycopg2-binary", "psycopg": "psycopg[binary]", "MySQLdb": "mysqlclient"}


def lacking(uri: str, scheme: str) -> str | None:
    """What the store at ``uri`` lacks here, and what to do; None where it may work. Nothing is asked over a network.

    Args:
        scheme: That of ``uri``, without a driver.
    """
    if scheme in REGISTRIES:
        return f"a registry of models, which keeps no runs; give {DATABRICKS}, a server's address or a .db file"
    if scheme == DATABRICKS:
        return _databricks()
    return _driver(uri) if scheme in DATABASES else None


def _databricks() -> str | None:
    if not find_spec("databricks") or not find_spec("databricks.sdk"):
        return "the databricks-sdk is not installed; pip install databricks-sdk"
    file = Path(os.environ.get("DATABRICKS_CONFIG_FILE") or "~/.databrickscfg").expanduser()
    if file.is_file() or any(name.startswith("DATABRICKS_") and value for name, value in os.environ.items()):
        return None
    return "no credentials for it here; set DATABRICKS_HOST and DATABRICKS_TOKEN, or run: databricks auth login"


def _driver(uri: str) -> str | None:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    try:
        make_url(uri).get_dialect().import_dbapi()
    except ImportError as error:
        module = (error.name or "").partition(".")[0]
        return f"its driver {module} is not installed; pip install {PACKAGES.get(module, module)}"
    except (SQLAlchemyError, ValueError):
        return "no address of a database; give such as postgresql://user@host/mlflow"
    return None
