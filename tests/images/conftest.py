"""The images, built once."""

from collections.abc import Iterator

import pytest

from support.images.containers import ROOT, Builder, Image

VERSION = "1.2.3-test"


@pytest.fixture(scope="session")
def builder() -> Iterator[Builder]:
    """What builds images, with its base."""
    builder = Builder(ROOT / "build" / "images")
    builder.prepare_base()
    try:
        yield builder
    finally:
        builder.clean()


@pytest.fixture(scope="session")
def images(builder: Builder) -> dict[str, Image]:
    """Both apps' images, by name."""
    return {name: builder.build(name, VERSION=VERSION) for name in ("product_api", "gateway_api")}
