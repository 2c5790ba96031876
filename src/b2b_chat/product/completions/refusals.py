"""What of OpenAI's API is not to be had here: refused by name, never dropped."""

from b2b_chat.product.refusals import Refusal


class UnsupportedParameter(Refusal):
    """A field that is not supported, or not with this value."""

    code, status = "unsupported_parameter", 400
    message = "This parameter is not supported here. Leave it out."

    def __init__(self, param: str | None = None, why: str | None = None) -> None:
        super().__init__(why or (f"`{param}` is not supported here. Leave it out." if param else None), param=param)


class RemoteImage(Refusal):
    """An image by its address; nothing is fetched."""

    code, status = "remote_image", 400
    message = "Images are taken as data URLs of PNG, JPEG, WebP or GIF in Base64; no address is fetched."
