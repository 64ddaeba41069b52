"""The page in a real browser: the whole story once, and what holds for every width and theme.

Skipped where there is no Chromium or no Playwright. No console error, and no request to another machine, is allowed.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from visrun.record.run_folder import noted_process
from visrun.record.sweep_files import REPORT
from visrun.run_files import FILE_NAME
from visrun.web.guard import MOST_BYTES
from visrun.web.library import Library
from visrun.web.processes import CONSOLE

from .conftest import PATIENCE, Served, finish, photos, serve
from .test_runs import GONE, TRAINING, row, write
from .test_survey import several_labels

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
BROWSER = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="there is no Chromium")]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
HOSTILE = "<img src=x onerror=alert(1)>"
EPOCHS = 60
MS = PATIENCE * 1000


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield opened
        opened.close()


class Watched:
    """A page whose every error and foreign request is noted."""

    def __init__(self, browser: Any, **options: Any) -> None:
        self.context = browser.new_context(accept_downloads=True, **options)
        self.context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.wrong: list[str] = []
        self.context.on("request", self._request)
        self.page = self.context.new_page()
        self.page.on("console", lambda message: message.type == "error" and self.wrong.append(message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", lambda dialog: self.wrong.append(f"a dialog: {dialog.message}"))

    def _request(self, request: Any) -> None:
        if not re.match(r"(http://127\.0\.0\.1:|data:|blob:)", request.url):
            self.wrong.append(f"left this machine: {request.url}")


@pytest.fixture
def watched(browser: Any, served: Served) -> Iterator[Watched]:
    found = Watched(browser, viewport={"width": 1440, "height": 900})
    found.page.goto(served.url)
    found.page.wait_for_selector("html[data-ready]")
    yield found
    found.context.close()
    assert found.wrong == []


def test_a_link_on_another_page_logs_in(browser: Any, served: Served) -> None:
    found = Watched(browser)
    found.page.goto(f'data:text/html,<a href="{served.url}">open</a>')
    found.page.get_by_text("open").click()
    found.page.wait_for_selector("html[data-ready]")
    assert found.page.url == f"http://127.0.0.1:{served.port}/"
    found.page.reload()
    found.page.wait_for_selector("html[data-ready]")
    found.page.go_back()
    assert found.page.url.startswith("data:")  # the token is not in the history
    found.context.close()
    assert found.wrong == []


def test_a_choice_waits_for_the_page(watched: Watched) -> None:
    page, held = watched.page, list[Any]()
    page.route("**/api/catalog", lambda route: held.append(route))
    page.reload()
    sweep = page.locator("input[name=mode][value=sweep]")
    place = sweep.locator("..").bounding_box()
    page.mouse.click(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    assert not sweep.is_checked()
    while not held:
        page.wait_for_timeout(20)
    in_place = "getComputedStyle(document.querySelector('#command'), '::before').content"  # of a command
    assert page.evaluate(in_place) == "none"
    held.pop().continue_()
    page.wait_for_selector("html[data-ready]")
    page.get_by_label("Learning Rate", exact=True).fill("-1")
    sync_api.expect(page.locator("#command")).to_have_text("")
    assert page.evaluate(in_place) == '"none while a value is wrong"'
    page.get_by_role("radio", name="Sweep").check()
    page.get_by_label("Ready space", exact=True).wait_for()
    page.get_by_label("Learning Rate", exact=True).fill("0.1")
    sync_api.expect(page.locator("#command")).to_contain_text("visrun -m")
    page.get_by_role("radio", name="One run").check()
    sync_api.expect(page.locator("#command")).to_contain_text("visrun learning_rate=0.1")
    page.route("**/api/view", lambda route: held.append(route))
    page.get_by_role("radio", name="Sweep").check()
    sync_api.expect(page.locator("#command")).to_have_text("")
    assert page.evaluate(in_place) == "none"
    while not held:
        page.wait_for_timeout(20)
    held.pop().continue_()


def value(page: Any, label: str) -> str:
    return str(page.get_by_label(label, exact=True).input_value())


def expect_value(page: Any, label: str, text: str) -> None:
    sync_api.expect(page.get_by_label(label, exact=True)).to_have_value(text)


def shown(page: Any, label: str) -> bool:
    return bool(page.get_by_label(label, exact=True).is_visible())


def test_the_whole_story(watched: Watched, served: Served, tmp_path: Path) -> None:
    page = watched.page
    fill_in(page)
    train(page)
    stop_and_go_on(page)
    try_on_images(page, photos(served.cwd / "new", counts={"photos": 1}))
    in_mlflow(page, watched)
    with_its_file(page, tmp_path)


def fill_in(page: Any) -> None:
    """Choices bring their fields and defaults; what is typed stays as it is typed, whatever is chosen afterwards."""
    assert not shown(page, "Poly Power")
    page.get_by_label("Task", exact=True).select_option("segmentation")
    page.get_by_label("Poly Power", exact=True).wait_for()
    page.get_by_label("Optimizer", exact=True).select_option("adam")
    expect_value(page, "Learning Rate", "0.001")
    assert not shown(page, "Momentum")
    page.get_by_label("Optimizer", exact=True).select_option("sgd")
    page.get_by_label("Momentum", exact=True).wait_for()
    page.get_by_label("Scheduler", exact=True).select_option("step")
    page.get_by_label("Step Size", exact=True).wait_for()
    assert shown(page, "Gamma") and not shown(page, "Poly Power") and not shown(page, "Milestones")

    rate = page.get_by_label("Learning Rate", exact=True)
    rate.fill("")
    rate.press_sequentially("1e-")
    page.get_by_text("learning_rate=1e-: must be a number > 0").first.wait_for()
    sync_api.expect(page.locator("#start")).to_be_disabled()
    sync_api.expect(page.locator("#command")).to_have_text("")
    sync_api.expect(page.locator("#copy")).to_be_disabled()
    rate.press_sequentially("3")
    sync_api.expect(page.locator("#command")).to_contain_text("learning_rate=0.001")
    sync_api.expect(page.locator("#start")).to_be_enabled()
    assert value(page, "Learning Rate") == "1e-3"

    expect_value(page, "Batch Size", "8")
    page.get_by_label("Task", exact=True).select_option("classification")
    expect_value(page, "Batch Size", "32")  # untouched: the new task's
    assert (value(page, "Learning Rate"), value(page, "Optimizer"), value(page, "Scheduler")) == ("1e-3", "sgd", "step")
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert (value(page, "Learning Rate"), value(page, "Optimizer")) == ("1e-3", "sgd")
    page.locator("#field-learning_rate-row").get_by_text("Reset to default (0.01)").click()
    expect_value(page, "Learning Rate", "0.01")
    page.get_by_label("Max Epochs", exact=True).fill(str(EPOCHS))
    page.get_by_label("Early Stopping", exact=True).fill("0")
    sync_api.expect(page.locator("#command")).to_contain_text("early_stopping_patience=0")
    sync_api.expect(page.locator("#curve .u-value").first).to_have_text(str(EPOCHS))
    page.get_by_text("More settings").click()
    name = page.locator("#field-tracking-run_name")
    assert name.get_attribute("placeholder") == "the model and what sets it apart"
    name.fill("x")
    name.fill("")
    sync_api.expect(page.locator("#command")).to_contain_text("tracking.run_name=null")
    sync_api.expect(page.locator("#start")).to_be_enabled()
    page.locator("#field-tracking-run_name-row").get_by_text("Reset to default (none)").click()
    sync_api.expect(page.locator("#command")).not_to_contain_text("run_name")
    page.locator("#copy").click()
    page.get_by_text("Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == page.locator("#command").text_content()


def epoch(page: Any) -> int:
    found = re.search(r"epoch (\d+) of|^(\d+) of", page.locator(".progress").text_content() or "")
    return int(found[1] or found[2]) if found else 0


def train(page: Any) -> None:
    """A run starts at once, its curves move, and a reload in the middle brings the whole curve back."""
    page.locator("#start").click()
    page.locator(".run-title").wait_for()
    sync_api.expect(page.locator("#detail")).to_be_focused()
    page.get_by_text("starting: reading the data").or_(page.get_by_text(f"of {EPOCHS}")).first.wait_for()
    page.locator(".charts canvas").first.wait_for(timeout=MS)
    picture = "document.querySelector('.charts canvas').toDataURL()"
    before = page.evaluate(picture)
    page.wait_for_function(f"before => {picture} !== before", arg=before, timeout=MS)
    page.reload()
    page.locator(".charts canvas").first.wait_for(timeout=MS)
    assert page.locator(".state.running").count() >= 1 or epoch(page) == EPOCHS
    assert page.locator(".charts figure").count() >= 3


def stop_and_go_on(page: Any) -> None:
    """Stop and keep, then resume to the end: no epoch is lost."""
    page.get_by_role("button", name="Stop and keep").click()
    page.locator(".run-title .state.killed").wait_for(timeout=MS)
    kept = epoch(page)
    assert 0 < kept < EPOCHS
    page.get_by_role("button", name="Resume").click()
    page.locator(".run-title .state.finished").wait_for(timeout=MS)
    page.get_by_text(f"of {EPOCHS} epochs").wait_for(timeout=MS)
    assert epoch(page) == EPOCHS
    page.get_by_alt_text("predictions").wait_for()
    page.get_by_text("Configuration of this run").click()
    page.locator("tr.mine").get_by_text("optimizer", exact=True).wait_for()


def try_on_images(page: Any, root: Path) -> None:
    """A run is tried on a folder that is chosen as it is typed; each image is shown with its label, later as well."""
    page.get_by_text("Try on images").click()
    field = page.get_by_role("combobox", name="Image or folder")
    field.press_sequentially(f"{root.name}/ph")
    page.get_by_role("option", name="photos/").click()
    sync_api.expect(field).to_have_value("new/photos")
    field.press("Escape")
    field.press("Enter")
    page.get_by_role("button", name="Stop", exact=True).wait_for()
    page.get_by_role("status").filter(has_text="Done: 2 images; the drawings lie in ").wait_for(timeout=MS)
    page.reload()
    page.get_by_text("visrun predict outputs/").wait_for()
    for name in ("blue", "red"):
        shown = page.locator("figure", has_text=f"{name}/0.png")
        sync_api.expect(shown.locator("p")).to_have_text(re.compile(r"^(blue|red) · probability 0\.\d+$"))
        picture = shown.get_by_role("img")
        picture.scroll_into_view_if_needed()
        page.wait_for_function("picture => picture.naturalWidth > 0", arg=picture.element_handle())


def in_mlflow(page: Any, watched: Watched) -> None:
    """The link starts MLflow's own server and opens the run's page there."""
    page.get_by_role("button", name="MLflow", exact=True).click()
    link = page.get_by_role("link", name="Open in MLflow")
    link.wait_for(timeout=MS)
    assert link.get_attribute("rel") == "noopener"
    with watched.context.expect_page() as opened:
        link.click()
    theirs = opened.value
    theirs.get_by_text("small_resnet").first.wait_for(timeout=MS)
    assert "/runs/" in theirs.url and theirs.url.startswith("http://127.0.0.1:")
    theirs.close()


def with_its_file(page: Any, folder: Path) -> None:
    """Edit as new, save, reset, load: the same form again."""
    page.get_by_role("button", name="Edit as new").click()
    expect_value(page, "Max Epochs", str(EPOCHS))
    command = page.locator("#command").text_content()
    with page.expect_download() as saved:
        page.locator("#save").click()
    file = folder / "experiment.json"
    saved.value.save_as(file)
    assert json.loads(file.read_text())["hyperparameters"]["optimizer"] == "sgd"
    page.locator("#reset-all").click()
    sync_api.expect(page.locator("#command")).to_have_text("visrun")
    page.locator("#file").set_input_files(file)
    sync_api.expect(page.locator("#command")).to_have_text(str(command))


def test_a_file_that_is_too_large_is_named(watched: Watched, tmp_path: Path) -> None:
    file = tmp_path / "large.json"
    file.write_text(" " * (MOST_BYTES + 1))
    watched.page.locator("#file").set_input_files(file)
    expected = "large.json: larger than 2,000,000 bytes"
    sync_api.expect(watched.page.locator(".notice.bad span")).to_have_text(expected)
    watched.wrong[:] = [text for text in watched.wrong if "413" not in text]


def test_what_a_task_cannot_have_goes_back_and_can_be_undone(watched: Watched) -> None:
    page = watched.page
    page.get_by_label("Loss Function", exact=True).select_option("focal")
    sync_api.expect(page.locator("#command")).to_contain_text("loss=focal")
    page.get_by_label("Task", exact=True).select_option("regression")
    page.get_by_text("loss=focal: task=regression takes").wait_for()
    expect_value(page, "Loss Function", "mse")
    page.locator(".notice.warn").get_by_role("button", name="Undo").click()
    expect_value(page, "Loss Function", "focal")
    expect_value(page, "Task", "classification")
    page.get_by_label("Task", exact=True).select_option("segmentation")
    page.get_by_label("Model", exact=True).select_option("lraspp")
    dropout = page.get_by_label("Dropout", exact=True)
    sync_api.expect(dropout).to_be_disabled()
    page.get_by_text("dropout is read only when the model has a head that drops").wait_for()
    page.get_by_label("Task", exact=True).select_option("anomaly_detection")
    page.get_by_label("Model", exact=True).select_option("patchcore")
    sync_api.expect(page.get_by_label("Optimizer", exact=True)).to_be_disabled()
    page.get_by_text("optimizer is read only when the model learns by gradient steps").wait_for()
    page.get_by_text("patchcore learns without a learning rate").wait_for()
    assert page.locator("#curve canvas").count() == 0
    page.get_by_label("Model", exact=True).select_option("unet")
    page.locator("#curve canvas").wait_for()
    assert page.get_by_text("learns without a learning rate").count() == 0


def choose_and_type(page: Any) -> None:
    """Another task, and a letter typed before its answer has come."""
    page.evaluate("""() => {
        const [task, epochs] = ["task", "field-max_epochs"].map((id) => document.getElementById(id));
        task.value = "regression";
        task.dispatchEvent(new Event("change", { bubbles: true }));
        epochs.value = "9";
        epochs.dispatchEvent(new Event("input", { bubbles: true }));
    }""")


def test_what_is_typed_before_an_answer_has_come_costs_no_notice_and_no_undo(watched: Watched) -> None:
    page = watched.page
    page.get_by_label("Loss Function", exact=True).select_option("focal")
    sync_api.expect(page.locator("#command")).to_contain_text("loss=focal")
    choose_and_type(page)
    page.get_by_text("loss=focal: task=regression takes").wait_for()
    page.get_by_text("Defaults changed: ").wait_for()
    page.locator(".notice.warn").get_by_role("button", name="Undo").click()
    expect_value(page, "Task", "classification")
    expect_value(page, "Loss Function", "focal")


def test_a_change_while_the_server_was_away_is_asked_for_again(watched: Watched) -> None:
    page = watched.page
    page.route("**/api/**", lambda route: route.abort())
    page.get_by_label("Max Epochs", exact=True).fill("33")
    page.locator("#lost").wait_for()
    page.unroute("**/api/**")
    sync_api.expect(page.locator("#command")).to_contain_text("max_epochs=33")
    watched.wrong[:] = [line for line in watched.wrong if "net::ERR_FAILED" not in line]  # the browser's own


def test_a_recipe_fills_the_form_below_what_was_changed(watched: Watched) -> None:
    page, command = watched.page, watched.page.locator("#command")
    page.get_by_label("Task", exact=True).select_option("object_detection")
    rate = page.get_by_label("Learning Rate", exact=True)
    sync_api.expect(rate).to_have_value("0.005", timeout=MS)  # or its coming would break into what is typed
    rate.fill("0.003")
    sync_api.expect(command).to_contain_text("learning_rate=0.003", timeout=MS)
    page.get_by_label("Recipe", exact=True).select_option("detection_scratch")
    sync_api.expect(command).to_contain_text("augment.mosaic=0.5", timeout=MS)
    assert "learning_rate=0.003" in command.text_content() and "weight_decay=0.05" in command.text_content()
    assert page.get_by_label("Recipe", exact=True).input_value() == ""
    page.locator(".notice", has_text="recipe=detection_scratch").get_by_role("button", name="Undo").click()
    sync_api.expect(command).not_to_contain_text("mosaic", timeout=MS)
    assert "learning_rate=0.003" in command.text_content()


def test_a_recipe_takes_the_place_of_the_former_one_but_for_what_the_user_changed(watched: Watched) -> None:
    page, command = watched.page, watched.page.locator("#command")
    recipe = page.get_by_label("Recipe", exact=True)
    recipe.select_option("from_scratch")
    sync_api.expect(command).to_contain_text("max_epochs=200", timeout=MS)
    recipe.select_option("fine_tune")
    sync_api.expect(command).not_to_contain_text("max_epochs=200", timeout=MS)
    alone = command.text_content()
    assert "pretrained=false" not in alone and "run.ema" not in alone
    page.get_by_role("button", name="Reset all").first.click()
    sync_api.expect(command).to_have_text("visrun", timeout=MS)
    recipe.select_option("fine_tune")
    sync_api.expect(command).to_have_text(alone, timeout=MS)
    page.get_by_label("Max Epochs", exact=True).fill("33")
    sync_api.expect(command).to_contain_text("max_epochs=33", timeout=MS)
    recipe.select_option("quick")
    page.locator(".notice", has_text="recipe=quick").get_by_text("Kept as you set them: max_epochs.").wait_for()


def test_an_undo_takes_nothing_back_that_came_after_it(watched: Watched) -> None:
    page, command = watched.page, watched.page.locator("#command")
    page.get_by_label("Max Epochs", exact=True).fill("33")
    sync_api.expect(command).to_contain_text("max_epochs=33", timeout=MS)
    page.get_by_role("button", name="Reset all").first.click()
    undo = page.locator(".notice").get_by_role("button", name="Undo")
    undo.wait_for()
    page.get_by_label("Batch Size", exact=True).fill("24")
    sync_api.expect(command).to_contain_text("batch_size=24", timeout=MS)
    sync_api.expect(undo).to_have_count(0)


def test_markup_in_a_dataset_is_text(watched: Watched, served: Served) -> None:
    page = watched.page
    root = photos(served.cwd / "strange photos")
    for split in ("train", "val", "test"):
        (root / split / "red").rename(root / split / HOSTILE)
    crash, started = {"state": "crashed", "lines": ["TypeError: odd"]}, {"detail": ["it would have begun"]}
    page.route("**/api/dataset", lambda route: route.fulfill(json=crash))
    page.route("**/api/runs", lambda route: route.fulfill(json=started, status=422))
    page.get_by_label("Folder or table", exact=True).fill(str(root))
    page.locator("#survey").get_by_text("TypeError: odd").wait_for()
    page.locator("#start").click()
    page.locator("#start-problems").get_by_text("it would have begun").wait_for()  # the look failed, not the dataset
    watched.wrong.clear()  # of this answer
    page.unroute("**/api/dataset")
    page.unroute("**/api/runs")
    page.locator("#look").click()
    page.locator(".thumbs img").first.wait_for(timeout=MS)
    assert page.get_by_text(HOSTILE).count() >= 2
    assert page.locator("#survey img:not([src^='data:image/jpeg'])").count() == 0
    page.get_by_label("Folder or table", exact=True).fill("/etc")
    page.get_by_text("outside of what this page may read").first.wait_for()
    page.locator("#start").click()
    page.locator("#start-problems").get_by_text("outside of what this page may read").wait_for()


def test_a_datasets_folder_is_chosen_by_keyboard_as_it_is_typed(watched: Watched, served: Served) -> None:
    page, field = watched.page, watched.page.get_by_role("combobox", name="Folder or table")
    for name in ("shelf/pets/cats", "shelf/pets/dogs", f"shelf/pets/{HOSTILE}", "shelf/plants"):
        (served.cwd / name).mkdir(parents=True)
    options, command = page.get_by_role("option", selected=False).locator("visible=true"), page.locator("#command")
    field.click()
    sync_api.expect(options.first).to_have_text(f"{served.cwd}/")
    field.press_sequentially("shelf/P")
    sync_api.expect(options).to_have_text(["pets/", "plants/"])
    sync_api.expect(field).to_have_attribute("aria-expanded", "true")
    field.press("Enter")  # nothing is taken unasked
    sync_api.expect(field).to_have_value("shelf/P")
    sync_api.expect(options).to_have_count(0)
    field.press("ArrowDown")
    sync_api.expect(options).to_have_count(2)
    field.press("ArrowDown")
    pets = page.get_by_role("option", name="pets/", selected=True)
    assert field.get_attribute("aria-activedescendant") == pets.get_attribute("id")
    field.press("Enter")
    sync_api.expect(options).to_have_text([f"{HOSTILE}/", "cats/", "dogs/"])  # what is inside is next
    sync_api.expect(command).to_contain_text("/shelf/pets")
    field.press("Escape")
    sync_api.expect(options).to_have_count(0)
    field.press("ArrowUp")
    sync_api.expect(options).to_have_count(3)
    field.fill("shelf/pets/")
    sync_api.expect(options).to_have_count(3)
    field.press("ArrowUp")
    field.press("Tab")
    sync_api.expect(field).to_have_value("shelf/pets/dogs")
    sync_api.expect(field).not_to_be_focused()
    sync_api.expect(options).to_have_count(0)
    sync_api.expect(command).to_contain_text("/shelf/pets/dogs")
    shutil.rmtree(served.cwd / "shelf")


def test_a_dataset_that_was_mended_may_be_trained_on(watched: Watched, served: Served) -> None:
    page, root = watched.page, served.cwd / "late photos"
    page.get_by_label("Folder or table", exact=True).fill(str(root))
    page.locator("#survey").get_by_text("no such file or folder").wait_for(timeout=MS)
    photos(root)
    page.locator("#start").click()
    page.get_by_role("button", name="Stop now").click(timeout=MS)
    page.locator(".run-title .state").wait_for()


def test_what_is_told_is_seen_on_every_page(watched: Watched) -> None:
    page = watched.page
    page.get_by_label("Loss Function", exact=True).select_option("focal")
    sync_api.expect(page.locator("#command")).to_contain_text("loss=focal")
    page.get_by_label("Task", exact=True).select_option("regression")
    notice, passing = page.locator(".notice.warn"), page.locator("#passing .notice")
    notice.wait_for()
    for task in ("segmentation", "regression"):
        page.get_by_label("Task", exact=True).select_option(task)
        sync_api.expect(passing).to_have_count(1)
    page.locator("#to-runs").click()
    sync_api.expect(passing).to_have_count(0)
    sync_api.expect(page.locator("#runs")).to_be_visible()
    sync_api.expect(notice).to_be_visible()
    page.locator("#to-new").click()
    sync_api.expect(page.locator("#new")).to_be_visible()
    page.get_by_text("More settings").click()
    assert page.evaluate("scrollTo(0, document.body.scrollHeight); scrollY") > 100
    box, header = notice.bounding_box(), page.locator(".bar").bounding_box()
    assert header["y"] + header["height"] <= box["y"] < 900 - box["height"]


def test_a_sweep_is_filled_from_a_ready_space_and_its_command_follows(watched: Watched) -> None:
    page = watched.page
    page.get_by_label("Learning Rate", exact=True).fill("abc")
    sync_api.expect(page.locator("#start")).to_be_disabled()
    page.get_by_role("radio", name="Sweep").check()
    command = page.locator("#command")
    sync_api.expect(command).to_contain_text("visrun -m")
    sync_api.expect(page.locator("#start")).to_be_enabled()  # what varies has no one value
    page.get_by_label("Learning Rate", exact=True).fill("1e-3")
    sync_api.expect(command).to_contain_text("learning_rate=tag(log, interval(1e-05,0.1))")
    page.get_by_label("learning_rate from", exact=True).fill("1e-3")
    page.get_by_label("Trials", exact=True).fill("7")
    sync_api.expect(command).to_contain_text("interval(0.001,0.1)")
    sync_api.expect(command).to_contain_text("hydra.sweeper.n_trials=7")
    page.get_by_label("Trials", exact=True).fill("")
    sync_api.expect(command).not_to_contain_text("n_trials")
    page.get_by_label("Trials", exact=True).fill("1e3")
    page.locator("#space-problems").get_by_text("hydra.sweeper.n_trials=1e3: must be an integer >= 1").wait_for()
    sync_api.expect(page.get_by_label("Trials", exact=True)).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Trials", exact=True).fill("7")
    page.get_by_label("learning_rate to", exact=True).fill("1e-4")
    for place in ("#space-problems", "#start-problems"):
        page.locator(place).get_by_text("must not be above high").wait_for()
    with page.expect_response("**/api/plan"):
        page.get_by_label("Max Epochs", exact=True).fill("7")
    for end, wrong in (("from", "true"), ("to", "false")):
        sync_api.expect(page.get_by_label(f"learning_rate {end}", exact=True)).to_have_attribute("aria-invalid", wrong)
    sync_api.expect(command).to_have_text("")
    sync_api.expect(page.locator("#start")).to_be_disabled()
    page.get_by_label("Ready space", exact=True).select_option("regularization")
    sync_api.expect(command).to_contain_text("augment.mixup=choice(0,0.2,0.8)")
    sync_api.expect(page.locator("#start")).to_be_enabled()


def test_models_epochs_and_seeds_are_ticked_like_other_fields(watched: Watched) -> None:
    page, command = watched.page, watched.page.locator("#command")
    page.get_by_label("Model", exact=True).select_option("resnet18")
    page.get_by_label("Max Epochs", exact=True).fill("8")
    sync_api.expect(command).to_have_text("visrun model=resnet18 max_epochs=8")
    page.get_by_role("radio", name="Sweep").check()
    page.get_by_label("Ready space", exact=True).wait_for()
    for tick in page.locator(".ranges input[type=checkbox]").all():
        tick.uncheck()
    for name in ("model", "max_epochs", "seed"):
        page.locator(f"#vary-{name}").check()
    expect_value(page, "max_epochs choices", "4, 8, 16")
    expect_value(page, "seed choices", "0, 1, 2")
    page.get_by_label("model choices", exact=True).fill("resnet18, resnet50")
    expected = (
        "visrun -m 'model=choice(resnet18,resnet50)' 'max_epochs=choice(4,8,16)' 'seed=choice(0,1,2)' "
        "hydra.sweeper.n_trials=20"
    )
    sync_api.expect(command).to_have_text(expected)
    assert [row.get_attribute("id") for row in page.locator(".varies").all()] == [
        "field-model-row",
        "field-max_epochs-row",
    ]
    page.get_by_label("model choices", exact=True).fill("resnet18, resnet51")
    page.locator("#space-problems").get_by_text("did you mean resnet50").wait_for()
    sync_api.expect(page.get_by_label("model choices", exact=True)).to_have_attribute("aria-invalid", "true")


def test_only_ranges_of_the_users_own_stay_when_the_form_changes(watched: Watched) -> None:
    page = watched.page
    page.get_by_role("radio", name="Sweep").check()
    page.locator("#vary-warmup_epochs").check()
    expect_value(page, "batch_size choices", "8, 16, 32, 64, 128")
    page.get_by_label("learning_rate from", exact=True).fill("1e-3")
    page.get_by_label("Task", exact=True).select_option("segmentation")
    expect_value(page, "batch_size choices", "8, 16, 32")
    expect_value(page, "learning_rate from", "1e-3")
    page.reload()
    expect_value(page, "batch_size choices", "8, 16, 32")
    page.get_by_label("Task", exact=True).select_option("classification")
    expect_value(page, "batch_size choices", "8, 16, 32, 64, 128")
    expect_value(page, "learning_rate from", "1e-3")
    page.get_by_label("Max Epochs", exact=True).fill("4")
    expect_value(page, "warmup_epochs to", "3")
    sync_api.expect(page.locator("#vary-warmup_epochs")).to_be_checked()
    page.get_by_label("Max Epochs", exact=True).fill("1")
    sync_api.expect(page.locator("#vary-warmup_epochs")).not_to_be_checked()
    page.get_by_label("Ready space", exact=True).select_option("optimizer")
    expect_value(page, "learning_rate from", "0.00001")


def test_choices_that_are_lists_stay_lists(watched: Watched, served: Served) -> None:
    own = served.cwd / "conf" / "sweep" / "sizes.yaml"
    own.parent.mkdir(parents=True)
    own.write_text(
        "ranges:\n  data.image_size: {choices: [16, [16, 24], [24, 16]]}\nparameters: [data.image_size]\n",
        encoding="utf-8",
    )
    page = watched.page
    page.reload()
    page.get_by_role("radio", name="Sweep").check()
    page.get_by_label("Ready space", exact=True).select_option("sizes")
    expect_value(page, "data.image_size choices", "16, [16, 24], [24, 16]")
    command = page.locator("#command")
    sync_api.expect(command).to_contain_text("data.image_size=choice(16,[16,24],[24,16])")
    page.get_by_label("data.image_size choices", exact=True).fill("[16, 24] , 32")
    sync_api.expect(command).to_contain_text("data.image_size=choice([16,24],32)")
    shutil.rmtree(served.cwd / "conf")


def test_a_ready_space_that_does_not_fit_says_why(watched: Watched, served: Served) -> None:
    own = served.cwd / "conf" / "sweep" / "unfit.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("parameters: [learning_rat]\n", encoding="utf-8")
    page = watched.page
    page.reload()
    page.get_by_role("radio", name="Sweep").check()
    page.get_by_label("Ready space", exact=True).select_option("unfit")
    page.locator(".notice.bad").get_by_text("sweep=unfit: learning_rat is no setting").wait_for()
    expect_value(page, "Ready space", "default")
    sync_api.expect(page.locator("#command")).to_contain_text("learning_rate=tag(log, interval(1e-05,0.1))")
    shutil.rmtree(served.cwd / "conf")


@pytest.mark.parametrize("by", ["Edit as new", "Load"])
def test_a_form_that_is_overwritten_comes_back(by: str, watched: Watched, served: Served) -> None:
    page, command = watched.page, watched.page.locator("#command")
    folder = write(served.cwd / "outputs" / "source", result={"status": "finished"}, words=("max_epochs=9",))
    page.get_by_label("Max Epochs", exact=True).fill("7")
    page.get_by_role("radio", name="Sweep").check()
    sync_api.expect(command).to_contain_text("visrun -m max_epochs=7")
    if by == "Load":
        page.locator("#file").set_input_files(folder / FILE_NAME)
        sync_api.expect(command).to_contain_text("visrun -m max_epochs=9")
    else:
        page.evaluate(f"location.hash = '#/run/{Library(served.cwd).place(folder, 'run').id}'")
        page.get_by_role("button", name=by).click()
        sync_api.expect(command).to_have_text("visrun max_epochs=9")
        sync_api.expect(page.locator("#main")).to_be_focused()
    page.locator(".notice").get_by_role("button", name="Undo").click()
    sync_api.expect(command).to_contain_text("visrun -m max_epochs=7")
    shutil.rmtree(folder)


OLD = {"ready": "default", "ranges": {"learning_rate": {"low": "5"}}, "trials": "9", "mode": "sweep"}


@pytest.mark.parametrize("kept", [OLD, [], "x"], ids=str)
def test_whatever_a_tab_has_kept_does_not_break_the_page(kept: Any, watched: Watched) -> None:
    page = watched.page
    key = f"visrun.space:{page.locator('#cwd').text_content()}"
    page.evaluate("([key, kept]) => sessionStorage.setItem(key, JSON.stringify(kept))", [key, kept])
    page.reload()
    page.get_by_role("radio", name="Sweep").check()
    page.locator("#vary-learning_rate").check()
    sync_api.expect(page.locator("#command")).to_contain_text("learning_rate=tag(log, interval(1e-05,0.1))")
    if kept is OLD:
        expect_value(page, "Trials", "9")


@contextmanager
def living() -> Iterator[dict[str, Any]]:
    """What a lock holds while a process lives; it is ended at the end."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        yield noted_process(process.pid)
    finally:
        process.kill()
        process.wait()


def test_a_trial_is_shown_as_it_is_and_stopped_with_its_sweep(watched: Watched, served: Served) -> None:
    page, folder = watched.page, served.cwd / "multirun" / "study"
    with living() as lock:
        write(folder / "0", **{**TRAINING, "lock": lock}, words=("seed=12345", "learning_rate=0.0123456"))
        (folder / "trials.csv").write_text(f"{HEAD}\n0,running,,,,,,,f,\n")
        page.locator("#to-runs").click()
        sync_api.expect(page.locator("#runs-list a[href*='#/sweep/'] .title")).to_have_text("study · classification")
        page.locator("#runs-list a[href*='#/sweep/']").click()
        page.locator(".trials").get_by_text("12345", exact=True).wait_for()
        assert page.locator(".trials").get_by_text("0.01235", exact=True).count() == 1
        page.get_by_title("Open the trial").click()
        page.get_by_role("button", name="Use its values").wait_for()
        assert page.get_by_role("button", name="Stop and keep").count() == 0


def test_a_run_whose_folder_is_deleted_is_gone_and_has_not_failed(watched: Watched, served: Served) -> None:
    folder = write(served.cwd / "outputs" / "day" / "short-lived", **TRAINING, rows=[row(1, 0.5)])
    name = Library(served.cwd).place(folder, "run").id
    watched.page.evaluate(f"location.hash = '#/run/{name}'")
    head = watched.page.locator("#detail .run-head")
    sync_api.expect(head).to_contain_text("running", timeout=MS)
    shutil.rmtree(folder)
    sync_api.expect(watched.page.locator("#detail .error")).to_have_text("The folder of this run is gone.", timeout=MS)
    sync_api.expect(head).to_have_count(0)


@pytest.mark.parametrize("trial", [False, True])
def test_the_page_of_what_had_ended_notices_that_its_folder_goes(trial: bool, watched: Watched, served: Served) -> None:
    page, place = watched.page, served.cwd / ("multirun/goes-on" if trial else "outputs/day")
    folder = write(place / "0", result={"status": "killed"}, rows=[row(1, 0.5)])
    if trial:
        (place / "trials.csv").write_text(f"{HEAD}\n1,queued,,,,,,,,\n")
    page.evaluate(f"location.hash = '#/run/{Library(served.cwd).place(folder, 'trial' if trial else 'run').id}'")
    sync_api.expect(page.locator("#detail .run-title")).to_contain_text("killed", timeout=MS)
    shutil.rmtree(folder)
    said = page.locator("#detail .error")
    sync_api.expect(said).to_contain_text("The folder of this run is gone.", timeout=MS)
    watched.wrong[:] = [line for line in watched.wrong if "404" not in line]  # by which it is known
    if trial:
        said.get_by_role("link").click()
        sync_api.expect(page.locator("#detail .run-title")).to_contain_text("Sweep", timeout=MS)
        shutil.rmtree(place)


def test_a_resumed_run_that_was_refused_without_a_word_alarms(watched: Watched, served: Served) -> None:
    page = watched.page
    folder = write(served.cwd / "outputs" / "refused", result={"status": "killed"}, ui={**GONE, "exit_code": 2})
    (folder / CONSOLE).write_text("\n".join(f"line {i}" for i in range(40)))
    page.evaluate(f"location.hash = '#/run/{Library(served.cwd).place(folder, 'run').id}'")
    page.locator(".failure .error").get_by_text("(exit code 2)").wait_for()
    log = page.locator(".failure .log")
    assert log.evaluate("log => log.scrollTop > 0 && log.scrollTop + log.clientHeight >= log.scrollHeight - 1")
    sync_api.expect(page).to_have_title("✗ · small_resnet – visrun")
    shutil.rmtree(folder)


HEAD = "number,state,accuracy,seed,learning_rate,epochs,seconds,reason,folder,best"


@pytest.mark.parametrize(
    ("code", "rows", "told", "alarming"),
    [
        (1, ["0,complete,0.5,1,0.1,2,1,,f,yes", "1,failed,,2,0.2,,,NaN,f,"], "1 of 2 trials failed.", False),
        (1, ["0,failed,,1,0.1,,,NaN,f,", "1,failed,,2,0.2,,,NaN,f,"], "2 of 2 trials failed.", True),
        (1, ["0,complete,0.5,1,0.1,2,1,,f,yes", "1,queued,,,,,,,,"], "The sweep has failed.", True),
        (2, ["0,failed,,1,0.1,,,NaN,f,", "1,queued,,,,,,,,"], "The sweep has failed.", True),
    ],
)
def test_a_trial_that_failed_is_not_the_sweeps_failure(
    code: int, rows: list[str], told: str, alarming: bool, watched: Watched, served: Served
) -> None:
    page, folder = watched.page, served.cwd / "multirun" / "failing"
    write(folder, ui={**GONE, "kind": "sweep", "task": "classification", "trials": 2, "exit_code": code})
    (folder / CONSOLE).write_text("the last words\n")
    (folder / "trials.csv").write_text("\n".join([HEAD, *rows]))
    page.evaluate(f"location.hash = '#/sweep/{Library(served.cwd).place(folder, 'sweep').id}'")
    page.locator(".failure").get_by_text(told).wait_for()
    assert page.locator(".failure .error").count() == alarming
    assert page.locator(".failure").get_by_text("the last words").count() == alarming
    best = page.locator(".trials").get_by_text("★")
    sync_api.expect(best).to_have_count(sum("yes" in row for row in rows))
    spread = {"n": 2, "mean": 0.625, "std": 0.25, "low": 0.375, "high": 0.875}
    (folder / REPORT).write_text(json.dumps({"metrics": {"val/accuracy": spread}}))
    page.reload()
    expected = "val/accuracy20.6250.250.375 to 0.875"
    sync_api.expect(page.get_by_role("region", name="Over all runs").locator("tbody tr")).to_have_text(expected)
    sync_api.expect(best).to_have_count(0)
    shutil.rmtree(folder)


def test_values_that_the_form_cannot_take_are_said(watched: Watched, served: Served) -> None:
    page, folder = watched.page, served.cwd / "multirun" / "of another version"
    write(folder / "0", result={"status": "finished"})
    file = folder / "0" / FILE_NAME
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, "hyperparameters": {**content["hyperparameters"], "learning_rate": -1}}))
    (folder / "trials.csv").write_text(f"{HEAD}\n0,complete,0.5,1,0.1,2,1,,f,yes\n")
    page.evaluate(f"location.hash = '#/sweep/{Library(served.cwd).place(folder, 'sweep').id}'")
    sync_api.expect(page.locator("#detail .log")).to_have_attribute("hidden", "")  # it has none
    page.get_by_role("button", name="Use the values of trial 0").click()
    page.locator(".notice.bad").get_by_text("learning_rate=-1").wait_for()
    assert "#/sweep/" in page.url
    watched.wrong[:] = [text for text in watched.wrong if "422" not in text]
    shutil.rmtree(folder)


@contextmanager
def listed(name: str, page: Any, served: Served) -> Iterator[tuple[Path, Any]]:
    """The folder of a run that trains, after its first epoch, and its line in the list; deleted at the end."""
    folder = served.cwd / "outputs" / "day" / name
    with living() as lock:
        write(folder, **{**TRAINING, "lock": lock}, rows=[row(1, 0.5)])
        page.locator("#to-runs").click()
        yield folder, page.locator("#runs-list li", has=page.get_by_title(f"day/{name}"))
    shutil.rmtree(folder)


def test_a_tick_keeps_the_focus_while_a_run_trains(watched: Watched, served: Served) -> None:
    with listed("ticked", watched.page, served) as (folder, line):
        for more, place in enumerate(("input[type=checkbox]", "a")):
            line.locator(place).focus()
            seen = line.locator(".sub").text_content()
            write(folder, rows=[row(i, 0.5) for i in range(1, 3 + more)])
            sync_api.expect(line.locator(".sub")).not_to_have_text(seen)
            sync_api.expect(line.locator(place)).to_be_focused()


def test_a_slow_click_outlasts_a_change_of_the_list(watched: Watched, served: Served) -> None:
    page = watched.page
    with listed("pressed", page, served) as (folder, line):
        seen = line.locator(".sub").text_content()
        line.locator("input").hover()
        page.mouse.down()
        write(folder, rows=[row(i, 0.5) for i in range(1, 4)])
        with page.expect_response("**/api/runs"), page.expect_response("**/api/runs"):
            pass
        page.mouse.up()
        sync_api.expect(line.locator("input")).to_be_checked()
        sync_api.expect(line.locator(".sub")).not_to_have_text(seen)
        line.locator("input").uncheck()


HIDE = """hidden => {
  Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
  document.dispatchEvent(new Event("visibilitychange"));
}"""
COUNT = """() => {
  window.streams = [];
  window.EventSource = class extends EventSource { constructor(address) { super(address); streams.push(this); } };
}"""
OPEN = "streams.filter(stream => stream.readyState !== EventSource.CLOSED).length"


def test_a_tab_that_nobody_sees_holds_no_connection(watched: Watched, served: Served) -> None:
    page, folder = watched.page, served.cwd / "outputs" / "followed"
    page.evaluate(COUNT)
    with living() as lock:
        write(folder, **{**TRAINING, "lock": lock}, rows=[row(1, 0.5)])
        page.evaluate(f"location.hash = '#/run/{Library(served.cwd).place(folder, 'run').id}'")
        sync_api.expect(page).to_have_title("1/50 · 0.5 · small_resnet – visrun")
        page.evaluate(HIDE, True)
        assert page.evaluate(OPEN) == 0
        with page.expect_response("**/api/runs"):  # the list goes on, and does not follow the run again
            pass
        page.wait_for_timeout(100)
        assert page.evaluate(OPEN) == 0
        write(folder, rows=[row(1, 0.5), row(2, 0.625)])
        page.evaluate(HIDE, False)
        sync_api.expect(page).to_have_title("2/50 · 0.625 · small_resnet – visrun")
        assert page.evaluate(OPEN) == 1
        of_many_classes(page, folder)
    shutil.rmtree(folder)


def of_many_classes(page: Any, folder: Path) -> None:
    """The mean of many lines is named, and of the others the one at the pointer; ticks have numbers of their own."""
    classes = {f"f1/class {i}": i / 10 for i in range(10)}
    write(folder, rows=[{**row(i, 0.625), "f1": 0.45, **classes} for i in (1, 2, 3)])
    chart = page.locator("figure.card", has=page.locator("figcaption", has_text=re.compile("^f1$")))
    lines = chart.locator(".u-legend .u-series:visible")
    sync_api.expect(lines).to_have_text([re.compile("epoch"), "f10.45"])
    chart.locator(".u-over").hover(position={"x": 40, "y": 2})
    sync_api.expect(lines).to_have_text([re.compile("epoch"), "f10.45", "class 90.9"])
    ticks = "import('/static/charts.js').then(charts => [0.6945, 0.695, 1200].map(tick => charts.named(tick, 0.0005)))"
    assert page.evaluate(ticks) == ["0.6945", "0.695", "1200"]


AXIS = """values => import('/static/charts.js').then(({ Chart }) => {
  const place = document.createElement("div");
  document.querySelector("main").append(place);
  const chart = new Chart(place);
  chart.show({ xs: values.map((_, i) => i + 1), series: [{ name: "a", values }], from: 1, to: values.length });
  return new Promise(go => requestAnimationFrame(() => go([chart.plot.scales.y.min, chart.plot.scales.y.max])));
})"""


@pytest.mark.parametrize(
    ("values", "axis"),
    [([0, 0, 0], [0, 1]), ([0], [0, 1]), ([0, 10], [0, 11]), ([None, None], [None, None]), ([50, 60], [49, 61])],
    ids=str,
)
def test_the_axis_of_values_that_are_always_0_ends_at_1(values: list[Any], axis: list[Any], watched: Watched) -> None:
    assert watched.page.evaluate(AXIS, values) == axis


def test_the_list_shows_what_differs_and_is_filtered_and_sorted_by_it(watched: Watched, served: Served) -> None:
    page, day = watched.page, served.cwd / "outputs" / "listed"
    for i, value in enumerate((0.75, 0.875)):
        for task, monitor in (("classification", "accuracy"), ("regression", "mae")):
            result, words = (
                {"status": "finished", "val": {monitor: value}},
                (f"task={task}", f"learning_rate=0.{i + 1}"),
            )
            write(day / f"{task}{i}", result=result, words=words)
    other = {"status": "finished", "val": {"accuracy": 0.5}}
    write(day / "classification2", result=other, words=("data.root=/x/other", "learning_rate=0.3"))
    page.evaluate("location.hash = '#/runs'")
    page.reload()
    sync_api.expect(page.locator("#detail")).to_have_text("Choose a run.")
    search, values = page.get_by_label("Filter runs"), page.locator("#runs-list .top .num")
    search.fill("listed learning_rate=0.1")
    sync_api.expect(page.locator("#runs-list .differs")).to_have_text(["demo learning_rate=0.1"] * 2)
    page.get_by_label("Order of the runs").select_option("best")
    for task, ordered in (("classification", ["0.875", "0.75"]), ("regression", ["0.75", "0.875"])):
        search.fill(f"listed/{task} demo")
        sync_api.expect(values).to_have_text(ordered)
    search.fill("listed/classification")
    groups = page.locator("#runs-list .group")
    sync_api.expect(groups).to_have_count(2)
    search.fill("listed/classification other")
    sync_api.expect(groups).to_have_text(["classification · accuracy · other"])
    search.fill("listed/regression")
    for tick in page.locator("#runs-list input").all():
        tick.check()
    search.fill("nothing")
    sync_api.expect(page.locator("#compare")).to_have_text("Compare 2 in MLflow")
    shutil.rmtree(day / "regression0")
    sync_api.expect(page.locator("#compare")).to_have_text("Compare 1 in MLflow")
    sync_api.expect(page.locator("#compare")).to_be_disabled()
    told = {"runs": served.get("/api/runs")["runs"][:1], "more": 22}
    page.route("**/api/runs", lambda route: route.fulfill(json=told))
    search.fill("")
    sync_api.expect(page.locator("#runs-count")).to_have_text("1 of 23, the newest")
    for kind in ("run", "sweep"):
        page.evaluate(f"location.hash = '#/{kind}/{'0' * 16}'")
        sync_api.expect(page.locator("#detail")).to_have_text(f"There is no such {kind}.")
    watched.wrong.clear()  # the answers that there is none
    shutil.rmtree(day)


def visit(browser: Any, server: Served, context: Any = None) -> Any:
    """A page of a server, logged in; its errors are not watched."""
    page = (context or browser.new_context()).new_page()
    page.goto(server.url)
    page.wait_for_selector("html[data-ready]")
    return page


def test_a_trial_that_ended_while_the_server_was_away_is_not_shown_as_running(
    browser: Any, tmp_path: Path, demo: dict[str, str]
) -> None:
    folder = tmp_path / "multirun" / "study"
    with living() as lock:
        write(folder / "0", **{**TRAINING, "lock": lock})
        (folder / "trials.csv").write_text(f"{HEAD}\n0,running,,,,,,,f,\n")
        first = serve(tmp_path, **demo)
        page = visit(browser, first)
        page.evaluate(f"location.hash = '#/run/{Library(tmp_path).place(folder / '0', 'trial').id}'")
        page.locator(".run-title .state.running").wait_for()
        finish(first)
    page.locator("#lost").wait_for()
    second = serve(tmp_path, "--port", str(first.port), **demo)
    try:
        page.get_by_text("This page belongs to an earlier start of its server").wait_for(timeout=MS)
        page.wait_for_timeout(4000)  # the stream has been refused, too
        visit(browser, second, page.context)
        page.locator(".run-title .state.unfinished").wait_for(timeout=MS)
    finally:
        page.context.close()
        finish(second)


def test_the_draft_of_one_folder_does_not_appear_in_another(browser: Any, tmp_path: Path, demo: dict[str, str]) -> None:
    first = second = None
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    try:
        first = serve(tmp_path / "a", **demo)
        page = visit(browser, first)
        page.get_by_label("Learning Rate", exact=True).fill("0.123")
        page.get_by_role("radio", name="Sweep").check()
        page.get_by_label("Trials", exact=True).fill("7")
        sync_api.expect(page.locator("#command")).to_contain_text("hydra.sweeper.n_trials=7")
        finish(first)
        second = serve(tmp_path / "b", "--port", str(first.port), **demo)
        page.goto(second.url)
        sync_api.expect(page.locator("#cwd")).to_have_text(str(tmp_path / "b"))
        page.wait_for_selector("html[data-ready]")
        assert not page.get_by_role("radio", name="Sweep").is_checked()
        sync_api.expect(page.locator("#command")).to_have_text("visrun")
        finish(second)
        first = serve(tmp_path / "a", "--port", str(first.port), **demo)
        other = visit(browser, first, page.context)
        expect_value(other, "Learning Rate", "0.123")
        page.context.close()
    finally:
        for server in filter(None, (first, second)):
            finish(server)


@pytest.mark.parametrize("width", [1440, 1000, 400])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_overflows_and_everything_has_a_name(width: int, theme: str, browser: Any, served: Served) -> None:
    watched = Watched(browser, viewport={"width": width, "height": 800}, color_scheme=theme)
    page = watched.page
    page.goto(served.url)
    page.wait_for_selector("html[data-ready]")
    page.get_by_text("More settings").click()
    for address in ("#/new", "#/runs"):
        page.evaluate(f"location.hash = '{address}'")
        page.wait_for_timeout(100)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.evaluate(NAMELESS) == []
        assert page.evaluate(TWICE) == []
        assert page.evaluate(FAINT) == []
    page.evaluate("location.hash = '#/new'")
    page.get_by_label("Optimizer", exact=True).select_option("sgd")
    page.locator("#field-optimizer_options-nesterov-row").wait_for()
    page.get_by_role("radio", name="Sweep").check()
    page.locator(".ranges input").first.wait_for()
    assert page.evaluate(CUT) == []
    assert page.evaluate(OVER) == []
    watched.context.close()
    assert watched.wrong == []


NAMELESS = """[...document.querySelectorAll('input, select, button, progress, img, a')].filter(e => {
  const labels = [...(e.labels ?? [])].map(label => label.textContent).join('');
  return !(e.getAttribute('aria-label') || e.alt || e.textContent.trim() || labels.trim());
}).map(e => e.outerHTML)"""
# Ends of ranges that cannot be read.
CUT = """[...document.querySelectorAll('.ranges input')]
  .filter(e => /(from|to)$/.test(e.ariaLabel) && e.scrollWidth > e.clientWidth + 2).map(e => e.ariaLabel)"""
# Keys that run into what stands beside them.
OVER = """[...document.querySelectorAll('.centre .name code, .ranges th code')].filter(e => {
  const beside = e.closest('.name, th').nextElementSibling;
  return e.offsetParent && e.getBoundingClientRect().right > beside.getBoundingClientRect().left;
}).map(e => e.textContent)"""
# Cells whose words are broken.
BROKEN = """[...document.querySelectorAll('details.card td.quiet')].filter(e => {
  const text = document.createRange();
  text.selectNodeContents(e);
  return text.getClientRects().length > 1;
}).map(e => e.textContent)"""
# Inputs whose edge does not stand out from the card, as WCAG 2.2 asks in 1.4.11.
FAINT = """(() => {
  const light = colour => colour.match(/[\\d.]+/g).slice(0, 3).map(part => part / 255)
    .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0.05);
  const ratio = (a, b) => Math.max(light(a) / light(b), light(b) / light(a));
  const card = getComputedStyle(document.querySelector(".card")).backgroundColor;
  return [...document.querySelectorAll("input[type=text], input[type=search], select")].filter(e => {
    const style = getComputedStyle(e);
    return !e.disabled && [card, style.backgroundColor].some(ground => ratio(style.borderTopColor, ground) < 3);
  }).map(e => e.id);
})()"""
TWICE = (
    """(ids => ids.filter((id, i) => ids.indexOf(id) !== i))([...document.querySelectorAll('[id]')].map(e => e.id))"""
)


def test_the_configuration_of_a_run_is_read_on_a_narrow_screen(watched: Watched, served: Served) -> None:
    page = watched.page
    page.set_viewport_size({"width": 400, "height": 800})
    told = {"status": "finished", "weights": "random: no weights are published for small_resnet"}
    folder = write(served.cwd / "outputs" / "narrow", result=told)
    page.evaluate(f"location.hash = '#/run/{Library(served.cwd).place(folder, 'run').id}'")
    page.get_by_text("Configuration of this run").click()
    page.locator("details.card").get_by_text("early_stopping_patience", exact=True).wait_for()
    assert page.evaluate(BROKEN) == []
    shutil.rmtree(folder)


def test_what_several_labels_need_is_set_by_a_click(watched: Watched, served: Served) -> None:
    page, root = watched.page, several_labels(served.cwd / "several")
    page.get_by_label("Folder or table", exact=True).fill(str(root))
    page.get_by_role("button", name="Set loss=bce").click()
    expect_value(page, "Loss Function", "bce")
    sync_api.expect(page.get_by_text("several labels an image: loss=bce")).to_have_class("quiet")
    sync_api.expect(page.get_by_role("button", name="Set loss=bce", exact=True)).to_be_hidden()
    page.get_by_label("Loss Function", exact=True).select_option("focal")
    page.get_by_role("button", name="Set loss=bce").wait_for()


def test_all_images_are_decoded_where_that_is_asked_for(watched: Watched, served: Served) -> None:
    page, root = watched.page, photos(served.cwd / "cut")
    file = root / "train" / "red" / "3.png"
    file.write_bytes(file.read_bytes()[:-100])
    page.get_by_label("Folder or table", exact=True).fill(str(root))
    page.get_by_role("button", name="Decode all images, too").click()
    page.get_by_text("3.png: broken image").wait_for()
    sync_api.expect(page.get_by_role("button", name="Decode all images, too")).to_have_count(0)


def test_what_the_model_does_not_read_varies_only_together_with_it(watched: Watched) -> None:
    page = watched.page
    page.get_by_label("Task", exact=True).select_option("segmentation")
    page.get_by_role("radio", name="Sweep").check()
    page.get_by_label("Ready space", exact=True).select_option("regularization")
    tick, command = page.locator("#vary-dropout"), page.locator("#command")
    sync_api.expect(command).to_contain_text("dropout=")
    page.get_by_label("Model", exact=True).select_option("lraspp")
    sync_api.expect(tick).to_be_disabled()
    sync_api.expect(page.locator("#vary-dropout-why")).to_contain_text("dropout is read only when")
    sync_api.expect(command).to_contain_text("model=lraspp")
    sync_api.expect(command).not_to_contain_text("dropout=")
    page.locator("#vary-model").check()
    sync_api.expect(tick).to_be_checked()
    sync_api.expect(command).to_contain_text("dropout=")
    assert page.get_by_label("dropout from", exact=True).is_visible()


def test_a_unit_is_told_once(watched: Watched) -> None:
    page = watched.page
    page.get_by_text("More settings").click()
    for key, told in {
        "max_epochs": "Passes over the training split at most.",
        "run-max_time": "Stop after this long, with everything saved. In seconds.",
        "augment-rotate": "Largest rotation to either side, in degrees.",
    }.items():
        sync_api.expect(page.locator(f"#field-{key}-help")).to_have_text(told)


def test_the_skip_link_leads_to_the_content_of_the_page_that_is_shown(watched: Watched) -> None:
    page = watched.page
    page.locator("#to-runs").click()
    sync_api.expect(page.locator("#to-runs")).to_have_attribute("aria-current", "page")
    assert page.locator("#to-new").get_attribute("aria-current") is None
    page.locator("#skip").focus()
    page.keyboard.press("Enter")
    sync_api.expect(page.locator("#main")).to_be_focused()
    assert page.url.endswith("#/runs")
    sync_api.expect(page.locator("#runs")).to_be_visible()


def test_the_keyboard_alone_reaches_the_start(watched: Watched) -> None:
    page = watched.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    seen = []
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
        if seen[-1] == "start":
            break
    assert {"task", "model", "field-learning_rate", "start"} <= set(seen)
    page.locator("#field-dropout").focus()
    before = value(page, "Dropout")
    page.keyboard.press("ArrowRight")
    sync_api.expect(page.locator("#command")).to_contain_text("dropout=")
    assert value(page, "Dropout") != before
