"""The settings of the API that programs of others call, by environment variable."""

from typing import Annotated

from msgspec import Meta

from b2b_chat.product.sign_in_settings import SignInSettings


class CompletionSettings(SignInSettings, frozen=True, kw_only=True):
    """The part of `ProductSettings` about OpenAI's clients, and about pages of other websites."""

    chat_model_names: Annotated[
        str,
        Meta(
            max_length=2000,
            description="Names beside the model's own that OpenAI clients may ask for, with commas between, as "
            "gpt-4o, gpt-4o-mini; all are answered by the one model",
        ),
    ] = ""
    completions_keep_seconds: Annotated[
        int,
        Meta(
            ge=3600,
            le=604_800,
            description="How long an answer to an OpenAI client is kept to be given again for the same "
            "Idempotency-Key, seconds; then its text is erased",
        ),
    ] = 86_400
    cors_allowed_origins: Annotated[
        str,
        Meta(
            max_length=4000,
            pattern=r"^(https?://[a-z0-9.:\[\]-]+([ ,]+https?://[a-z0-9.:\[\]-]+)*)?\Z",
            description="Websites whose pages may call the API with an API key, with commas between, as "
            "https://app.example.com; none if empty",
        ),
    ] = ""
