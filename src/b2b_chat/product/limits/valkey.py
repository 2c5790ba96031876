"""Rate limits in Valkey, the same for all workers and machines."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from b2b_chat.kit.valkey import Script, Valkey, ValkeyUnavailable
from b2b_chat.product.limits.windows import Fill, Window, WindowsUnavailable

_PREFIX: Final = b"product:limit:"
_KEY_BYTES: Final = 16

# A window is a list of the times of its hits, newest first, as the library `limits` keeps them.
_HIT_ALL: Final = Script("""
local now, is_full, fills = tonumber(ARGV[1]), false, {}
for number, key in ipairs(KEYS) do
  local amount, span = tonumber(ARGV[2 * number]), tonumber(ARGV[2 * number + 1])
  local oldest = redis.call('LINDEX', key, -1)
  while oldest and tonumber(oldest) < now - span do
    redis.call('RPOP', key)
    oldest = redis.call('LINDEX', key, -1)
  end
  local hits = redis.call('LLEN', key)
  is_full = is_full or hits >= amount
  fills[2 * number - 1], fills[2 * number] = hits, oldest or ARGV[1]
end
if not is_full then
  for number, key in ipairs(KEYS) do
    redis.call('LPUSH', key, ARGV[1])
    redis.call('EXPIRE', key, ARGV[2 * number + 1] + 1)
  end
end
return fills
""")


_TAKE_BACK: Final = Script("""
for _, key in ipairs(KEYS) do
  redis.call('LREM', key, 1, ARGV[1])
end
""")


class WindowsInValkey:
    """The times of the latest hits of each window, read and counted atomically, in one round trip."""

    def __init__(self, valkey: Valkey) -> None:
        self._valkey = valkey

    async def hit_all(self, windows: Sequence[Window], now: float) -> list[Fill]:
        """Count a hit in each window, unless one of them is full; then in none.

        Raises:
            WindowsUnavailable: Valkey does not answer.
        """
        keys = [_key(window) for window in windows]
        spans = [part for window in windows for part in (window.item.amount, window.item.get_expiry())]
        try:
            fills = await self._valkey.run(_HIT_ALL, keys, [now, *spans])
        except ValkeyUnavailable:
            raise WindowsUnavailable from None
        return [Fill(hits, float(oldest_at)) for hits, oldest_at in zip(fills[::2], fills[1::2], strict=True)]

    async def take_back(self, windows: Sequence[Window], hit_at: float) -> None:
        """Uncount a hit that was counted in each window at that time.

        Raises:
            WindowsUnavailable: Valkey does not answer.
        """
        try:
            await self._valkey.run(_TAKE_BACK, [_key(window) for window in windows], [hit_at])
        except ValkeyUnavailable:
            raise WindowsUnavailable from None


def _key(window: Window) -> bytes:
    """Return a window's key in Valkey, hashed: the name may hold a mail address, and those stay in the database."""
    return _PREFIX + blake2b(window.name.encode(), digest_size=_KEY_BYTES).digest()
