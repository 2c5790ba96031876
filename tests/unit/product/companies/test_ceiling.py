import pytest

from b2b_chat.product.companies.ceiling import RoleTooLow, require_reach
from b2b_chat.product.vocabulary import Role


@pytest.mark.parametrize(
    ("own", "reached"),
    [
        (None, []),
        (Role.MEMBER, [Role.MEMBER]),
        (Role.ADMIN, [Role.MEMBER, Role.ADMIN]),
        (Role.OWNER, [Role.MEMBER, Role.ADMIN, Role.OWNER]),
    ],
)
def test_a_role_reaches_up_to_itself(own: Role | None, reached: list[Role]) -> None:
    for role in Role:
        if role in reached:
            require_reach(own, role)
        else:
            with pytest.raises(RoleTooLow):
                require_reach(own, role)
