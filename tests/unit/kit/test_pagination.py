"""Cursors: an id, or a refusal."""

from contextlib import suppress
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2b_chat.kit.errors import InvalidRequest
from b2b_chat.kit.pagination import id_from_cursor


def test_the_first_page_has_no_cursor() -> None:
    assert id_from_cursor(None) is None


@given(st.uuids())
def test_an_id_is_its_own_cursor(item_id: UUID) -> None:
    assert id_from_cursor(str(item_id)) == item_id


@given(st.text())
def test_any_other_text_is_refused_or_an_id(text: str) -> None:
    with suppress(InvalidRequest):
        assert isinstance(id_from_cursor(text), UUID)


@pytest.mark.parametrize("text", ["", "x", "0198a1b2", "g" * 32, "\0", "\ud800"])
def test_an_invalid_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="invalid_request"):
        id_from_cursor(text)
