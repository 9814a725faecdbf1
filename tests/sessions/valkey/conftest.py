"""Stores for each test."""

import pytest

from .services import Services
from .stores import Stores


@pytest.fixture
def stores(valkey_url: str) -> Stores:
    return Stores(valkey_url)


@pytest.fixture
def services(valkey_url: str) -> Services:
    return Services(valkey_url)
