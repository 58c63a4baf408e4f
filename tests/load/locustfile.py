"""Callers of the catalog in the mix that a shop has, and whether what they get is what was promised.

Environment: TOKENS, a file with a bearer token per line, each of another user; RATE, requests per second in all;
MODE, `load`, `stress` or `endurance`; DURATION, seconds; REPORT, the file that the report is written to; METRICS, the
URL of the service's metrics, for its memory.
"""

import itertools
import os
import random
import re
import urllib.request
import uuid

import gevent
from locust import FastHttpUser, LoadTestShape, constant_throughput, events, task

PRODUCTS = "/v1/catalog/products"
CATEGORIES = ["electronics", "books", "garden", "toys", "sports"]

MODE = os.environ["MODE"]
DURATION = int(os.environ["DURATION"])
RATE = int(os.environ["RATE"])

# What the service promises: percentiles in milliseconds, and the share of requests that may fail.
PERCENTILES = {0.50: 100, 0.95: 300, 0.99: 500}
MOST_FAILURES = 0.001
# How much of the rate may be missing: callers begin one after the other.
LEAST_RATE = 0.97
# By how much the memory may grow from the first tenth of an endurance run to its end.
MOST_GROWTH = 1.25

# Below the limit of requests that each user has.
RATE_OF_A_USER = 10

with open(os.environ["TOKENS"], encoding="ascii") as file:
    tokens = itertools.cycle(file.read().split())

# Products that some caller has seen, shared by all.
known = []


class Caller(FastHttpUser):
    """One user of the API, who calls at an even pace however long the answers take."""

    wait_time = constant_throughput(RATE_OF_A_USER)
    connection_timeout = network_timeout = 10

    def on_start(self):
        self.headers = {"Authorization": f"Bearer {next(tokens)}"}
        self.own = []
        if not known:
            known.extend(product["id"] for product in self.page(f"{PRODUCTS}?limit=100"))
        if not known:
            self.create()

    def call(self, method, path, name, expected=(200,), **arguments):
        with self.client.request(
            method, path, name=f"{method} {name}", headers=self.headers, catch_response=True, **arguments
        ) as answer:
            if answer.status_code in expected:
                answer.success()
            else:
                answer.failure(f"{answer.status_code} {(answer.text or '')[:200]}")
            return answer

    def page(self, path, name="list"):
        answer = self.call("GET", path, name)
        return answer.json()["data"]["products"] if answer.status_code == 200 else []

    @task(55)
    def get(self):
        # One that another caller has deleted meanwhile is not found, which is a right answer.
        self.call("GET", f"{PRODUCTS}/{random.choice(known)}", "by id", expected=(200, 404))

    @task(20)
    def list(self):
        self.page(f"{PRODUCTS}?limit=20&category={random.choice(CATEGORIES)}")

    @task(5)
    def deep(self):
        self.page(f"{PRODUCTS}?limit=20&page={random.randint(2, 100)}", "list, any page")

    @task(5)
    def inventory(self):
        self.call("GET", f"{PRODUCTS}/{random.choice(known)}/inventory", "inventory", expected=(200, 404))

    @task(6)
    def create(self):
        body = {
            "sku": f"LOAD-{uuid.uuid4().hex}",
            "name": "Made under load",
            "category": random.choice(CATEGORIES),
            "price": {"amount": random.randint(100, 99999) / 100, "currency": "USD"},
        }
        answer = self.call("POST", PRODUCTS, "create", expected=(201,), json=body)
        if answer.status_code == 201:
            product = answer.json()["data"]["product"]["id"]
            self.own.append(product)
            known.append(product)

    @task(7)
    def update(self):
        if self.own:
            body = {"name": f"Changed {random.random()}"}
            self.call("PATCH", f"{PRODUCTS}/{random.choice(self.own)}", "update", json=body)
        else:
            self.get()

    @task(2)
    def delete(self):
        if self.own:
            self.call("DELETE", f"{PRODUCTS}/{self.own.pop()}", "delete", expected=(204,))
        else:
            self.get()


if MODE == "stress":

    class Steps(LoadTestShape):
        """Half the rate more at every step, until what was promised is no longer kept."""

        seconds = 20
        best = 0

        def tick(self):
            step = int(self.get_run_time() // self.seconds)
            users = int(RATE / RATE_OF_A_USER * (1 + step / 2))
            total = self.runner.stats.total
            # The last ten seconds, of which the beginning of a step is no part.
            if self.get_run_time() % self.seconds > 12:
                kept = total.current_rps >= LEAST_RATE * users * RATE_OF_A_USER
                for percentile, most in PERCENTILES.items():
                    kept &= (total.get_current_response_time_percentile(percentile) or 0) < most
                kept &= total.current_fail_per_sec <= MOST_FAILURES * total.current_rps
                if not kept:
                    return None
                Steps.best = max(Steps.best, users * RATE_OF_A_USER)
            return None if self.get_run_time() > DURATION else (users, 100)


def resident_memory():
    """Bytes that the service holds, as its metrics tell."""
    with urllib.request.urlopen(os.environ["METRICS"], timeout=5) as page:
        found = re.search(r"^process_resident_memory_bytes (\S+)", page.read().decode(), re.MULTILINE)
    return float(found.group(1))


memory = []


@events.test_start.add_listener
def look_at_memory(environment, **_):
    if MODE == "endurance":
        gevent.spawn_later(DURATION / 10, lambda: memory.append(resident_memory()))


@events.test_stop.add_listener
def look_at_memory_again(environment, **_):
    if MODE == "endurance":
        memory.append(resident_memory())


def checks(stats):
    """What is checked: in words, what it was, what it must be, and whether it is."""
    total = stats.total
    if MODE == "stress":
        yield "rate that still kept all targets", f"{Steps.best} req/s", f">= {RATE} req/s", Steps.best >= RATE
        return
    yield "rate", f"{total.total_rps:.0f} req/s", f">= {LEAST_RATE * RATE:.0f} req/s", total.total_rps >= LEAST_RATE * RATE
    for percentile, most in PERCENTILES.items():
        value = total.get_response_time_percentile(percentile)
        yield f"P{percentile * 100:.0f}", f"{value} ms", f"< {most} ms", value < most
    yield "failed", f"{total.fail_ratio:.4%}", f"< {MOST_FAILURES:.1%}", total.fail_ratio < MOST_FAILURES
    if memory:
        first, last = memory[0], memory[-1]
        yield "memory", f"{first / 2**20:.0f} -> {last / 2**20:.0f} MiB", f"< {MOST_GROWTH} times", last < MOST_GROWTH * first


@events.quitting.add_listener
def report(environment, **_):
    stats = environment.stats
    lines = [
        f"# {MODE.capitalize()} test",
        "",
        f"{stats.total.num_requests} requests in {stats.last_request_timestamp - stats.start_time:.0f} s.",
        "",
        "| target | found | promised | |",
        "| --- | --- | --- | --- |",
    ]
    kept = True
    for name, found, promised, good in checks(stats):
        kept &= good
        lines.append(f"| {name} | {found} | {promised} | {'kept' if good else '**missed**'} |")
    lines += ["", "| request | count | failed | P50 ms | P95 ms | P99 ms | max ms |", "| --- | --- | --- | --- | --- | --- | --- |"]
    for entry in sorted(stats.entries.values(), key=lambda entry: -entry.num_requests):
        percentiles = [entry.get_response_time_percentile(percentile) for percentile in (0.5, 0.95, 0.99)]
        cells = [entry.name, entry.num_requests, entry.num_failures, *percentiles, round(entry.max_response_time)]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    for error in stats.errors.values():
        lines += ["", f"{error.occurrences} x {error.name}: {error.error}"]
    text = "\n".join(lines) + "\n"
    with open(os.environ["REPORT"], "w", encoding="utf-8") as file:
        file.write(text)
    print(text)
    environment.process_exit_code = 0 if kept else 1
