"""A stand-in for W&B's server on the loopback: it answers what the clients of wandb 0.31 ask in a run, a sweep or an
artifact, and remembers what they send. It says nothing of how the real server chooses or checks."""

import gzip
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from typing import Any, Self
from urllib.parse import quote, unquote

import yaml

Json = dict[str, Any]
ENTITY, PROJECT = "tester", "vggsuite"
PROJECT_NODE: Json = {"id": "project", "name": PROJECT, "entity": {"id": "entity", "name": ENTITY}}


@dataclass
class Run:
    """What clients have told of a run, and the commands by which agents were told to run it."""

    name: str
    sweep: str | None = None
    config: Json = field(default_factory=dict)  # {key: {"value": value}}, as the client has it
    history: list[Json] = field(default_factory=list)
    summary: Json = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)  # of the terminal
    commands: list[Json] = field(default_factory=list)
    operations: list[str] = field(default_factory=list)
    preempting: bool = False
    ends: list[tuple[int, bool]] = field(default_factory=list)  # exit code, and whether it was a preemption


@dataclass
class Artifact:
    """What a run has logged as one artifact."""

    given: Json  # artifactCollectionName, artifactTypeName, runName, aliases, metadata (JSON), ...
    files: dict[str, bytes] = field(default_factory=dict)
    committed: bool = False


def grid_commands(sweep: str, content: Json) -> list[Json]:
    """The commands for the points of a grid, in the order of the file."""
    listed = {name: each.get("values", [each.get("value")]) for name, each in content["parameters"].items()}
    points = [{k: {"value": v} for k, v in zip(listed, chosen, strict=True)} for chosen in product(*listed.values())]
    command = {"type": "run", "program": content["program"]}
    return [command | {"run_id": f"{sweep}-{number}", "args": point} for number, point in enumerate(points)]


class Handler(BaseHTTPRequestHandler):
    """Requests, put to the stub one at a time."""

    protocol_version = "HTTP/1.1"
    server: "WandbStub"

    def do_POST(self) -> None:
        body, answer = self.body(), Json()
        with self.server.lock:
            if self.path == "/graphql":
                content = json.loads(body)
                answer = self.server.answer(content["query"], content.get("variables") or {})
            elif self.path.endswith("/file_stream"):
                self.server.stream(self.path.split("/")[-2], json.loads(body or b"{}"))
        self.send(answer)

    def do_PUT(self) -> None:
        """An upload to /runs/<run>/<file> or /artifacts/<artifact>/<file>."""
        _, kind, name, file = self.path.split("/", 3)
        owner: Run | Artifact = self.server.runs[name] if kind == "runs" else self.server.artifacts[name]
        owner.files[unquote(file)] = self.body()
        self.send({})

    def body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def send(self, content: Json) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


class WandbStub(ThreadingHTTPServer):
    """The server, a context manager. It has one method for each GraphQL operation, named as it in snake case."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.environment = {"WANDB_BASE_URL": self.url, "WANDB_API_KEY": f"local{'0' * 40}", "WANDB_MODE": "online"}
        self.lock = threading.Lock()
        self.runs: dict[str, Run] = {}
        self.sweeps: dict[str, str] = {}  # their files
        self.waiting: dict[str, list[Json]] = {}  # of each sweep, the commands that no agent has been given yet
        self.artifacts: dict[str, Artifact] = {}
        self.agents: dict[str, str] = {}  # their sweeps
        self.operations: list[tuple[str, Json]] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: Any) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: Any) -> None:
        """A client that ends cuts its connections."""

    def answer(self, query: str, variables: Json) -> Json:
        found = re.search(r"(?:query|mutation)\s+(\w+)", query)
        operation = found[1] if found else ""
        self.operations.append((operation, variables))
        handler = getattr(self, re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation).lower(), None)
        return {"data": handler(variables)} if handler else {"errors": [{"message": f"{operation} is not known"}]}

    def run(self, name: str, operation: str) -> Run:
        found = self.runs.setdefault(name, Run(name))
        found.operations.append(operation)
        return found

    def stream(self, name: str, content: Json) -> None:
        """Take in a part of a run's stream; a preempted run of a sweep goes to an agent again, which is sent not only
        the sweep's parameters but all of its config (wandb#9143, wandb#4237)."""
        run = self.run(name, "file_stream")
        lines = {file: part["content"] for file, part in content.get("files", {}).items()}
        run.history += map(json.loads, lines.get("wandb-history.jsonl", []))
        run.summary |= json.loads(lines.get("wandb-summary.json", ["{}"])[-1])
        run.lines += lines.get("output.log", [])
        run.preempting |= bool(content.get("preempting"))
        if content.get("complete"):
            run.ends.append((content["exitcode"], run.preempting))
            if run.sweep and run.preempting and content["exitcode"]:
                self.waiting[run.sweep].insert(0, run.commands[0] | {"type": "resume", "args": dict(run.config)})

    def viewer(self, _: Json) -> Json:
        return {"viewer": {"id": "user", "entity": ENTITY, "username": ENTITY, "flags": "{}", "teams": {"edges": []}}}

    def server_features_query(self, _: Json) -> Json:
        return {"serverInfo": {"features": []}}

    def upsert_sweep(self, given: Json) -> Json:
        name = f"sweep{len(self.sweeps)}"
        self.sweeps[name] = given["config"]
        self.waiting[name] = grid_commands(name, yaml.safe_load(given["config"]))
        return {"upsertSweep": {"sweep": {"name": name, "project": PROJECT_NODE}, "configValidationWarnings": []}}

    def sweep_with_runs(self, given: Json) -> Json:
        sweep = {"name": given["sweep"], "config": self.sweeps[given["sweep"]], "runs": {"edges": []}}
        return {"project": {"sweep": sweep}}

    def create_agent(self, given: Json) -> Json:
        name = f"agent{len(self.agents)}"
        self.agents[name] = given["sweep"]
        return {"createAgent": {"agent": {"id": name}}}

    def heartbeat(self, given: Json) -> Json:
        waiting, commands = self.waiting[self.agents[given["id"]]], []
        if not json.loads(given["runState"]):
            commands = [waiting.pop(0) if waiting else {"type": "exit"}]
            if "run_id" in commands[0]:
                run = self.run(commands[0]["run_id"], commands[0]["type"])
                run.preempting = False
                run.commands.append(commands[0])
        return {"agentHeartbeat": {"agent": {"id": given["id"]}, "commands": json.dumps(commands)}}

    def upsert_bucket(self, given: Json) -> Json:
        run = self.run(given["name"], "UpsertBucket")
        run.sweep = given["sweep"] or run.sweep
        run.config |= json.loads(given["config"] or "{}")
        bucket = {"id": run.name, "name": run.name, "displayName": given["displayName"], "sweepName": run.sweep}
        bucket |= {"config": json.dumps(run.config), "project": PROJECT_NODE, "historyLineCount": len(run.history)}
        return {"upsertBucket": {"bucket": bucket, "inserted": run.operations.count("UpsertBucket") == 1}}

    def run_resume_status(self, given: Json) -> Json:
        run, bucket = self.runs.get(given["name"]), Json()
        if run and "UpsertBucket" in run.operations:
            tail = json.dumps([json.dumps(row) for row in run.history[-1:]])
            bucket |= {"id": run.name, "name": run.name, "config": json.dumps(run.config), "historyTail": tail}
            bucket |= {"historyLineCount": len(run.history), "eventsLineCount": 0, "logLineCount": len(run.lines)}
            bucket |= {"summaryMetrics": json.dumps(run.summary), "eventsTail": "[]", "wandbConfig": '{"t": {}}'}
        return {"model": {**PROJECT_NODE, "bucket": bucket or None}}

    def create_run_files(self, given: Json) -> Json:
        run = self.run(given["run"], "CreateRunFiles").name
        files = [{"name": name, "uploadUrl": f"{self.url}/runs/{run}/{quote(name)}"} for name in given["files"]]
        return {"createRunFiles": {"runID": run, "uploadHeaders": [], "files": files}}

    def create_artifact(self, given: Json) -> Json:
        given, name = given["input"], f"artifact{len(self.artifacts)}"
        self.run(given["runName"], "CreateArtifact")
        self.artifacts[name] = Artifact(given)
        return {"createArtifact": {"artifact": {"id": name, "state": "PENDING", "artifactSequence": {}}}}

    def create_artifact_manifest(self, given: Json) -> Json:
        name = given["artifactID"]
        file = {"id": name, "uploadUrl": f"{self.url}/artifacts/{name}/{given['name']}", "uploadHeaders": []}
        return {"createArtifactManifest": {"artifactManifest": {"id": name, "file": file}}}

    def create_artifact_files(self, given: Json) -> Json:
        nodes = []
        for name, file in ((file["artifactID"], file["name"]) for file in given["input"]["artifactFiles"]):
            url = f"{self.url}/artifacts/{name}/{quote(file)}"
            nodes.append({"storagePath": file, "uploadUrl": url, "artifact": {"id": name}})
        return {"createArtifactFiles": {"files": {"edges": [{"node": node} for node in nodes]}}}

    def commit_artifact(self, given: Json) -> Json:
        self.artifacts[given["artifactID"]].committed = True
        return {"commitArtifact": {"artifact": {"id": given["artifactID"], "digest": ""}}}
