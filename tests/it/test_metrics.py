"""/metrics: a scrape is what Prometheus reads, and says what happened; money is counted the same everywhere."""
import math
import re

from gateway import config_for
from test_http import ask
from test_tool_turn import call

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(r"(%s)(?:\{(.*)\})? (\S+)" % NAME)
LABEL = re.compile(r'(%s)="((?:[^"\\\n]|\\["\\n])*)"(,|$)' % NAME)


def scrape(g):
    """{name: {labels: value}} of one scrape, every rule of the text format (0.0.4) checked on the way."""
    s, h, b = ask(g, "/metrics")
    assert s == 200 and h["content-type"].startswith("text/plain; version=0.0.4"), (s, h)
    text = b.decode()
    assert text.endswith("\n") and "\r" not in text
    types, helps, out, family, ended = {}, {}, {}, None, set()
    for line in text[:-1].split("\n"):
        if line.startswith("# "):
            _, what, name, rest = line.split(" ", 3)
            assert what in ("HELP", "TYPE") and re.fullmatch(NAME, name), line
            table = helps if what == "HELP" else types
            assert name not in table and name not in ended, "twice: " + line
            table[name] = rest
            if what == "TYPE":
                assert rest in ("counter", "gauge", "histogram"), line
                ended.add(family)
                family = name
            continue
        m = SAMPLE.fullmatch(line)
        assert m, "not a sample: %r" % line
        name, labels, at = m.group(1), {}, 0
        while m.group(2) and at < len(m.group(2)):
            one = LABEL.match(m.group(2), at)
            assert one and one.group(1) not in labels, line
            labels[one.group(1)], at = one.group(2), one.end()
        value = float(m.group(3))
        assert not math.isnan(value), line
        base = re.sub(r"_(bucket|sum|count)$", "", name) if types.get(family) == "histogram" else name
        assert base == family and base in helps, "%r outside of its family %s" % (line, family)
        assert types[family] != "counter" or (name.endswith("_total") and value >= 0), line
        key = tuple(sorted(labels.items()))
        assert key not in out.setdefault(name, {}), "twice: " + line
        out[name][key] = value
    for name, kind in types.items():
        if kind != "histogram":
            continue
        for key, count in out.get(name + "_count", {}).items():
            steps = sorted((float(dict(k)["le"].replace("+Inf", "inf")), v) for k, v in out[name + "_bucket"].items()
                           if tuple(x for x in k if x[0] != "le") == key)
            assert steps[-1] == (math.inf, count) and key in out[name + "_sum"], (name, key, steps)
            assert [v for _, v in steps] == sorted(v for _, v in steps), (name, key, steps)
    return out


def total(m, name, **labels):
    return sum(v for k, v in m["openclaw_" + name].items() if set(labels.items()) <= set(k))


def test_scrape(t):
    g = t.gateway()
    c = g.client()
    before = scrape(g)
    for name in ("process_cpu_seconds_total", "process_pss_bytes", "process_resident_bytes", "process_restarts_total", "process_up",
                 "turns_open", "deliveries_open", "connections", "front_connections",
                 "front_bytes_in_total", "front_bytes_out_total", "http_answers_total", "delivery_results_total", "tokens_total",
                 "cost_total", "provider_calls_total", "provider_failures_total", "tool_calls_total"):
        assert "openclaw_" + name in before or name.startswith("provider"), name
    assert total(before, "connections") == 1 and total(before, "process_up", role="hub") == 1, before
    c.turn("main", "hello " + call("agents_list"))
    c.turn("main", "again [fake 401]")
    after = scrape(g)
    diff = lambda name, **l: total(after, name, **l) - total(before, name, **l) if "openclaw_" + name in before else total(after, name, **l)
    assert diff("turns_total", end="ok") == 1 and diff("turns_total", end="error") == 1
    assert diff("provider_calls_total", provider="mock") >= 2, after["openclaw_provider_calls_total"]
    assert diff("tool_calls_total", tool="agents_list", end="ok") == 1 and diff("tokens_total", kind="input") == 10
    assert after["openclaw_rpc_seconds_count"][(("method", "chat.send"),)] == 2
    assert diff("front_bytes_in_total") > 0 and diff("front_bytes_out_total") > 0
    assert total(after, "lane_running", lane="main") == total(after, "lane_waiting", lane="main") == 0, after
    old = g.kill("agent")
    g.wait_replaced("agent", old)
    assert total(scrape(g), "process_restarts_total", role="agent") >= 1


def test_money(t):
    """What a turn costs: in its message, in the session's usage, in all of it, in the metrics."""
    conf = config_for(t.fake.url)
    conf["models"]["providers"]["mock"]["models"][0]["cost"] = {"input": 3, "output": 15, "cacheRead": 0.3, "cacheWrite": 3.75}
    g = t.gateway(conf)
    c = g.client()
    c.turn("main", "hello [fake ok chunks=20]")
    one = (10 * 3 + 20 * 15) / 1e6
    got = c.history("main")[-1]["usage"]
    assert (got["input"], got["output"]) == (10, 20) and abs(got["cost"]["total"] - one) < 1e-9, got
    c.turn("main", "more " + call("agents_list"))  # the answer with the call says no usage, the last one 10 and 1
    whole = one + (10 * 3 + 1 * 15) / 1e6
    m = scrape(g)
    assert abs(total(m, "cost_total") - whole) < 2e-6, (m["openclaw_cost_total"], whole)
    used = c.ask("sessions.usage", {"key": "agent:main:main"})
    assert abs(used["totals"]["totalCost"] - whole) < 1e-9, used["totals"]
    by_day = c.ask("usage.cost", {"days": 7})
    assert by_day["days"] == 7 and abs(by_day["totals"]["totalCost"] - whole) < 1e-9, by_day
    assert len(by_day["daily"]) == 1 and abs(by_day["daily"][0]["totalCost"] - whole) < 1e-9, by_day
    assert c.ask("usage.cost", {"startDate": "2001-01-01", "endDate": "2001-01-02"})["totals"]["totalCost"] == 0
    assert "startDate" in c.refused("usage.cost", {"startDate": "2001-02-31"}).message
    assert c.ask("usage.status", {})["providers"] == []
