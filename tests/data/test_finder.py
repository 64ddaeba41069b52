"""Images that label files name by folders and a file name that repeats in each, as the frames of cut videos have it."""

from __future__ import annotations

from pathlib import Path

import pytest

from visrun.data.readers import finder, namesakes


def frames(root: Path, videos: int) -> list[str]:
    """The names of frames as a label file beside ``root/frames`` would write them."""
    names = [f"video_{video}/{frame}.jpg" for video in range(videos) for frame in range(2)]
    for name in names:
        path = root / "frames" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return names


def test_a_name_with_its_folder_means_the_image_in_that_folder(tmp_path: Path) -> None:
    names = frames(tmp_path, 3)
    (found,) = finder.placed([("train", tmp_path / "train.csv", names)], tmp_path)
    assert found.paths == {name: tmp_path / "frames" / name for name in names}
    assert not found.doubts


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("folder", ["frames", "train/frames"])
@pytest.mark.parametrize("written", ["video_", "other_"])  # the images are there; all are missing
def test_looking_for_twice_the_names_takes_twice_as_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, split: str, folder: str, written: str
) -> None:
    looks = {20: 0, 40: 0}
    for videos in looks:
        root = tmp_path / str(videos)
        names = [name.replace("video_", written) for name in frames(root / folder, videos)]

        def counted(*given: object, videos: int = videos, really: object = namesakes.shared) -> int:
            looks[videos] += 1
            return really(*given)

        with monkeypatch.context() as patch:
            patch.setattr(namesakes, "shared", counted)
            finder.placed([(split, root / "labels.csv", names)], root)
    assert 0 < looks[40] <= 2.2 * looks[20]
