"""compose.yaml: that it is one, and that what it starts fits the apps' settings."""

import json
import re
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import compose_spec
import pytest
import yaml
from msgspec import structs

from b2b_chat.gateway.settings import GatewaySettings
from b2b_chat.gateway.settings import load_settings as load_gateway
from b2b_chat.kit.settings import SettingsError
from b2b_chat.product.configuration import load_settings as load_product
from b2b_chat.product.database_roles import load_owner
from b2b_chat.product.settings import ProductSettings

ROOT = Path(__file__).parents[3]
_INTERPOLATED = re.compile(r"\$\{(\w+):-([^${}]*)\}")
_AFTER_GRACE_SECONDS = 10
"""What an app takes to end once its grace is over, as the command line has it."""


def compose(**variables: str) -> dict[str, Any]:
    """The file with its variables filled in and its anchors resolved, without the `x-` parts."""
    text = (ROOT / "compose.yaml").read_text()
    while _INTERPOLATED.search(text):  # from the innermost
        text = _INTERPOLATED.sub(lambda found: variables.get(found[1]) or found[2], text)
    assert "${" not in text
    loaded: dict[str, Any] = yaml.safe_load(text)
    return {name: value for name, value in loaded.items() if not name.startswith("x-")}


def service(name: str) -> dict[str, Any]:
    described: dict[str, Any] = compose()["services"][name]
    return described


def environment(name: str, **variables: str) -> dict[str, str]:
    """What a service's process is given where there is no file of settings."""
    described = compose(**variables)["services"][name]
    given: dict[str, str] = {}
    for entry in described["env_file"]:
        file = ROOT / entry["path"]
        assert entry["required"] is False
        if file.exists() and file.parent != ROOT:
            lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
            given |= dict(line.split("=", 1) for line in lines)
    fixed: dict[str, str] = described.get("environment", {})
    return given | fixed


def test_it_keeps_to_the_specification() -> None:
    compose_spec.PyCompose.from_json(json.dumps(compose())).validate()


def test_the_check_of_the_specification_can_fail() -> None:
    wrong = compose()
    wrong["services"]["product_api"]["depend_on"] = ["postgres"]
    with pytest.raises(ValueError, match="depend_on"):
        compose_spec.PyCompose.from_json(json.dumps(wrong))


def test_plain_up_starts_both_apps_and_their_services() -> None:
    plain = {name for name, described in compose()["services"].items() if "profiles" not in described}
    assert plain == {"postgres", "valkey", "migrations", "product_api", "gateway_api"}
    for name in ("openai_simulator", "mail_catcher"):
        assert service(name)["profiles"] == ["dev"]
    for name in ("prometheus", "grafana"):
        assert service(name)["profiles"] == ["observe"]


def test_ports_are_those_of_the_readme_and_for_this_machine_alone() -> None:
    published = {port for described in compose()["services"].values() for port in described.get("ports", [])}
    assert published == {
        "127.0.0.1:5432:5432",
        "127.0.0.1:8000:8000",
        "127.0.0.1:8001:8001",
        "127.0.0.1:8003:8003",
        "127.0.0.1:9090:9090",
        "127.0.0.1:3000:3000",
    }


def test_metrics_are_shown_to_the_other_containers_alone_and_prometheus_knows_where() -> None:
    targets = ROOT / "deploy/prometheus/targets"
    for name, load in (("product_api", load_product), ("gateway_api", load_gateway)):
        settings: Any = load(environment(name))
        port = settings.product_metrics_port if name == "product_api" else settings.gateway_metrics_port
        assert ip_address(settings.metrics_host).is_unspecified
        assert not [published for published in service(name)["ports"] if published.endswith(f":{port}")]
        (target,) = yaml.safe_load((targets / f"{name}.yml").read_text())
        assert target == {"targets": [f"{name}:{port}"], "labels": {"job": name}}


def test_monitoring_mounts_files_that_exist() -> None:
    for observed in ("", "product_api.yml", "gateway_api.yml"):
        for name in ("prometheus", "grafana"):
            mounted = [
                each for each in compose(OBSERVED=observed)["services"][name]["volumes"] if each.startswith("./")
            ]
            assert mounted
            for mount in mounted:
                source, _, mode = mount.split(":")
                assert (ROOT / source).exists(), mount
                assert mode == "ro"


def test_grafana_is_led_to_prometheus_and_to_the_dashboard() -> None:
    provisioning = ROOT / "deploy/grafana/provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())["datasources"]
    assert source["type"] == "prometheus"
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((provisioning / "dashboards/b2b-chat.yml").read_text())["providers"]
    mounted = dict(each.split(":")[1::-1] for each in service("grafana")["volumes"])
    dashboard = f"{provider['options']['path']}/b2b-chat.json"
    assert mounted[dashboard] == "./deploy/grafana/b2b-chat.json"
    assert service("grafana")["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == dashboard
    assert mounted["/etc/grafana/provisioning"] == "./deploy/grafana/provisioning"


def test_valkey_writes_nothing_to_disk_and_throws_nothing_out() -> None:
    command = service("valkey")["command"][-1]
    for option in ('--save ""', "--appendonly no", "--maxmemory-policy noeviction"):
        assert option in command
    assert service("valkey")["tmpfs"] == ["/data"]
    assert "ports" not in service("valkey")


def test_migrations_are_a_step_before_product_api() -> None:
    assert service("migrations")["command"] == ["b2b-chat", "migrate"]
    assert service("migrations")["image"] == service("product_api")["image"]
    assert service("product_api")["depends_on"] == {
        "postgres": {"condition": "service_healthy"},
        "valkey": {"condition": "service_healthy"},
        "migrations": {"condition": "service_completed_successfully"},
    }


def test_one_app_does_not_bring_the_other_along() -> None:
    assert "gateway_api" not in service("product_api")["depends_on"]
    assert set(service("gateway_api")["depends_on"]) == {"valkey"}


def test_every_container_runs_with_least_privilege() -> None:
    writable = {  # mounts of theirs
        "postgres": ["/tmp", "/run/postgresql:mode=1777"],  # noqa: S108
        "valkey": ["/data"],
        "grafana": ["/tmp", "/var/lib/grafana"],  # noqa: S108
    }
    for name, described in compose()["services"].items():
        assert described["read_only"] is True, name
        assert described["tmpfs"] == writable.get(name, ["/tmp"]), name  # noqa: S108 - a mount of the container's own
        assert described["cap_drop"] == ["ALL"], name
        assert described["security_opt"] == ["no-new-privileges:true"], name
        assert described["ulimits"] == {"core": 0}, name


def test_every_image_of_others_is_named_by_its_digest() -> None:
    """A release never runs what a tag happens to name; `just images-pin` prints variables that renew the digests."""
    text = (ROOT / "compose.yaml").read_text()
    of_others = {
        line.split("image: ")[1] for line in text.splitlines() if "image: " in line and "b2b-chat/" not in line
    }
    assert len(of_others) == 4
    named = re.compile(r"\$\{[A-Z]+_IMAGE:-docker\.io/[a-z]+/[a-z]+@sha256:[0-9a-f]{64}\} # [\w.-]+")
    assert all(named.fullmatch(image) for image in of_others)
    assert named.search(text.split("PYTHON_IMAGE: ")[1].splitlines()[0])
    names = {
        f"{name}_IMAGE": f"pinned/{name.lower()}@sha256:0" for name in ("POSTGRES", "VALKEY", "PROMETHEUS", "GRAFANA")
    }
    images = {described["image"] for described in compose(**names)["services"].values()}
    assert set(names.values()) <= images
    built = compose(PYTHON_IMAGE="pinned/python@sha256:0")["services"]
    assert built["product_api"]["build"]["args"]["PYTHON_IMAGE"] == "pinned/python@sha256:0"


@pytest.mark.parametrize("name", ["gateway_api", "valkey"])
def test_what_holds_answers_is_not_swapped(name: str) -> None:
    described = service(name)
    assert described["memswap_limit"] == described["mem_limit"]


def test_each_container_is_given_its_own_secrets_alone() -> None:
    """No file of settings is read by two services, and the owner's password goes to the migrations alone."""
    files = [file["path"] for described in compose()["services"].values() for file in described.get("env_file", [])]
    assert len(set(files)) == len(files) == 4
    assert not {file for file in files if Path(file).name == ".env"}
    secrets = {
        "POSTGRES_PASSWORD": "of-the-owner",
        "POSTGRES_APP_PASSWORD": "of-the-app",
        "VALKEY_PASSWORD": "of-valkey",
    }
    holders = {
        secret: {name for name, described in compose(**secrets)["services"].items() if secret in json.dumps(described)}
        for secret in secrets.values()
    }
    assert holders == {
        "of-the-owner": {"postgres", "migrations"},
        "of-the-app": {"postgres"},
        "of-valkey": {"valkey", "product_api", "gateway_api"},
    }


@pytest.mark.parametrize("name", ["product_api", "gateway_api", "migrations", "openai_simulator", "mail_catcher"])
def test_our_containers_run_with_least_privilege(name: str) -> None:
    described = service(name)
    assert described["read_only"] is True
    assert described["tmpfs"] == ["/tmp"]  # noqa: S108 - a mount of the container's own
    assert described["cap_drop"] == ["ALL"]
    assert described["security_opt"] == ["no-new-privileges:true"]
    assert (ROOT / described["build"]["dockerfile"]).is_file()


@pytest.mark.parametrize(("name", "settings"), [("product_api", ProductSettings), ("gateway_api", GatewaySettings)])
def test_an_app_is_killed_later_than_it_ends_by_itself(
    name: str, settings: type[ProductSettings] | type[GatewaySettings]
) -> None:
    defaults = {field.name: field.default for field in structs.fields(settings)}
    grace_seconds = defaults["shutdown_grace_seconds"]
    assert int(service(name)["stop_grace_period"].removesuffix("s")) > grace_seconds + _AFTER_GRACE_SECONDS


def test_a_laptop_needs_no_env_file() -> None:
    product = load_product(environment("product_api"))
    gateway = load_gateway(environment("gateway_api"))
    assert product.app_env == gateway.app_env == "dev"
    assert ip_address(product.product_host).is_unspecified
    assert ip_address(gateway.gateway_host).is_unspecified
    assert product.gateway_shared_secret == gateway.gateway_shared_secret
    assert product.gateway_url == "http://gateway_api:8001"
    # Without the profile `dev` nothing answers there: then a chat fails, and no text leaves the machine.
    assert gateway.openai_base_url == "http://openai_simulator:8002/v1"


def test_database_and_proxy_are_the_composed_ones() -> None:
    product = load_product(environment("product_api"))
    postgres, migrations = service("postgres")["environment"], service("migrations")["environment"]
    place = f"postgres:5432/{postgres['POSTGRES_DB']}"
    assert product.database_url.reveal() == f"postgresql://b2b_chat_app:{postgres['POSTGRES_APP_PASSWORD']}@{place}"
    owner = f"postgresql://{postgres['POSTGRES_USER']}:{postgres['POSTGRES_PASSWORD']}@{place}"
    assert load_owner({name: str(value) for name, value in migrations.items()}) == (owner, "b2b_chat_app")
    assert "CREATE ROLE b2b_chat_app LOGIN" in (ROOT / "docker/postgres/app_user.sh").read_text()
    assert "./docker/postgres:/docker-entrypoint-initdb.d:ro" in service("postgres")["volumes"]
    (network,) = compose()["networks"]["default"]["ipam"]["config"]
    assert product.trusted_proxies == network["gateway"]


@pytest.mark.parametrize(("name", "load"), [("product_api", load_product), ("gateway_api", load_gateway)])
def test_production_gets_none_of_a_laptops_values(name: str, load: Any) -> None:
    given = environment(name, APP_ENV="prod")
    assert given["APP_ENV"] == "prod"  # the app learns it from Compose's own `.env`
    laptop = environment(name)
    assert {"GATEWAY_SHARED_SECRET"} <= set(laptop) - set(given)
    with pytest.raises(SettingsError, match="GATEWAY_SHARED_SECRET is required"):
        load(given)
    # And were they copied all the same, each of the secrets is refused.
    with pytest.raises(SettingsError) as refused:
        load({**laptop, "APP_ENV": "prod"})
    for secret in (variable for variable in laptop if variable.endswith(("_SECRET", "API_KEY"))):
        assert f"{secret} looks like a placeholder" in str(refused.value)
    assert "VALKEY_URL has a password that looks like a placeholder" in str(refused.value)


def test_the_readmes_variables_are_all_that_production_needs() -> None:
    random = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
    composed = {"APP_ENV": "prod", "POSTGRES_PASSWORD": f"{random}5", "VALKEY_PASSWORD": f"{random}6"}
    product = {
        "COOKIE_SECURE": "true",
        "COOKIE_SAMESITE": "strict",
        "DATABASE_URL": "postgresql://b2b_chat_app:k3u8@postgres:5432/b2b_chat",
        "GATEWAY_URL": "https://gateway.acme.ru",
        "GATEWAY_SHARED_SECRET": f"{random}1",
        "SESSION_SECRET": f"{random}2",
        "AUTH_TOKEN_SECRET": f"{random}3",
        "INVITE_TOKEN_SECRET": f"{random}4",
        "PUBLIC_URL": "https://chat.acme.ru",
        "EMAIL_FROM": "chat@acme.ru",
        "SMTP_HOST": "smtp.acme.ru",
        "SMTP_PORT": "587",
        "SMTP_USER": "chat",
        "SMTP_PASSWORD": random,
        "SMTP_USE_TLS": "true",
    }
    assert load_product({**environment("product_api", **composed), **product}).app_env == "prod"
    gateway = {
        "GATEWAY_SHARED_SECRET": f"{random}1",
        "OPENAI_API_KEY": f"sk-{random}",
        "GATEWAY_CLOCK_SKEW_SECONDS": "60",
        "GATEWAY_NONCE_TTL_SECONDS": "180",
    }
    loaded = load_gateway({**environment("gateway_api", **composed), **gateway})
    assert loaded.openai_base_url == "https://api.openai.com/v1"
