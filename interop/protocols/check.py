"""The running product calls servers that nobody here wrote, and what it made of their answers is compared.

Arguments: the program, a folder to work in. One line for each check.
"""

import base64
import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

PROGRAM, FOLDER = sys.argv[1], Path(sys.argv[2])
HERE = Path(__file__).parent
SECRETS = {"post": "canary-post-5510", "basic": "canary-b&sic=%55", "bearer": "canary-bearer-77"}
OWNER = "user:finance-director"
HELLO = {
    "name": "Änn", "times": "9007199254740993", "mood": "MOOD_GLAD", "address": {"city": "Bonn", "codes": [1, -2]},
    "tags": {"a": "b"}, "at": "2026-11-23T04:00:00Z", "raw": "AQID", "mail": "x@y", "ratio": 0.5,
}
failed = 0


def check(what, found, wanted):
    global failed
    failed += found != wanted
    print(f"ok   protocols  {what}" if found == wanted else f"FAIL protocols  {what}: {found}", flush=True)


def manifest(kind, name, spec):
    return {"apiVersion": "mandate.dev/v1", "kind": kind, "metadata": {"name": f"finance/{name}"}, "spec": spec}


def function(call):
    return {
        "effect": "read", "model": "service-account", "legacy": True, "retry": {"attempts": 1},
        "class": {"impact": "read-only", "data": ["internal"]}, "returns": {"confidentiality": "internal"},
        "target": {"call": call},
    }


class House:
    def __init__(self, url):
        self.url = url

    def cli(self, account, *arguments, codes=(0,)):
        env = {**os.environ, "MANDATE_URL": self.url, "MANDATE_AS": account}
        ran = subprocess.run([PROGRAM, *arguments], env=env, capture_output=True, text=True)
        if ran.returncode not in codes:
            sys.exit(f"mandate {' '.join(arguments)} ended with {ran.returncode}\n{ran.stdout}{ran.stderr}")
        return ran.stdout

    def apply(self, manifests):
        folder = FOLDER / "manifests"
        folder.mkdir(exist_ok=True)
        for at, one in enumerate(manifests):
            (folder / f"{at:02}.yaml").write_text(json.dumps(one))
        self.cli("admin", "apply", "-f", str(folder))
        for file in folder.iterdir():
            file.unlink()

    def furnish(self, provider, greeter):
        issuer, resource = provider["issuer"], provider["resource"]
        exchange = {
            "tokenEndpoint": f"{issuer}/token", "issuer": issuer, "revocationEndpoint": f"{issuer}/token/revocation",
        }
        proto = {"uri": "https://greeter.example/greet.proto", "content": (HERE / "greet.proto").read_text()}
        http = {"protocol": "http", "connection": "resource", "methods": ["GET"]}
        manifests = [
            manifest("Connection", "resource", {"environments": {"sandbox": {"url": resource}}, "slot": {"schemes": ["oauth2", "oidc"]}}),
            manifest("Connection", "greeter", {"environments": {"sandbox": {"url": greeter}}, "slot": {"schemes": ["bearer"]}}),
            manifest("Function", "post", function(http)),
            manifest("Function", "basic", function(http)),
            manifest("Function", "bearer", function({"protocol": "grpc", "connection": "greeter", "document": proto})),
            manifest("RoleBinding", "lead-runs-all", {"subjects": ["user:finance-lead"], "role": "runner", "on": {"project": "finance"}}),
        ]
        for name in SECRETS:
            spec = {"owner": OWNER, "environment": "sandbox", "destinations": [greeter if name == "bearer" else resource]}
            if name != "bearer":
                spec["exchange"] = exchange
            on = {"resource": f"finance/{name}"}
            manifests += [
                manifest("Credential", name, spec),
                manifest("RoleBinding", f"{name}-owner", {"subjects": [OWNER], "role": "credential-owner", "on": on}),
            ]
        self.apply(manifests)
        value = FOLDER / "value"
        for name, secret in SECRETS.items():
            value.write_text(secret)
            self.cli("finance-director", "secrets", "put", f"finance/{name}", "--from-file", str(value))
            value.unlink()

    def run(self, name, step, codes=(0,)):
        """The run, and its output."""
        bindings = {name: f"finance/{name}" for name in SECRETS}
        document = {
            "document": {"dsl": "1.0.3", "namespace": "finance", "name": name, "version": "1.0.0"},
            "use": {"secrets": list(SECRETS)}, "do": [{"ask": step}],
        }
        self.apply([manifest("Worker", name, {
            "document": document, "class": {"impact": "action-taking", "data": ["internal"]},
            "environments": ["sandbox"], "defaultEnvironment": "sandbox", "functions": list(SECRETS),
            "bindings": bindings, "secrets": bindings, "artifact": {"name": "out", "mediaType": "application/json"},
        })])
        for credential in SECRETS:
            give = ["grants", "give", f"finance/{credential}", "--worker", f"finance/{name}", "--function", credential]
            self.cli("finance-director", *give)
        start = ["run", f"finance/{name}", "--purpose", "interop", "--input", "{}", "-o", "json"]
        view = json.loads(self.cli("finance-lead", *start, codes=codes))
        if view["state"] != "completed":
            return view, None
        file = FOLDER / f"{name}.json"
        self.cli("finance-lead", "artifact", "get", view["run"], "-f", str(file))
        statement = json.loads(base64.b64decode(json.loads(file.read_text())["payload"]))
        return view, statement["predicate"]["content"] if "predicate" in statement else statement["content"]


def by_token(provider, scheme, client, secret, way):
    policy = {
        "authority": provider["issuer"], "grant": "client_credentials", "scopes": ["read"],
        "client": {"id": client, "secret": f"${{ $secrets.{secret} }}", "authentication": way},
    }
    if scheme == "oauth2":
        policy["endpoints"] = {"token": "/token"}
    endpoint = {"uri": f"{provider['resource']}/thing", "authentication": {scheme: policy}}
    return {"call": "http", "with": {"method": "get", "endpoint": endpoint}}


def by_grpc(port, method, arguments):
    return {"call": "grpc", "with": {
        "proto": {"endpoint": "https://greeter.example/greet.proto"}, "method": method, "arguments": arguments,
        "service": {
            "name": "greet.v1.Greeter", "host": "127.0.0.1", "port": port,
            "authentication": {"bearer": {"token": "${ $secrets.bearer }"}},
        },
    }}


def main():
    house = House(os.environ["MANDATE_URL"])
    provider, port = json.loads(os.environ["PROVIDER"]), int(os.environ["GREETER_PORT"])
    house.furnish(provider, f"http://127.0.0.1:{port}")
    _, found = house.run("by-post", by_token(provider, "oauth2", "worker", "post", "client_secret_post"))
    check("oauth2, client_secret_post", found, {"client": "worker", "scope": "read"})
    _, found = house.run("by-basic", by_token(provider, "oidc", "worker:basic", "basic", "client_secret_basic"))
    check("oidc, client_secret_basic", found, {"client": "worker:basic", "scope": "read"})
    with urllib.request.urlopen(f"{provider['resource']}/used") as answer:
        check("no token outlives its call", json.load(answer), {"used": 2, "alive": 0})
    _, found = house.run("greet", by_grpc(port, "Greet", HELLO))
    check("gRPC, every kind of field there and back", found, {"text": "Hello, Änn", "echo": HELLO})
    _, found = house.run("count", by_grpc(port, "Count", {"times": 3}))
    check("gRPC, a stream", found, [{"text": "0"}, {"text": "1"}, {"text": "2"}])
    view, _ = house.run("fail", by_grpc(port, "Fail", {}), codes=(5,))
    check("gRPC, a status is an error", view["problem"]["status"], 403)
    held = [file for file in FOLDER.rglob("*") if file.is_file() and b"canary-" in file.read_bytes()]
    check("no secret is in what the house leaves behind", held, [])
    sys.exit(1 if failed else 0)


main()
