"""What the server answers: whatever changes something is a POST, and names are made here, never by a client."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

from visrun.errors import ConfigError, UserError, VisrunError
from visrun.run_files import PLOTS
from visrun.web import assets, exchange, processes, runs, space
from visrun.web.bodies import Cooked, Folder, Images, LoadedFile, Runs, Start, StartSweep, State, Swept, Typed
from visrun.web.catalog import catalog
from visrun.web.desk import Desk
from visrun.web.form import command, command_words, fill, view
from visrun.web.library import Place
from visrun.web.processes import Conflict
from visrun.web.stream import as_json, events

MOST_RUNS = 1000  # of a list
# A redirect would still belong to the page whose link was followed, and from there a strict cookie is not sent.
ENTER = (
    '<!doctype html><meta http-equiv="refresh" content="0; url=/"><link rel="icon" href="data:,">'
    '<title>visrun</title><a href="/">visrun</a>'
)


class Json(JSONResponse):
    """JSON as it is, not looked through piece by piece as FastAPI would."""

    def render(self, content: Any) -> bytes:
        return as_json(content).encode()


def make_app(desk: Desk) -> FastAPI:
    """The application, without its guard."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    files = assets.assets()

    @app.get("/")
    def page(request: Request, token: str | None = None) -> Response:
        if token is None:
            return assets.answer(files["index.html"], request)
        answer = HTMLResponse(ENTER)
        answer.set_cookie(desk.cookie, desk.token, httponly=True, samesite="strict", path="/")
        return answer

    @app.get("/static/{name:path}")
    def static(name: str, request: Request) -> Response:
        if name not in files:
            raise HTTPException(404, "no such file")
        return assets.answer(files[name], request)

    _form_routes(app, desk)
    _run_routes(app, desk)
    _action_routes(app, desk)
    _try_routes(app, desk)
    _sweep_routes(app, desk)
    _errors(app)
    return app


def _form_routes(app: FastAPI, desk: Desk) -> None:
    composer = desk.composer

    @app.get("/api/catalog")
    def told(request: Request) -> Response:
        place = {"cwd": str(desk.cwd), "roots": [str(root) for root in desk.roots.folders]}
        found = {"task": composer.conf.default_choices()["task"], "recipes": composer.conf.options("recipe")}
        whole = {**catalog(), **place, **found}
        return assets.packed(as_json(whole), request)

    @app.post("/api/view")
    def viewed(state: State, request: Request) -> Response:
        return assets.packed(as_json(view(state.task, state.model, state.touched, composer)), request)

    @app.post("/api/load")
    def load(file: LoadedFile) -> Response:
        return Json(exchange.loaded_text(file.text, composer))

    @app.post("/api/recipe")
    def cooked(asked: Cooked) -> Response:
        return Json(exchange.with_recipe(asked.recipe, asked, composer))

    @app.post("/api/experiment")
    def save(state: State) -> Response:
        with composer.lock:
            return Json(exchange.saved(fill(state.task, state.model, state.touched, composer)))

    @app.post("/api/offers")
    def offered(typed: Typed) -> Response:
        return Json(desk.offers(typed))

    @app.post("/api/dataset")
    def dataset(asked: Folder) -> Response:
        try:
            return Json(desk.look(asked))
        except UserError as error:  # an answer like others: a path is wrong while it is typed
            return Json({"state": "failed", "lines": str(error).splitlines()})


def _run_routes(app: FastAPI, desk: Desk) -> None:
    @app.get("/api/runs")
    def listed(request: Request) -> Response:
        lines = desk.library.listed()
        told = {"runs": lines[:MOST_RUNS], "more": max(0, len(lines) - MOST_RUNS)}
        return assets.packed(as_json(told), request)

    @app.post("/api/runs")
    def start(state: Start) -> Response:
        with desk.composer.lock:
            form = desk.checked(state)
            words, typed = command_words(form, desk.composer), command(form, desk.composer)
        model = form.resolved.settings.model.name
        picked = {"task": form.task, "model": form.model, "touched": form.entered.values}
        facts: dict[str, Any] = {"task": form.task, "model": model, "command": typed, "form": picked}
        folder = desk.processes.run(words, ticket=state.ticket, **facts)
        return Json({"id": desk.library.place(folder, "run").id})

    @app.get("/api/runs/{name}")
    def shown(name: str) -> Response:
        return Json(desk.run(desk.place(name, "run", "trial")))

    @app.get("/api/runs/{name}/form")
    def form_of(name: str) -> Response:
        return Json(desk.form(desk.place(name, "run", "trial")))

    @app.get("/api/runs/{name}/plots/{picture}")
    def picture(name: str, picture: str) -> Response:
        place = desk.place(name)
        if picture not in [drawn["name"] for drawn in runs.pictures(place.path)]:
            raise HTTPException(404, "no such picture")
        return FileResponse(place.path / PLOTS / picture, media_type="image/png")

    @app.get("/api/runs/{name}/stream")
    def stream(name: str, request: Request) -> Response:
        place, seen = desk.place(name, "run", "trial"), request.headers.get("last-event-id", "")
        position = int(seen) if seen.isascii() and seen.isdecimal() and len(seen) < 16 else 0
        told = events(
            place.path,
            position=position,
            detail=lambda: desk.run(place),
            resources=desk.resources,
            closing=lambda: desk.closing(),
        )
        return StreamingResponse(told, media_type="text/event-stream")


def _action_routes(app: FastAPI, desk: Desk) -> None:
    def route(verb: str, act: Callable[[Place], None]) -> None:
        @app.post(f"/api/runs/{{name}}/{verb}")
        def acted(name: str) -> Response:
            act(desk.place(name, "run", "sweep"))
            return Json({})

    route("stop", lambda place: processes.stop(place.path))
    route("kill", lambda place: processes.kill(place.path))
    route("resume", desk.resume)

    @app.post("/api/mlflow")
    def mlflow(asked: Runs) -> Response:
        notes = [runs.note_of_tracker(desk.place(name).path) for name in asked.ids]
        if not all(notes) or len({note["uri"] for note in notes}) != 1:
            raise HTTPException(409, "a run among them is in no MLflow store, or in another one")
        return Json(desk.mlflow.page(notes[0]["uri"], [note["run_id"] for note in notes]))


def _try_routes(app: FastAPI, desk: Desk) -> None:
    address = "/api/runs/{name}/predictions"

    @app.get(address)
    def shown(name: str) -> Response:
        return Json(desk.tries.told(desk.place(name, "run", "trial").path))

    @app.post(address)
    def start(name: str, asked: Images) -> Response:
        desk.tries.start(desk.place(name, "run", "trial").path, asked.path, threshold=asked.threshold)
        return Json({})

    @app.post(f"{address}/stop")
    def stop(name: str) -> Response:
        desk.tries.stop(desk.place(name, "run", "trial").path)
        return Json({})

    @app.get(f"{address}/{{number}}")
    def drawing(name: str, number: str) -> Response:
        place, known = desk.place(name, "run", "trial"), number.isdecimal() and len(number) < 6
        file = desk.tries.drawing(place.path, int(number)) if known else None
        if file is None:
            raise HTTPException(404, "no such picture")
        return FileResponse(file, media_type="image/png")


def _sweep_routes(app: FastAPI, desk: Desk) -> None:
    @app.get("/api/sweeps/{name}")
    def shown(name: str) -> Response:
        return Json(desk.sweep(desk.place(name, "sweep")))

    @app.post("/api/space")
    def offered(state: State) -> Response:
        with desk.composer.lock:
            form = fill(state.task, state.model, state.touched, desk.composer)
            return Json(space.offered(form, desk.composer))

    @app.post("/api/plan")
    def planned(asked: Swept) -> Response:
        with desk.composer.lock:
            form = fill(asked.task, asked.model, asked.touched, desk.composer)
            try:
                words = space.planned(form, asked, desk.composer)
                return Json({"command": shlex.join(["visrun", "-m", *words]), "problems": []})
            except ConfigError as error:
                return Json({"command": "", "problems": str(error).splitlines()})

    @app.post("/api/sweeps")
    def start(asked: StartSweep) -> Response:
        with desk.composer.lock:
            form = desk.checked(asked, varied=asked.ranges)
            words = space.planned(form, asked, desk.composer)
        folder = desk.processes.sweep(
            words,
            task=form.task,
            model="" if "model" in asked.ranges else form.resolved.settings.model.name,
            ticket=asked.ticket,
            trials=asked.trials,
            space=list(asked.ranges),
        )
        return Json({"id": desk.library.place(folder, "sweep").id})


def _errors(app: FastAPI) -> None:
    """Every refusal is ``{"detail": [line, ...]}``."""

    @app.exception_handler(VisrunError)
    def wrong(_: Request, error: VisrunError) -> JSONResponse:
        asked = isinstance(error, UserError)  # else it is this machine's fault, such as a full disk
        return JSONResponse({"detail": str(error).splitlines()}, 422 if asked else 500)

    @app.exception_handler(Conflict)
    def conflict(_: Request, error: Conflict) -> JSONResponse:
        return JSONResponse({"detail": [str(error)]}, 409)

    @app.exception_handler(StarletteHTTPException)
    def refused(_: Request, error: StarletteHTTPException) -> JSONResponse:
        return JSONResponse({"detail": [str(error.detail)]}, error.status_code)

    @app.exception_handler(RequestValidationError)
    def strange(_: Request, error: RequestValidationError) -> JSONResponse:
        places = [".".join(str(part) for part in item["loc"][1:]) for item in error.errors()]
        return JSONResponse({"detail": [f"not understood: {', '.join(places)[:200] or 'the request'}"]}, 422)
