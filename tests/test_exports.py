import subprocess
import sys

import visrun


def test_all_is_sorted_and_every_name_is_there():
    assert visrun.__all__ == sorted(visrun.__all__)
    for name in visrun.__all__:
        assert getattr(visrun, name).__module__.startswith("visrun."), name
        assert name in dir(visrun)


def test_the_package_alone_imports_nothing_heavy():
    program = "import sys, visrun; print([m for m in ('torch', 'hydra', 'mlflow', 'pydantic') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(visrun, "nothing_like_this")
