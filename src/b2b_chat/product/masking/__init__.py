"""Masking personal data before it crosses the border.

Detection by rules, policies, tokens and their restoring: functions and types that need no database, no clock and no
other domain. `masking_policies` keeps what each company has set, and `chat.masked_turns` stores the masks of messages.

    text ──detection──▶ spans ──policy, numbering──▶ masks ──▶ masked text ──border──▶ answer ──restoring──▶ answer

`kinds` names what is recognised, `shapes` holds the table that a new kind is added to.
"""
