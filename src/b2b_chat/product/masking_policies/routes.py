"""`/v1/company/masking`: what is done with personal data before a message crosses the border."""

from litestar import Controller, get, put
from litestar.di import NamedDependency
from litestar.params import JSONBody

from b2b_chat.product.audit.actions import Action
from b2b_chat.product.errors import documents
from b2b_chat.product.guards import signed_in
from b2b_chat.product.masking_policies.schemas import (
    MaskingChange,
    MaskingPolicy,
    MaskingRules,
    MaskingTerms,
    MaskingTermsChange,
)
from b2b_chat.product.masking_policies.service import MaskingChanged, MaskingPolicies
from b2b_chat.product.viewer import Viewer
from b2b_chat.product.vocabulary import Scope


class MaskingPolicyRoutes(Controller):
    """What is done with personal data in your messages."""

    path = "/v1/company/masking"
    tags = ("masking",)
    guards = (signed_in,)

    @get("/", operation_id="getMasking", opt={"scope": Scope.READ})
    async def masking(
        self, viewer: NamedDependency[Viewer], masking_policies: NamedDependency[MaskingPolicies]
    ) -> MaskingPolicy:
        """Show what is done with personal data in your messages, and which rule says so."""
        return await masking_policies.get(viewer)

    @put(
        "/",
        operation_id="changeMasking",
        opt={"scope": Scope.ADMIN, "audited": Action.MASKING_POLICY},
        responses=documents(MaskingChanged),
    )
    async def change(
        self,
        viewer: NamedDependency[Viewer],
        data: JSONBody[MaskingChange],
        masking_policies: NamedDependency[MaskingPolicies],
    ) -> MaskingPolicy:
        """Replace your company's rules. The installation's floor holds above them."""
        return await masking_policies.change(viewer, data)

    @get("/terms", operation_id="getMaskingTerms", opt={"scope": Scope.ADMIN})
    async def terms(
        self, viewer: NamedDependency[Viewer], masking_policies: NamedDependency[MaskingPolicies]
    ) -> MaskingTerms:
        """List your company's own words, which are masked, and the values that it lets through."""
        return await masking_policies.get_terms(viewer)

    @put(
        "/terms",
        operation_id="changeMaskingTerms",
        opt={"scope": Scope.ADMIN, "audited": Action.MASKING_TERMS},
        responses=documents(MaskingChanged),
    )
    async def change_terms(
        self,
        viewer: NamedDependency[Viewer],
        data: JSONBody[MaskingTermsChange],
        masking_policies: NamedDependency[MaskingPolicies],
    ) -> MaskingTerms:
        """Replace both lists."""
        return await masking_policies.change_terms(viewer, data)

    @put("/own", operation_id="addOwnMasking", opt={"scope": Scope.CHAT})
    async def add_own(
        self,
        viewer: NamedDependency[Viewer],
        data: JSONBody[MaskingRules],
        masking_policies: NamedDependency[MaskingPolicies],
    ) -> MaskingPolicy:
        """Replace what you add for your own messages. It makes the rules stricter, and never weaker."""
        return await masking_policies.add_own(viewer, data)
