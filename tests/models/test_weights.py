"""Where weights come from: the cache, a download, or chance."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch
import torchvision
from torch import nn

from visrun.errors import ConfigError
from visrun.models import create, weights
from visrun.models.weights import IMAGENET_MEAN, IMAGENET_STD, cached, fetch

Cache = Callable[[Any, nn.Module], dict[str, torch.Tensor]]
RESNET18 = torchvision.models.ResNet18_Weights.IMAGENET1K_V1


def same_body(module: nn.Module, state: dict[str, torch.Tensor], head: str) -> bool:
    return all(torch.equal(v, state[k]) for k, v in module.state_dict().items() if not k.startswith(head))


@pytest.mark.usefixtures("hub")
def test_without_network_auto_starts_from_random_and_says_so() -> None:
    built = create("resnet18", num_outputs=3, image_size=64, pretrained="auto")
    assert built.origin.startswith("random: no pretrained weights (not in ")
    assert built.origin.endswith("no route to host)")
    assert (built.mean, built.std) == (IMAGENET_MEAN, IMAGENET_STD)


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("name", ["resnet18", "lraspp", "unet", "small_resnet"])
def test_weights_that_cannot_be_had_are_an_error_when_asked_for(name: str) -> None:
    with pytest.raises(ConfigError, match=r"^model\.pretrained=true: no weights .*use auto or false"):
        create(name, num_outputs=3, image_size=64, pretrained=True)


def test_false_never_looks(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "fetch", lambda _: pytest.fail("looked for weights"))
    assert create("resnet18", num_outputs=3, image_size=64, pretrained=False).origin == "random: model.pretrained=false"
    assert not hub.exists()


@pytest.mark.parametrize("pretrained", [True, "auto"])
def test_cached_weights_are_used_without_network(cache: Cache, pretrained: Any) -> None:
    state = cache(RESNET18, torchvision.models.resnet18())
    built = create("resnet18", num_outputs=1000, image_size=64, pretrained=pretrained)
    assert built.origin == "pretrained ResNet18_Weights.IMAGENET1K_V1 (cached)"
    assert same_body(built.module, state, "fc")
    assert not torch.equal(built.module.state_dict()["fc.weight"], state["fc.weight"])  # new, though it would fit


def test_second_best_weights_are_used_where_only_those_are_cached(cache: Cache) -> None:
    cache(torchvision.models.MobileNet_V3_Large_Weights.IMAGENET1K_V1, torchvision.models.mobilenet_v3_large())
    built = create("mobilenet_v3_large", num_outputs=2, image_size=64)
    assert built.origin == "pretrained MobileNet_V3_Large_Weights.IMAGENET1K_V1 (cached)"


@pytest.mark.parametrize(
    ("name", "mean"),
    [
        ("googlenet", (0.5, 0.5, 0.5)),
        ("dense_googlenet", (0.5, 0.5, 0.5)),
        ("efficientnet_v2_s", IMAGENET_MEAN),
        ("dense_efficientnet_v2_l", (0.5, 0.5, 0.5)),
        ("dense_resnet18", IMAGENET_MEAN),
        ("unet", IMAGENET_MEAN),
    ],
)
def test_without_weights_the_normalisation_is_that_of_the_published_ones(name: str, mean: Any) -> None:
    """A file that was downloaded by hand holds those, and says nothing of it."""
    target = {"dense": "boxes", "unet": "mask"}.get(name.partition("_")[0], "label")
    with torch.device("meta"):
        built = create(name, num_outputs=2, image_size=64, pretrained=False, target=target)
    assert built.mean == mean


@pytest.mark.usefixtures("hub")
def test_normalisation_belongs_to_the_weights(cache: Cache) -> None:
    """GoogLeNet's weights want (x - 0.5) / 0.5; torchvision converts inside the network, visrun at its input."""
    published = torchvision.models.GoogLeNet_Weights.IMAGENET1K_V1
    cache(published, torchvision.models.googlenet(init_weights=False, aux_logits=True))
    theirs = torchvision.models.googlenet(weights=published, progress=False).eval()
    built = create("googlenet", num_outputs=2, image_size=64, pretrained=True)
    assert (built.mean, built.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    theirs.fc = built.module.fc
    pixels = torch.rand(2, 3, 64, 64)

    def normalise(mean: Any, std: Any) -> torch.Tensor:
        return (pixels - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]

    ours = built.module.eval()(normalise(built.mean, built.std))
    assert torch.allclose(ours, theirs(normalise(IMAGENET_MEAN, IMAGENET_STD)), atol=1e-6)


def test_a_segmentation_network_begins_with_what_is_cached(cache: Cache) -> None:
    segmentation = torchvision.models.segmentation
    backbone = torchvision.models.mobilenet_v3_large()
    state = cache(torchvision.models.MobileNet_V3_Large_Weights.DEFAULT, backbone)
    built = create("lraspp", num_outputs=4, image_size=64)
    assert built.origin == "pretrained MobileNet_V3_Large_Weights.IMAGENET1K_V2 (cached)"
    assert torch.equal(built.module.state_dict()["backbone.0.0.weight"], state["features.0.0.weight"])
    whole = segmentation.lraspp_mobilenet_v3_large(weights_backbone=None, num_classes=21)
    state = cache(segmentation.LRASPP_MobileNet_V3_Large_Weights.DEFAULT, whole)
    built = create("lraspp", num_outputs=21, image_size=64)
    assert built.origin == "pretrained LRASPP_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1 (cached)"
    assert torch.equal(built.module.state_dict()["classifier.cbr.0.weight"], state["classifier.cbr.0.weight"])
    assert not torch.equal(
        built.module.state_dict()["classifier.low_classifier.weight"], state["classifier.low_classifier.weight"]
    )


def test_a_unet_begins_with_the_encoders_weights(cache: Cache) -> None:
    state = cache(RESNET18, torchvision.models.resnet18())
    built = create("unet", num_outputs=4, image_size=64, pretrained=True)
    assert torch.equal(built.module.state_dict()["encoder.layer4.1.conv2.weight"], state["layer4.1.conv2.weight"])


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04 half a file"])
def test_a_damaged_cached_file_is_named(hub: Path, content: bytes) -> None:
    hub.mkdir(parents=True)
    cached(RESNET18.url).write_bytes(content)
    with pytest.raises(ConfigError, match=r"resnet18-f37072fd\.pth: damaged .*delete it") as caught:
        create("resnet18", num_outputs=3, image_size=64)
    assert "\n" not in str(caught.value)


def test_a_silent_server_costs_no_more_than_the_timeout(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "urlopen", lambda *_, **__: time.sleep(2))
    monkeypatch.setattr(weights, "TIMEOUT", 0.1)
    start = time.monotonic()
    with pytest.raises(TimeoutError, match=r"no answer from download\.pytorch\.org within 0\.1 s"):
        fetch(RESNET18.url)
    assert time.monotonic() - start < 1.5
    assert not hub.exists()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the local address it is served at."""
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as running:
        thread = Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield folder, f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


@pytest.fixture
def empty_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "hub" / "checkpoints"


def test_a_download_is_checked_by_its_hash_and_kept(server: tuple[Path, str], empty_hub: Path) -> None:
    folder, address = server
    content = b"parameters" * 1000
    name = f"net-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    (folder / name).write_bytes(content)
    assert fetch(f"{address}/{name}") == "downloaded"
    assert (empty_hub / name).read_bytes() == content
    (folder / name).unlink()
    assert fetch(f"{address}/{name}") == "cached"


def test_a_download_with_another_hash_leaves_nothing(server: tuple[Path, str], empty_hub: Path) -> None:
    folder, address = server
    (folder / "net-00000000.pth").write_bytes(b"something else")
    with pytest.raises(RuntimeError, match="hash"):
        fetch(f"{address}/net-00000000.pth")
    assert list(empty_hub.iterdir()) == []


@pytest.mark.usefixtures("empty_hub")
def test_a_file_the_server_lacks_is_an_error_of_the_system(server: tuple[Path, str]) -> None:
    with pytest.raises(OSError, match="404"):
        fetch(f"{server[1]}/net-00000000.pth")
