"""How the pages for admins and operators look: accessible by axe's rules, at three sizes in both themes, and private."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from support.browser import signed_in
from support.console import OPERATOR_PATHS, Console, console
from support.fault_stack import FaultStack
from support.looks import SIZES, THEMES, pictures, violations
from support.world import World

pytestmark = pytest.mark.asyncio(loop_scope="session")
