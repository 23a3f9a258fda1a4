"""What `deploy/` and the image describe, checked by outside programs.

No container engine is at hand here, so NOBODY HAS BUILT THE IMAGE OR RUN IT: it is linted, the
compose file and the manifests are parsed and checked against schemas, and what they run, `akosha
serve` with the same settings, is scraped by a real Prometheus with the alerts of `deploy/`.
"""

import json
import re
import subprocess

import kubernetes_validate
import pytest
import yaml
from prometheus import FOLDER, Prometheus, alerts, promtool
from serving import Serving
from support import REAL, ROOT, environment, wait_for

KUBERNETES = ROOT / "deploy/kubernetes"
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def manifests():
    for path in sorted(KUBERNETES.glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            yield path.name, document


def test_alerts_are_rules_and_each_fires_and_is_silent():
    promtool("check", "rules", "alerts.yaml")
    promtool("test", "rules", "alerts_test.yaml")
    tests = (FOLDER / "alerts_test.yaml").read_text()
    for name in alerts():
        assert f"- name: {name} fires\n" in tests and f"- name: {name} is silent\n" in tests, name


@pytest.mark.parametrize("change", [("akosha_conflicts > 0", "akosha_conflicts > 5"), ("> 900", "< 900")])
def test_the_tests_of_the_alerts_can_fail(tmp_path, change):
    text = (FOLDER / "alerts.yaml").read_text()
    assert change[0] in text
    (tmp_path / "alerts.yaml").write_text(text.replace(*change))
    (tmp_path / "alerts_test.yaml").write_text((FOLDER / "alerts_test.yaml").read_text())
    promtool("test", "rules", "alerts_test.yaml", cwd=tmp_path, code=1)


def test_prometheus_reads_its_configuration(tmp_path):
    for name in ("prometheus.yml", "alerts.yaml"):
        (tmp_path / name).write_text((FOLDER / name).read_text())
    (tmp_path / "akosha-token").write_text("akosha_test")
    promtool("check", "config", "prometheus.yml", cwd=tmp_path)


@pytest.fixture
def scraped(node, vault, tmp_path):
    """A server with memories that a Prometheus scrapes."""
    server = node("server", cloud_bucket=f"file://{vault}")
    for n in range(5):
        server.run("store", f"memory {n}")
    serving = Serving(server)
    prometheus = Prometheus(tmp_path / "prometheus", serving.port)
    wait_for(lambda: prometheus.query("akosha_memories"), 30, "a scrape")
    yield serving, prometheus
    prometheus.close()
    serving.close()


def test_prometheus_scrapes_and_evaluates_every_expression(scraped):
    serving, prometheus = scraped
    serving.ask("/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
    wait_for(lambda: prometheus.query('akosha_memories{tier="hot"} == 5'), 20, "the memories")
    assert prometheus.query('up{job="akosha"} == 1')
    for name, alert in alerts().items():
        prometheus.query(alert["expr"])
    # What Prometheus itself says of the rules, which it evaluates every second.
    def rules():
        groups = prometheus.ask("rules")["groups"]
        found = [rule for group in groups for rule in group["rules"]]
        return found if all(rule["health"] == "ok" for rule in found) else None
    found = wait_for(rules, 20, "the health of the rules")
    assert len(found) == len(alerts())
    firing = [rule["name"] for rule in found if rule["state"] == "firing"]
    assert not firing, firing
    # Each series that an alert or a plot looks at is there.
    told = {name for name in prometheus.ask("label/__name__/values") if name.startswith("akosha_")}
    dashboard = (ROOT / "deploy/grafana/akosha.json").read_text()
    named = set(re.findall(r"akosha_[a-z_]+", dashboard + (FOLDER / "alerts.yaml").read_text()))
    assert named <= told, named - told


def test_every_plot_of_grafana_is_an_expression(scraped):
    _, prometheus = scraped
    dashboard = json.loads((ROOT / "deploy/grafana/akosha.json").read_text())
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    assert len(panels) > 20
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    for panel in panels:
        spot = panel["gridPos"]
        assert spot["x"] + spot["w"] <= 24, panel["title"]
        for target in panel["targets"]:
            expression = target["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*")
            prometheus.query(expression)


def test_the_image_passes_the_linter():
    done = subprocess.run(
        [str(REAL / "venv/bin/hadolint"), "--failure-threshold", "info", "Dockerfile"],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    text = (ROOT / "Dockerfile").read_text()
    last = text.split("\nFROM ")[-1]
    assert "USER 65532" in last and "RUN" not in last, "no shell, not root"
    toolchain = (ROOT / "rust-toolchain.toml").read_text()
    version = re.search(r"FROM rust:([0-9.]+)", text)[1]
    assert re.search(rf'channel = "{re.escape(version)}', toolchain), "the image builds with the toolchain of the project"
    # What the build copies exists.
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line.startswith("!"):
            assert list(ROOT.glob(line[1:])), line


def test_the_compose_file_says_what_can_be_run(node):
    services = COMPOSE["services"]
    assert {"akosha", "minio", "bucket"} <= set(services)
    for name, service in services.items():
        assert "image" in service, name
        assert ":latest" not in service["image"], name
        for published in service.get("ports", []):
            assert published.startswith("127.0.0.1:"), "nothing is open to others unasked"
        for needed in service.get("depends_on", {}):
            assert needed in services
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./") and source != "./akosha-token":
                assert (ROOT / source).exists(), source
            elif not source.startswith("."):
                assert source in COMPOSE["volumes"], source
    akosha = services["akosha"]
    assert akosha["command"][0] == "serve"
    grace = int(akosha["stop_grace_period"].rstrip("s"))
    assert grace > int(akosha["environment"]["AKOSHA_SHUTDOWN_GRACE_SECONDS"])
    # The binary takes these settings.
    settings = {key: value.replace("${MINIO_ROOT_USER:?set it in .env}", "user") for key, value in akosha["environment"].items()}
    settings = {key: re.sub(r"\$\{.*", "secret-secret", value) for key, value in settings.items()}
    folder = node("checker").folder
    (folder / "empty.toml").write_text("")
    checked = subprocess.run(
        [*node("checker").command("--json")[:1], "--config", str(folder / "empty.toml"), "--json", "config", "check"],
        env=environment(folder, **settings), capture_output=True, text=True, timeout=60,
    )
    assert json.loads(checked.stdout)["valid"] is True, checked.stdout


@pytest.mark.parametrize("name, document", [pytest.param(*one, id=one[0]) for one in manifests()])
def test_a_manifest_fits_the_schema(name, document):
    if document["kind"] == "Kustomization":
        for resource in document["resources"] + document["configMapGenerator"][0]["files"]:
            assert (KUBERNETES / resource).exists(), resource
        return
    kubernetes_validate.validate(document, "1.33", strict=True)


def test_the_schemas_refuse_what_is_wrong():
    document = next(one for name, one in manifests() if name == "deployment.yaml")
    document["spec"]["replica"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, "1.33", strict=True)


def test_the_manifests_fit_each_other():
    found = {document["kind"]: document for _, document in manifests()}
    pod = found["Deployment"]["spec"]["template"]
    container = pod["spec"]["containers"][0]
    labels = pod["metadata"]["labels"]
    for kind in ("PodDisruptionBudget", "NetworkPolicy"):
        spec = found[kind]["spec"]
        selector = spec.get("selector") or spec["podSelector"]
        assert selector["matchLabels"].items() <= labels.items(), kind
    assert found["Service"]["spec"]["selector"].items() <= labels.items()
    port = container["ports"][0]
    assert found["Service"]["spec"]["ports"][0]["targetPort"] == port["name"]
    for probe, path in (("startupProbe", "/health"), ("livenessProbe", "/health"), ("readinessProbe", "/ready")):
        assert container[probe]["httpGet"] == {"path": path, "port": port["name"]}
    claim = pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"]
    assert found["PersistentVolumeClaim"]["metadata"]["name"] == claim
    target = found["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", found["Deployment"]["metadata"]["name"])
    # One volume that one node mounts: one pod at a time.
    assert found["Deployment"]["spec"]["replicas"] == 1
    assert found["Deployment"]["spec"]["strategy"]["type"] == "Recreate"
    assert found["HorizontalPodAutoscaler"]["spec"]["maxReplicas"] == 1
    config = (KUBERNETES / "akosha.toml").read_text()
    grace = int(re.search(r"shutdown_grace_seconds = (\d+)", config)[1])
    assert pod["spec"]["terminationGracePeriodSeconds"] > grace
    assert container["image"] == found["Job"]["spec"]["template"]["spec"]["containers"][0]["image"]
    for security in (pod["spec"]["securityContext"], found["Job"]["spec"]["template"]["spec"]["securityContext"]):
        assert security["runAsNonRoot"] is True and security["runAsUser"] == 65532
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
