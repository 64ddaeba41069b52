"""YOLO's text labels, with and without a data.yaml, in every nesting."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visrun.data import recognise, records
from visrun.data.listing import Listing
from visrun.data.readers import yolo, yolo_yaml
from visrun.errors import DataError

SIZE = (40, 30)
LINE = "0 0.5 0.5 0.25 0.5\n"
NAMES = "names: [cat, dog]\n"


def picture(path: Path, shade: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", SIZE, shade).save(path)
    return path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def build(
    root: Path, *lines: str, only_outlines: bool = False, yaml: str = NAMES + "train: images\nval: images\n"
) -> Listing:
    """The listing of images 0.jpg, 1.jpg, ... with these label files."""
    for i, text in enumerate(lines):
        picture(root / "images" / f"{i}.jpg", i)
        write(root / "labels" / f"{i}.txt", text)
    write(root / "data.yaml", yaml)
    return yolo.read(root, only_outlines=only_outlines)


def found(listing: Listing, root: Path) -> dict[str, list[tuple[str, int]]]:
    return {
        split: [(row.image.relative_to(root).as_posix(), len(row.target)) for row in rows]
        for split, rows in listing.splits.items()
    }


FOLDERS = [
    ("images/a.jpg", "labels/a.txt", "all"),
    ("images/train/a.jpg", "labels/train/a.txt", "train"),
    ("train/images/a.jpg", "train/labels/a.txt", "train"),
    ("valid/images/deep/a.jpg", "valid/labels/deep/a.txt", "val"),
]


@pytest.mark.parametrize(("image", "label", "split"), FOLDERS)
def test_without_a_data_yaml(tmp_path: Path, image: str, label: str, split: str) -> None:
    picture(tmp_path / image)
    write(tmp_path / label, LINE)
    assert yolo.recognise(tmp_path)
    listing = yolo.read(tmp_path, only_outlines=False)
    assert found(listing, tmp_path) == {split: [(image, 1)]}
    assert listing.classes == ("class_0",)
    write(tmp_path / "classes.txt", "cat\ndog\n")
    assert yolo.read(tmp_path, only_outlines=False).classes == ("cat", "dog")


def test_texts_beside_images_in_another_case(tmp_path: Path) -> None:
    picture(tmp_path / "IMG_1.JPG")
    write(tmp_path / "img_1.txt", LINE)
    assert yolo.recognise(tmp_path)
    assert found(yolo.read(tmp_path, only_outlines=False), tmp_path) == {"all": [("IMG_1.JPG", 1)]}


def test_a_line_for_the_background_keeps_its_id(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.jpg")
    write(tmp_path / "labels" / "a.txt", LINE.replace("0", "2", 1))
    write(tmp_path / "classes.txt", "background\ncat\ndog\n")
    listing = yolo.read(tmp_path, only_outlines=False)
    assert listing.classes == ("background", "cat", "dog")
    assert listing.splits["all"][0].target.labels.tolist() == [2]


@pytest.mark.parametrize("names", ["classes.txt", "CLASSES.TXT"])
def test_masks_and_class_names_alone_are_no_labels(tmp_path: Path, names: str) -> None:
    picture(tmp_path / "images" / "a.png")
    picture(tmp_path / "labels" / "a.png")
    write(tmp_path / "labels" / names, "cat\n")
    assert not yolo.recognise(tmp_path)


SPLITS = [
    ("train: images/train\nval: images/val\n", "images/train/a.jpg", "images/val/a.jpg"),
    ("path: .\ntrain: images/train\nvalid: images/val\n", "images/train/a.jpg", "images/val/a.jpg"),
    ("path: ../datasets/pets\ntrain: train/images\nval: val/images\n", "train/images/a.jpg", "val/images/a.jpg"),
    ("path: /content/pets\ntrain: images/train\nval: images/val\n", "images/train/a.jpg", "images/val/a.jpg"),
    ("train: ../train/images\nval: ../valid/images\n", "train/images/a.jpg", "valid/images/a.jpg"),
    ("train: C:\\pets\\train\\images\nval: /home/me/pets/val/images\n", "train/images/a.jpg", "val/images/a.jpg"),
    ("train: train.txt\nval: val.txt\n", "images/x/a.jpg", "images/y/a.jpg"),
    ("train: [images/one, images/two]\nval: [images/val]\n", "images/two/a.jpg", "images/val/a.jpg"),
    ("train: train\nval: val\n", "train/a.jpg", "val/a.jpg"),
    ("path: train\ntrain: .\nval: ./../val\n", "train/a.jpg", "val/a.jpg"),
    ("path: C:\\data\\all\ntrain: images/x\nval: images/y\n", "all/images/x/a.jpg", "all/images/y/a.jpg"),
    ("path: ../sets/all\ntrain: images/x\nval: images/y\n", "sets/all/images/x/a.jpg", "sets/all/images/y/a.jpg"),
]


@pytest.mark.parametrize(("yaml", "train", "val"), SPLITS)
@pytest.mark.parametrize("names", [NAMES, "names:\n  0: cat\n  1: dog\n", "nc: 2\nnames: {1: dog, 0: cat}\n"])
def test_a_data_yaml_however_its_paths_are_written(tmp_path: Path, yaml: str, train: str, val: str, names: str) -> None:
    root = tmp_path / "pets"
    for split, image in (("train", train), ("val", val)):
        picture(root / image)
        write(root / label_of(image), LINE)
        write(root / f"{split}.txt", f"./{image}\n\n")
    file = write(root / "pets.yaml", names + yaml)
    for given in (root, file):
        assert yolo.recognise(given)
        listing = yolo.read(given, only_outlines=False)
        assert listing.classes == ("cat", "dog")
        assert found(listing, root) == {"train": [(train, 1)], "val": [(val, 1)]}
        first = listing.splits["train"][0]
        assert (first.where, first.target.spot(0)) == (train, f"{label_of(train)}:1")


def label_of(image: str) -> str:
    return image.replace("images/", "labels/").replace(".jpg", ".txt")


@pytest.mark.parametrize("train", ["images/b", "../pets/images/b", "[images/a, images/b]"])
def test_labels_lie_beside_a_linked_folder_of_images(tmp_path: Path, train: str) -> None:
    root = tmp_path / "pets"
    picture(root / "images" / "a" / "1.jpg")
    picture(tmp_path / "store" / "2.jpg")
    (root / "images" / "b").symlink_to(tmp_path / "store")
    for name in ("a/1", "b/2"):
        write(root / "labels" / f"{name}.txt", LINE)
    write(root / "data.yaml", NAMES + f"train: {train}\n")
    rows = found(yolo.read(root, only_outlines=False), root)["train"]
    assert rows == [("images/a/1.jpg", 1), ("images/b/2.jpg", 1)][-len(rows) :]


def test_a_path_out_of_a_linked_dataset_starts_where_the_link_leads(tmp_path: Path) -> None:
    picture(tmp_path / "store" / "train" / "images" / "a.jpg")
    write(tmp_path / "store" / "train" / "labels" / "a.txt", LINE)
    write(tmp_path / "store" / "pets" / "data.yaml", NAMES + "train: ../train/images\n")
    (tmp_path / "train" / "images").mkdir(parents=True)
    (tmp_path / "pets").symlink_to(tmp_path / "store" / "pets")
    listing = yolo.read(tmp_path / "pets", only_outlines=False)
    assert found(listing, tmp_path / "store") == {"train": [("train/images/a.jpg", 1)]}


@pytest.mark.parametrize(
    ("yaml", "clash"),
    [
        ("train: ../train/images\nval: ../valid/images\n", True),
        ("train: /content/a/images\nval: images\n", True),
        ("train: images\nval: ./images\n", False),
        ("train: ../images\nval: ./images\n", False),
        ("train: /content/images\nval: /content/images\n", False),
    ],
)
def test_two_paths_that_are_not_there_are_not_one_folder(tmp_path: Path, yaml: str, clash: bool) -> None:
    if clash:
        with pytest.raises(DataError, match=r"not where it says, and .*images cannot be both: mend these paths"):
            build(tmp_path, LINE, yaml=NAMES + yaml)
    else:
        assert list(build(tmp_path, LINE, yaml=NAMES + yaml).splits) == ["train", "val"]


def test_splits_that_are_not_there(tmp_path: Path) -> None:
    listing = build(tmp_path, LINE, yaml=NAMES + "train: images\nval: images\ntest: images/test\n")
    assert list(listing.splits) == ["train", "val"]
    assert listing.warnings == ("data.yaml names test images that are not there: images/test",)
    with pytest.raises(DataError, match=r"data\.yaml: val: no images at images/val$"):
        build(tmp_path, LINE, yaml=NAMES + "train: images\nval: images/val\n")
    with pytest.raises(DataError) as caught:
        build(tmp_path, LINE, yaml=NAMES + "path: /far/away\ntrain: images\nval: images/val\n")
    looked = f"(path: /far/away; looked in /far/away and {tmp_path})"
    assert str(caught.value) == f"{tmp_path / 'data.yaml'}: val: no images at images/val {looked}"


def test_a_data_yaml_beside_label_files_of_dota_is_none(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        picture(tmp_path / split / "images" / "a.jpg")
        write(tmp_path / split / "labelTxt" / "a.txt", "1 1 9 1 9 5 1 5 cat 0\n")
    write(tmp_path / "data.yaml", NAMES + "train: ../train/images\nval: ../valid/images\n")
    assert not yolo.recognise(tmp_path)
    assert recognise.fitting(tmp_path, "oriented_object_detection") == ["dota"]
    write(tmp_path / "train" / "labels" / "a.txt", LINE)
    assert yolo.recognise(tmp_path)


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("names: [a\ntrain: x\n", r"data\.yaml:\d+: broken YAML"),
        ("names: !!map x\ntrain: images\n", r"data\.yaml:\d+: broken YAML"),
        ("names: 3\ntrain: images\n", "names is neither a list"),
        ("names: {a: cat}\ntrain: images\n", "names is neither a list"),
        (f"names:\n  ? {'9' * 5000}\n  : cat\ntrain: images\n", "names is neither a list"),
        ("names: {99999999999: cat}\ntrain: images\n", "names is neither a list"),
        ("a: &a [x, x]\nb: &b [*a, *a]\nnames: [*b, *b]\ntrain: images\n", "names is neither a list"),
        ("names: [cat]\ntrain: {a: b}\n", "where a path is expected stands dict"),
        (f"names: [cat]\ntrain: {'a' * 5000}\n", "train: no images at aaa"),
        ("set:\n  names: [cat]\n  train: images\n", "must stand at its top level"),
        ("names: !!python/object/apply:os.system ['true']\ntrain: images\n", "broken YAML"),
    ],
)
def test_a_data_yaml_that_cannot_be_used(tmp_path: Path, yaml: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        build(tmp_path, LINE, yaml=yaml)


PLAIN = "train: images\nval: images\nnames: [chat, béluga]\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("data.yaml", b"\xef\xbb\xbf" + PLAIN.encode()),
        ("data.yaml", PLAIN.encode("utf-16")),
        ("data.yaml", PLAIN.replace("\n", "\r\n").encode("utf-16")),
        ("Data.YAML", PLAIN.encode()),
        ("data.Yml", PLAIN.encode()),
        ("data.yaml", "{names: [chat, béluga], train: images, val: images}".encode()),
        ("data.yaml", b'{"train": "images", "val": "images", "names": ["chat", "b\\u00e9luga"]}'),
    ],
)
def test_a_data_yaml_however_it_is_saved(tmp_path: Path, name: str, text: bytes) -> None:
    build(tmp_path, LINE)
    (tmp_path / "data.yaml").unlink()
    (tmp_path / name).write_bytes(text)
    listing = yolo.read(tmp_path, only_outlines=False)
    assert (listing.classes, list(listing.splits)) == (("chat", "béluga"), ["train", "val"])


@pytest.mark.parametrize(("key", "split"), [("val", "val"), ("valid", "val"), ("test", "test")])
def test_a_data_yaml_may_be_for_evaluation_only(tmp_path: Path, key: str, split: str) -> None:
    listing = build(tmp_path, LINE, yaml=NAMES + f"{key}: images\n")
    assert (listing.classes, list(listing.splits)) == (("cat", "dog"), [split])


def test_a_data_yaml_or_a_list_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    build(tmp_path, LINE)
    (tmp_path / "data.yaml").write_bytes(PLAIN.encode("latin-1"))
    with pytest.raises(DataError, match=r"data\.yaml:3: not UTF-8 \(byte 0xe9 at 41\): save it as UTF-8$"):
        yolo.read(tmp_path, only_outlines=False)
    write(tmp_path / "data.yaml", NAMES + "train: list.txt\n")
    (tmp_path / "list.txt").write_bytes(b"images/0.jpg\nimages/\xe9.jpg\n")
    with pytest.raises(DataError, match=r"list\.txt:2: not UTF-8 \(byte 0xe9 at 20\): save it as UTF-8$"):
        yolo.read(tmp_path, only_outlines=False)


@pytest.mark.parametrize(
    "yaml",
    ["", "[[[", "- - -\n", "name: [cat, dog]\ntrain: images\n", "names: [cat, dog]\n", "stages: {a: b}\n", "names:\n"],
)
@pytest.mark.parametrize("classes", ["", "cat\ndog\n"])
def test_a_data_yaml_that_may_be_another_tools_is_passed_over_and_said(tmp_path: Path, yaml: str, classes: str) -> None:
    if classes:
        write(tmp_path / "classes.txt", classes)
    listing = build(tmp_path, LINE, LINE.replace("0", "1", 1), yaml=yaml)
    assert listing.warnings == ("data.yaml is not read: names and train, val or test must stand at its top level",)
    assert listing.classes == (("cat", "dog") if classes else ("class_0", "class_1"))


@pytest.mark.parametrize("yaml", ["names: [cat, dog", "nc: 2\nnames: [cat, dog\n"])
def test_a_data_yaml_that_is_cut_short_is_refused(tmp_path: Path, yaml: str) -> None:
    with pytest.raises(DataError, match=r"data\.yaml:\d: broken YAML"):
        build(tmp_path, LINE, yaml=yaml)


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("names: [cat, dog", "1: broken YAML"),
        ("[[[", "1: broken YAML"),
        ("name: [cat]\ntrain: images\n", " names and train"),
    ],
)
def test_a_yaml_that_is_the_root_itself_is_meant(tmp_path: Path, yaml: str, message: str) -> None:
    file = write(tmp_path / "pets.yml", yaml)
    assert recognise.fitting(file, "object_detection") == ["yolo"]
    with pytest.raises(DataError, match=rf"pets\.yml:{message}"):
        yolo.read(file, only_outlines=False)


@pytest.mark.parametrize("twice", ["0", "00", "'0'", "\uff10"])
def test_an_id_that_stands_twice_is_refused(tmp_path: Path, twice: str) -> None:
    with pytest.raises(DataError, match=r"data\.yaml:3: broken YAML \(id .* stands twice\)$"):
        build(tmp_path, LINE, yaml=f"names:\n  0: cat\n  {twice}: dog\n  2: emu\ntrain: images\n")


def test_names_are_taken_as_they_are_written(tmp_path: Path) -> None:
    yaml = "names: [no, yes, 1.50, 007, 2024-01-01, 'off']\ntrain: images\n"
    assert build(tmp_path, LINE, yaml=yaml).classes == ("no", "yes", "1.50", "007", "2024-01-01", "off")
    yaml = "names:\n  0: y\n  2: on\ntrain: images\nval: ~\ntest:\n"
    listing = build(tmp_path, LINE, yaml=yaml)
    assert (listing.classes, list(listing.splits)) == (("y", "class_1", "on"), ["train"])


@pytest.mark.parametrize("names", ["[cat, dog, cat]", "{0: cat, 1: dog, 5: cat}"])
def test_a_class_that_a_data_yaml_names_twice_is_refused(tmp_path: Path, names: str) -> None:
    with pytest.raises(DataError, match=r"data\.yaml: class cat stands twice: give each id a name of its own$"):
        build(tmp_path, LINE, yaml=f"names: {names}\ntrain: images\n")


def test_other_yaml_files_are_none(tmp_path: Path) -> None:
    write(tmp_path / "config.yaml", "task: segmentation\n")
    write(tmp_path / "hyp.yml", "names: x\n")
    write(tmp_path / ".hidden.yml", NAMES + "train: images\n")
    assert not yolo.recognise(tmp_path)


def test_of_several_data_yaml_that_differ_one_is_to_be_chosen(tmp_path: Path) -> None:
    build(tmp_path, LINE)
    write(tmp_path / "copy.yaml", (tmp_path / "data.yaml").read_text())
    assert yolo.read(tmp_path, only_outlines=False).classes == ("cat", "dog")
    other = write(tmp_path / "other.yaml", "names: [x, y]\ntrain: images\nval: images\n")
    with pytest.raises(DataError, match=r"several data\.yaml, choose one: data\.root=.*copy\.yaml or .*other\.yaml$"):
        yolo.read(tmp_path, only_outlines=False)
    assert yolo.read(other, only_outlines=False).classes == ("x", "y")


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        ({"all": ""}, "classes.txt"),  # LabelImg
        ({"train": "train/", "val": "valid/", "test": "test/"}, "train/_darknet.labels"),  # Roboflow
        ({"all": "data/"}, "obj.names"),  # FiftyOne
        ({"train": "images/train/", "val": "images/val/"}, "classes.txt"),
    ],
)
def test_label_files_beside_their_images(tmp_path: Path, folders: dict[str, str], names: str) -> None:
    for i, folder in enumerate(folders.values()):
        for name, text in {"a": "", "b": LINE, "c": None}.items():
            picture(tmp_path / f"{folder}{name}.jpg", i)
            if text is not None:
                write(tmp_path / f"{folder}{name}.txt", text)
    write(tmp_path / names, "cat\ndog\n")
    assert yolo.recognise(tmp_path)
    listing = yolo.read(tmp_path, only_outlines=False)
    assert listing.classes == ("cat", "dog")
    assert found(listing, tmp_path) == {
        split: [(f"{folder}{name}.jpg", n) for name, n in (("a", 0), ("b", 1), ("c", 0))]
        for split, folder in folders.items()
    }
    assert listing.warnings == ()
    picture(tmp_path / "more" / "d.jpg")
    told = ("1 image without a label file in their folder is left out, such as more/d.jpg",)
    assert yolo.read(tmp_path, only_outlines=False).warnings == told


@pytest.mark.parametrize("text", ["a cat on a mat", "1 2 30 2 30 20 1 20 plane 0\n", ""])
def test_other_texts_beside_images_are_no_labels(tmp_path: Path, text: str) -> None:
    picture(tmp_path / "a.jpg")
    write(tmp_path / "a.txt", text)
    write(tmp_path / "numbers.txt", LINE)
    assert not yolo.recognise(tmp_path)


@pytest.mark.parametrize(
    ("file", "text", "layout"),
    [
        (
            "a.xml",
            "<annotation><filename>a.jpg</filename><object><name>cat</name><bndbox><xmin>1</xmin><ymin>1</ymin>"
            "<xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>",
            "voc",
        ),
        (
            "a.json",
            '{"imagePath": "a.jpg", "shapes": [{"label": "cat", "points": [[1,1],[9,9]], "shape_type": "rectangle"}]}',
            "labelme",
        ),
        ("boxes.csv", "image,class,xmin,ymin,xmax,ymax\na.jpg,cat,1,1,9,9\n", "boxes"),
        ("a.md", "", "yolo"),
    ],
)
def test_layouts_with_names_go_before_label_files_beside_images(
    tmp_path: Path, file: str, text: str, layout: str
) -> None:
    picture(tmp_path / "a.jpg")
    write(tmp_path / "a.txt", LINE)
    write(tmp_path / file, text)
    assert recognise.listing(tmp_path, task="object_detection").layout == layout
    assert recognise.listing(tmp_path, task="object_detection", reader="yolo").listing.classes == ("class_0",)


def darknet(root: Path, data: str, *, lines: str = "data/obj_train_data/{}.jpg\n") -> Path:
    """As CVAT exports "YOLO 1.1": all paths as if the folder were called data."""
    for name in "ab":
        picture(root / "obj_train_data" / f"{name}.jpg")
        write(root / "obj_train_data" / f"{name}.txt", LINE)
    write(root / "obj.data", data)
    write(root / "obj.names", "cat\ndog\n")
    write(root / "train.txt", "".join(map(lines.format, "ab")))
    write(root / "valid.txt", lines.format("b"))
    return root


DATA = "classes = 2\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/\n"


@pytest.mark.parametrize(
    "lines", ["data/obj_train_data/{}.jpg\n", "obj_train_data/{}.jpg\r\n", "C:\\x\\obj_train_data\\{}.jpg\n"]
)
def test_darknets_data_file(tmp_path: Path, lines: str) -> None:
    darknet(tmp_path, DATA + "valid = data/valid.txt\ntest = data/test.txt\n", lines=lines)
    for root in (tmp_path, tmp_path / "obj.data"):
        assert yolo.recognise(root)
        listing = yolo.read(root, only_outlines=False)
        assert listing.classes == ("cat", "dog")
        a, b = (f"obj_train_data/{name}.jpg" for name in "ab")
        assert found(listing, tmp_path) == {"train": [(a, 1), (b, 1)], "val": [(b, 1)]}
        assert listing.warnings == ("obj.data names test images that are not there: data/test.txt",)


def test_an_image_that_a_list_misses_is_not_another_of_its_name(tmp_path: Path) -> None:
    picture(darknet(tmp_path, DATA, lines="sub/{}.jpg\n") / "a.jpg")
    found = yolo_yaml.images(tmp_path / "obj.data", None, "train.txt")
    assert found == [tmp_path / "sub" / "a.jpg", tmp_path / "sub" / "b.jpg"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (DATA.replace("train.txt", "gone.txt"), r"obj\.data: train: no images at data/gone\.txt"),
        (DATA.replace("obj.names", "gone.names"), r"obj\.data: names: no file at data/gone\.names"),
    ],
)
def test_a_data_file_that_names_what_is_not_there(tmp_path: Path, data: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        yolo.read(darknet(tmp_path, data), only_outlines=False)


def test_missing_and_empty_label_files_show_nothing(tmp_path: Path) -> None:
    listing = build(tmp_path, LINE, "", "\n \n")
    picture(tmp_path / "images" / "9.jpg")
    listing = yolo.read(tmp_path, only_outlines=False)
    assert [len(row.target) for row in listing.splits["train"]] == [1, 0, 0, 0]
    assert listing.problems == ()


@pytest.mark.parametrize("yaml", [None, NAMES + "train: images/train\n"])
def test_images_in_subfolders_find_their_labels_in_none(tmp_path: Path, yaml: str | None) -> None:
    for place in ("a/x", "b/y", "b/z"):
        picture(tmp_path / "images" / "train" / f"{place}.jpg", ord(place[0]))
    write(tmp_path / "labels" / "train" / "x.txt", LINE)
    write(tmp_path / "labels" / "train" / "b" / "y.txt", LINE * 2)
    write(tmp_path / "labels" / "y.txt", LINE * 3)  # nobody's: y has its own
    if yaml:
        write(tmp_path / "data.yaml", yaml)
    listing = yolo.read(tmp_path, only_outlines=False)
    assert [len(row.target) for row in listing.splits["train"]] == [1, 2, 0]
    drawing(tmp_path / "images" / "train" / "b" / "x.jpg", 1)
    problems = yolo.read(tmp_path, only_outlines=False).problems
    assert [str(p).split(":")[0] for p in problems] == ["images/train/a/x.jpg", "images/train/b/x.jpg"]


def test_label_files_without_an_image_are_said_but_not_those_of_images_that_no_list_names(tmp_path: Path) -> None:
    write(tmp_path / "list.txt", "images/0.jpg\n")
    listing = build(tmp_path, LINE, LINE, yaml=NAMES + "train: list.txt\n")
    assert listing.warnings == ()
    write(tmp_path / "labels" / "gone.txt", LINE)
    listing = yolo.read(tmp_path, only_outlines=False)
    assert listing.warnings == ("1 label file without an image is left out, such as labels/gone.txt",)


def test_of_two_suffixes_the_usual_one_counts(tmp_path: Path) -> None:
    write(tmp_path / "labels" / "0.TXT", LINE + LINE.replace("0.25", "0.5"))
    assert len(build(tmp_path, LINE).splits["train"][0].target) == 1


def test_labels_that_are_nowhere_are_no_empty_dataset(tmp_path: Path) -> None:
    build(tmp_path, LINE, yaml=NAMES + "train: images\nval: images\n")
    picture(tmp_path / "more" / "images" / "a.jpg")
    with pytest.raises(DataError, match=r"none of the 1 images of val has a label file, such as .*more/labels/a\.txt"):
        build(tmp_path, LINE, yaml=NAMES + "train: images\nval: more/images\n")
    listing = build(tmp_path, LINE, yaml=NAMES + "train: images\nval: images\ntest: more/images\n")
    assert list(listing.splits) == ["train", "val"]
    assert "the split is left out" in listing.warnings[0]


# lines


def test_boxes_by_hand(tmp_path: Path) -> None:
    several = build(tmp_path, "\ufeff1 0.5 0.5 0.25 0.5\r\n\r\n0 0.1 0.2 0.2 0.4").splits["train"][0].target
    assert several.labels.tolist() == [1, 0]
    assert several.boxes.round(9).tolist() == [[0.375, 0.25, 0.625, 0.75], [0, 0, 0.2, 0.4]]
    assert (several.relative, several.spot(1)) == (True, "labels/0.txt:3")


QUAD = "0 .1 .1 .5 .1 .5 .4 .1 .4\n"
TRIANGLE = "1 .1 .1 .5 .1 .5 .4\n"


@pytest.mark.parametrize(
    ("lines", "task", "form"),
    [
        ([LINE], "object_detection", "boxes"),
        ([QUAD], "object_detection", "quads"),
        ([QUAD], "oriented_object_detection", "quads"),
        ([QUAD], "classification", "quads"),
        ([QUAD], "instance_segmentation", "outlines"),
        ([QUAD], "segmentation", "outlines"),
        ([QUAD, TRIANGLE], "oriented_object_detection", "outlines"),
        ([QUAD + LINE], "oriented_object_detection", "quads"),
        ([LINE, TRIANGLE], "object_detection", "outlines"),
        ([""], "object_detection", "boxes"),
    ],
)
def test_what_lines_of_four_points_are(tmp_path: Path, lines: list[str], task: str, form: str) -> None:
    build(tmp_path, *lines)
    listing = recognise.read(tmp_path, "yolo", task).listing
    first = listing.splits["train"][0].target
    assert (first.quads is not None, first.outlines is not None) == (form == "quads", form == "outlines")
    assert listing.warnings == (
        ("lines of four corners are read as outlines",) if lines == [QUAD] and form == "outlines" else ()
    )


def test_corners_and_outlines_by_hand(tmp_path: Path) -> None:
    quad = build(tmp_path, QUAD).splits["train"][0].target
    assert quad.quads.tolist() == [[[0.1, 0.1], [0.5, 0.1], [0.5, 0.4], [0.1, 0.4]]]
    assert quad.boxes.tolist() == [[0.1, 0.1, 0.5, 0.4]]
    mixed = build(tmp_path, TRIANGLE + LINE, only_outlines=True).splits["train"][0].target
    assert mixed.outlines[0][0].tolist() == [[0.1, 0.1], [0.5, 0.1], [0.5, 0.4]]
    assert mixed.outlines[1] is None
    assert mixed.boxes.tolist() == [[0.1, 0.1, 0.5, 0.4], [0.375, 0.25, 0.625, 0.75]]


@pytest.mark.parametrize(("count", "told"), [("2", False), ("'2'", False), ("", False), ("3", True), ("1", True)])
def test_a_number_of_classes_that_is_not_that_of_the_names_is_said(tmp_path: Path, count: str, told: bool) -> None:
    listing = build(tmp_path, LINE, yaml=NAMES + f"nc: {count}\ntrain: images\nval: images\n")
    assert listing.classes == ("cat", "dog")
    assert listing.warnings == ((f"data.yaml says nc: {count} and names 2: the names count",) if told else ())


@pytest.mark.parametrize(("shape", "count"), [("[2, 2]", 4), ("[4, 2]", 8), ("[1, 3]", 3), ("[1, 1]", 1)])
def test_of_lines_with_keypoints_the_boxes_are_read(tmp_path: Path, shape: str, count: int) -> None:
    yaml = NAMES + f"train: images\nval: images\nkpt_shape: {shape}\n"
    listing = build(tmp_path, "1 0.5 0.5 0.25 0.5" + " 0.4" * count + "\n" + LINE, yaml=yaml)
    several = listing.splits["train"][0].target
    assert (several.quads, several.outlines, several.labels.tolist()) == (None, None, [1, 0])
    assert several.boxes.tolist() == [[0.375, 0.25, 0.625, 0.75]] * 2
    assert listing.warnings == ("data.yaml has a kpt_shape: keypoints are left out, the boxes before them are read",)


def pose(x: float, y: float, step: int) -> str:
    """A person of four keypoints in a box of 0.2 x 0.3."""
    offsets = [(-0.08, -0.1), (0.08, -0.1), (0.0, 0.05), (0.05, 0.14)]
    points = [(x + dx, y + dy, 2)[:step] for dx, dy in offsets]
    return f"0 {x} {y} 0.2 0.3 " + " ".join(str(number) for point in points for number in point) + "\n"


@pytest.mark.parametrize(("step", "count"), [(2, 8), (3, 12)])
@pytest.mark.parametrize("only_outlines", [False, True])
def test_keypoints_that_nothing_tells_of_are_no_outlines(
    tmp_path: Path, step: int, count: int, only_outlines: bool
) -> None:
    more = "".join(pose(0.3 + 0.1 * i, 0.4, step) for i in range(3))
    lines = [pose(0.3, 0.2, step) + pose(0.7, 0.5, step), "", pose(0.5, 0.8, step), more]
    listing = build(tmp_path, *lines, only_outlines=only_outlines)
    several = listing.splits["train"][0].target
    assert (several.quads, several.outlines) == (None, None)
    np.testing.assert_allclose(several.boxes, [[0.2, 0.05, 0.4, 0.35], [0.6, 0.35, 0.8, 0.65]])
    assert listing.warnings == (f"behind each box stand {count} numbers of keypoints, which are left out",)


@pytest.mark.parametrize("points", [5, 6, 8])
@pytest.mark.parametrize("size", [0.05, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("seed", range(3))
def test_outlines_of_one_number_of_points_are_outlines(tmp_path: Path, points: int, size: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    angles = np.linspace(0, 2 * np.pi, points, endpoint=False)
    ring = np.stack([np.cos(angles), np.sin(angles)], 1) * size / 2
    centres = generator.uniform(size / 2, 1 - size / 2, (8, 2))
    lines = [f"0 {' '.join(map(str, (ring + centre).ravel()))}\n" for centre in centres]
    assert build(tmp_path, *lines).splits["train"][0].target.outlines is not None


def test_a_line_of_other_keypoints_is_named(tmp_path: Path) -> None:
    yaml = NAMES + "train: images\nval: images\nkpt_shape: [2, 3]\n"
    listing = build(tmp_path, LINE.strip() + " 0.4" * 4, LINE, yaml=yaml)
    what = "labels/0.txt:1: 8 numbers after the class: a box has 4, its keypoints 6 (kpt_shape)"
    assert str(listing.problems[0]) == what


@pytest.mark.parametrize("shape", ["17", "[17]", "[17, x]", "[0, 3]", f"[{'9' * 5000}, 3]", "[[17, 3], 3]"])
def test_a_shape_of_keypoints_that_is_none(tmp_path: Path, shape: str) -> None:
    with pytest.raises(DataError, match=r"data\.yaml: kpt_shape is not the number of keypoints and that of"):
        build(tmp_path, LINE, yaml=NAMES + f"train: images\nval: images\nkpt_shape: {shape}\n")


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("0 .5 .5 .2", "3 numbers after the class: a box has 4 (cx cy w h), an outline 2 for each point"),
        ("0", "0 numbers after the class: a box has 4 (cx cy w h), an outline 2 for each point"),
        ("0 1 2 3 4 5 6 7", "7 numbers after the class: a box has 4 (cx cy w h), an outline 2 for each point"),
        ("0 .5 .5 .2 .2 .9", "5 numbers after the class: a box has 4 (cx cy w h), a turned box 8 (its corners); an"),
        ("cat .5 .5 .2 .2", "no line of numbers: 'cat .5 .5 .2 .2'"),
        ("0 .5 .5 .2 0.1_9", "no line of numbers: '0 .5 .5 .2 0.1_9'"),
        ("0 .5 .5 .2 x", "no line of numbers: '0 .5 .5 .2 x'"),
        ("0.5 .5 .5 .2 .2", "class 0.5 is no whole number, or out of range"),
        ("1e300 .5 .5 .2 .2", "class 1e300 is no whole number, or out of range"),
        ("nan .5 .5 .2 .2", "class nan is no whole number, or out of range"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(tmp_path: Path, line: str, what: str) -> None:
    listing = build(tmp_path, LINE + line, LINE)
    assert [str(p)[: len(what) + 16] for p in listing.problems[:1]] == [f"labels/0.txt:2: {what}"]
    assert found(listing, tmp_path)["train"] == [("images/1.jpg", 1)]


def test_lines_that_the_checks_refuse_are_named(tmp_path: Path) -> None:
    lines = ["2 .5 .5 .2 .2", "-1 .5 .5 .2 .2", "0 20 15 8 8", "0 .5 .5 0 .2", "0 nan .5 .2 .2", "0 1.4 .5 .2 .2"]
    build(tmp_path, *(LINE + line for line in lines))
    with pytest.raises(DataError) as caught:
        records.read(tmp_path, task="object_detection", reader="yolo")
    assert {line.strip() for line in str(caught.value).splitlines()[1:-1]} == {
        "labels/0.txt:2: class 2 is out of range: there are 2 classes (cat, dog)",
        "labels/1.txt:2: class -1 is out of range: there are 2 classes (cat, dog)",
        "labels/2.txt:2: shares of width and height from 16 to 24: they go from 0 to 1 (are these pixels?)",
        "labels/3.txt:2: an object of no size (0x6 pixels)",
        "labels/4.txt:2: a coordinate is no finite number",
        "labels/5.txt:2: wholly outside its image of 40x30 pixels",
    }


def drawing(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    blocks = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    Image.fromarray(blocks).resize(SIZE, Image.Resampling.NEAREST).save(path)
    return path


@pytest.mark.parametrize("other", ["images/a.jpg", "images/a.bmp"])
def test_different_pictures_of_one_name_do_not_share_a_label_file(tmp_path: Path, other: str) -> None:
    drawing(tmp_path / "images" / "a.png", 0)
    drawing(tmp_path / other, 1)
    drawing(tmp_path / "images" / "b.png", 2)
    for name in "ab":
        write(tmp_path / "labels" / f"{name}.txt", LINE)
    listing = yolo.read(tmp_path, only_outlines=False)
    assert found(listing, tmp_path) == {"all": [("images/b.png", 1)]}
    told = "labels/a.txt is also that of {}, another picture: rename or remove one"
    names = {"images/a.png": Path(other).name, other: "a.png"}
    assert {str(problem) for problem in listing.problems} == {f"{a}: {told.format(b)}" for a, b in names.items()}


def test_one_picture_in_two_formats_is_one(tmp_path: Path) -> None:
    drawing(tmp_path / "images" / "a.png", 0)
    drawing(tmp_path / "images" / "a.jpg", 0)
    (tmp_path / "images" / "a.gif").write_bytes(b"broken")  # the checks say so
    write(tmp_path / "labels" / "a.txt", LINE)
    listing = yolo.read(tmp_path, only_outlines=False)
    assert (len(listing.splits["all"]), listing.problems) == (3, ())


@pytest.mark.parametrize("beside", [False, True])
def test_classes_of_two_folders_must_be_the_same(tmp_path: Path, beside: bool) -> None:
    for number, split in enumerate(("train", "val")):
        home = tmp_path / split if beside else tmp_path / split / "images"
        drawing(home / f"{split}.png", number)
        write((home if beside else tmp_path / split / "labels") / f"{split}.txt", LINE)
    folders = [tmp_path / split / ("" if beside else "labels") for split in ("train", "val")]
    write(folders[0] / "classes.txt", "cat\ndog\n")
    write(folders[1] / "classes.txt", "cat\n")  # LabelImg writes those that it has met
    assert yolo.read(tmp_path, only_outlines=False).classes == ("cat", "dog")
    write(folders[1] / "classes.txt", "dog\ncat\n")
    with pytest.raises(DataError, match=r"train.* and .*val.*: the classes differ: give both the same, in one order"):
        yolo.read(tmp_path, only_outlines=False)
    write(tmp_path / "classes.txt", "cow\npig\n")  # the dataset's own go before
    assert yolo.read(tmp_path, only_outlines=False).classes == ("cow", "pig")
