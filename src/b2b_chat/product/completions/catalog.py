"""The names of the one model: its own, and those that the operator maps to it."""

from functools import cache
from typing import Final

from b2b_chat.contract.schemas import MODEL_GPT_5_2
from b2b_chat.product.completions.schemas import Model, ModelList
from b2b_chat.product.refusals import Refusal

_CREATED_AT: Final = 1_765_411_200
"""When the model was published, Unix seconds."""


class ModelNotFound(Refusal):
    """Neither the model's own name nor one that is mapped to it."""

    code, status = "model_not_found", 404
    param = "model"
    message = "There is no such model here. GET /v1/models lists the names that are answered."


@cache
def names_of(mapped: str) -> tuple[str, ...]:
    """Return all names, the model's own first; `mapped` is the setting CHAT_MODEL_NAMES."""
    return tuple(dict.fromkeys((MODEL_GPT_5_2, *filter(None, (name.strip() for name in mapped.split(","))))))


def require_known(name: str, mapped: str) -> None:
    """Check the name of a model.

    Raises:
        ModelNotFound: It is not one of the names.
    """
    if name not in names_of(mapped):
        raise ModelNotFound


def model_named(name: str, mapped: str) -> Model:
    """Return what is known of a name.

    Raises:
        ModelNotFound: It is not one of the names.
    """
    require_known(name, mapped)
    return Model(name, "model", _CREATED_AT, "b2b-chat")


def list_models(mapped: str) -> ModelList:
    """Return all names."""
    return ModelList("list", [model_named(name, mapped) for name in names_of(mapped)])
