"""What was read of a folder is kept until one of its files is another."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from visrun.files import stamp_of
from visrun.web.kept import Kept


def test_a_folder_is_read_again_once_a_file_there_is_another(tmp_path: Path) -> None:
    kept, reads = Kept(), list[int]()
    file = tmp_path / "a"

    def look(*, living: bool = False, also: Any = None) -> int:
        """How often it has been read."""

        def read() -> dict[str, Any]:
            reads.append(len(reads) + 1)
            return {"living": living, "read": len(reads)}

        return int(kept.of(tmp_path, ("a", "b"), read, also)["read"])

    assert [look(), look()] == [1, 1]
    file.write_text("12")
    assert [look(), look()] == [2, 2]
    os.utime(file, (5, 5))
    assert [look(), look()] == [3, 3]
    file.write_text("123")
    os.utime(file, (5, 5))
    assert [look(), look()] == [4, 4]
    (tmp_path / "c").touch()  # which it does not follow from
    assert look() == 4
    file.rename(tmp_path / "b")
    assert [look(), look()] == [5, 5]
    assert [look(also=("x",)), look(also=("x",))] == [6, 6]
    (tmp_path / "b").unlink()
    assert [look(living=True), look(living=True), look(), look()] == [7, 8, 9, 9]
    assert stamp_of(tmp_path / "b") is None
