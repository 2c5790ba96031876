"""`/v1/masking/preview`."""

from litestar import Controller, Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from b2b_chat.product.chat.previews import MaskingPreview, PreviewRequest, Previews
from b2b_chat.product.chat.prompts import TextTooLong
from b2b_chat.product.conversations.service import ConversationNotFound
from b2b_chat.product.errors import documents
from b2b_chat.product.guards import signed_in
from b2b_chat.product.limits.service import Limits, RateLimited
from b2b_chat.product.masking.refusals import MaskingUnavailable
from b2b_chat.product.viewer import Viewer
from b2b_chat.product.vocabulary import Scope


class PreviewRoutes(Controller):
    """What would cross the border."""

    path = "/v1/masking"
    tags = ("masking",)
    guards = (signed_in,)

    @post(
        "/preview",
        operation_id="previewMasking",
        status_code=200,
        opt={"scope": Scope.CHAT},
        responses=documents(RateLimited, ConversationNotFound, TextTooLong, MaskingUnavailable),
    )
    async def preview(
        self,
        viewer: NamedDependency[Viewer],
        data: JSONBody[PreviewRequest],
        previews: NamedDependency[Previews],
        limits: NamedDependency[Limits],
    ) -> Response[MaskingPreview]:
        """Show what masking makes of a text by the rules for your messages. Nothing is stored or sent."""
        headers = await limits.admit_preview(viewer)
        return Response(await previews.preview(viewer, data), headers=headers)
