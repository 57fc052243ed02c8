# Made by Firedrill from configs/alert-issues/firedrill-alert-issues.py.
"""Receives Alertmanager's webhook on 127.0.0.1:9096 and keeps one GitHub issue per alert: opened when it fires, rewritten when it
changes, closed when it is over. What fails is answered with 502, and Alertmanager tries again. The token is never written anywhere."""
import json
import os
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

API = {{ monitor.alerts.api | json }}
REPOSITORY = {{ monitor.alerts.repository | json }}
ENVIRONMENT = {{ environment | json }}
LABEL = "firedrill-alert"
TIMEOUT_S = 10


def call(method, path, body=None):
    with open(os.environ["CREDENTIALS_DIRECTORY"] + "/token", encoding="utf-8") as file:
        token = file.read().strip()
    request = urllib.request.Request(
        f"{API}/repos/{REPOSITORY}{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {token}",
            "Accept": "application/vnd.github+json",
            "Content-Type": "application/json",
            "User-Agent": "firedrill",
        },
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
        return json.load(response)


def find(mark):
    for page in range(1, 11):
        issues = call("GET", f"/issues?state=open&labels={LABEL}&per_page=100&page={page}")
        for issue in issues:
            if mark in (issue.get("body") or ""):
                return issue["number"]
        if len(issues) < 100:
            return None
    return None


def handle(message):
    name = message["groupLabels"]["alertname"]
    mark = f"<!-- firedrill-alert: {ENVIRONMENT}/{name} -->"
    lines = [
        f"- {alert['status']} since {alert['startsAt']}: {alert['annotations'].get('summary', name)}"
        for alert in message["alerts"]
    ]
    runbook = message.get("commonAnnotations", {}).get("runbook")
    page = f"\n\nWhat to do: `{runbook}`" if runbook else ""
    body = f"{mark}\nEnvironment {ENVIRONMENT}.\n\n" + "\n".join(lines) + page
    number = find(mark)
    if message["status"] == "firing":
        if number is None:
            call("POST", "/issues", {"title": f"{ENVIRONMENT}: {name}", "body": body, "labels": [LABEL]})
        else:
            call("PATCH", f"/issues/{number}", {"body": body})
    elif number is not None:
        call("PATCH", f"/issues/{number}", {"body": body, "state": "closed", "state_reason": "completed"})


class Receiver(BaseHTTPRequestHandler):
    timeout = TIMEOUT_S

    def do_POST(self):
        code = 204
        try:
            handle(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        except (OSError, ValueError, KeyError) as error:
            print(f"no issue was written: {error}", flush=True)
            code = 502
        self.send_response(code)
        self.end_headers()

    def log_message(self, *_):
        """One line per request says nothing that the issues do not."""


# One at a time: two messages about one alert must not open two issues.
HTTPServer(("127.0.0.1", int(os.environ.get("PORT", "9096"))), Receiver).serve_forever()
