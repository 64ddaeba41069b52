"""What ``pip install`` brings: the wheel alone, in another folder, composes and explains."""

from __future__ import annotations

import email
import json
import os
import re
import subprocess
import sys
import urllib.request
import zipfile
from importlib.metadata import requires
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = folder.glob("*.whl")
    return made


@pytest.mark.slow
def test_the_wheel_holds_every_config_file_and_nothing_foreign(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"visrun/conf/{file.relative_to(ROOT / 'conf')}" for file in (ROOT / "conf").rglob("*.yaml")} <= names
    assert {f"visrun/{file.relative_to(ROOT / 'src/visrun')}" for file in (ROOT / "src/visrun").rglob("*.py")} <= names
    page = (ROOT / "src/visrun/web/static").rglob("*")
    assert {f"visrun/{file.relative_to(ROOT / 'src/visrun')}" for file in page if file.is_file()} <= names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"visrun"}
    licences = {str(file.relative_to(ROOT)) for file in [ROOT / "LICENSE", *(ROOT / "src").rglob("*LICENSE*")]}
    assert {name.partition(".dist-info/licenses/")[2] for name in names if ".dist-info/licenses/" in name} == licences


@pytest.mark.slow
def test_the_wheel_says_where_it_runs_and_what_it_needs(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        told = email.message_from_bytes(archive.read(name))
    classifiers = set(told.get_all("Classifier"))
    assert {"Typing :: Typed", "Operating System :: POSIX :: Linux"} <= classifiers
    least = told["Requires-Python"].removeprefix(">=")
    assert f"Programming Language :: Python :: {least}" in classifiers
    (own,) = [line for line in told.get_all("Requires-Dist") if line.startswith("omegaconf")]
    (hydras,) = [line for line in requires("hydra-core") or () if line.startswith("omegaconf")]
    assert own.removeprefix("omegaconf") in hydras  # Hydra refuses what is older


@pytest.mark.slow
def test_the_installed_wheel_composes_from_its_own_conf(wheel, tmp_path):
    target, cwd = tmp_path / "site", tmp_path / "elsewhere"
    cwd.mkdir()
    zipfile.ZipFile(wheel).extractall(target)
    program = "import sys, visrun; print(visrun.__file__); from visrun.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", program, "explain", "--json", "task=segmentation", "optimizer=adamw"],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    where, _, text = done.stdout.partition("\n")
    assert Path(where).is_relative_to(target)
    assert json.loads(text)["hyperparameters"]["optimizer"] == "adamw"


@pytest.mark.slow
def test_the_installed_wheel_serves_the_page(wheel, tmp_path):
    target, cwd = tmp_path / "site", tmp_path / "elsewhere"
    cwd.mkdir()
    zipfile.ZipFile(wheel).extractall(target)
    server = subprocess.Popen(
        [sys.executable, "-m", "visrun", "ui", "--no-browser", "--port", "0"],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(target)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with server:
        try:
            assert server.stdout is not None
            address = re.findall(r"http://\S+", server.stdout.readline())[0]
            opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(), urllib.request.ProxyHandler({}))
            opener.open(address, timeout=30).close()  # takes the cookie
            home = address.partition("/?")[0]
            page = opener.open(home, timeout=30).read().decode()
            loaded = re.findall(r'(?:src|href)="(/static/[^"]+)"', page)
            assert "/static/main.js" in loaded and any("uPlot" in path for path in loaded)
            assert all(opener.open(home + path, timeout=30).read() for path in loaded)
            catalog = json.load(opener.open(f"{home}/api/catalog", timeout=30))
            assert catalog["cwd"] == str(cwd)
        finally:
            server.terminate()
    assert server.returncode == 0
