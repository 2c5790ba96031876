"""Masking personal data before it crosses the border.

Detection by rules, policies, tokens and their restoring: functions and types that need no database, no clock and no
other domain. Nothing here is called by the apps yet.

    text ──detection──▶ spans ──policy, numbering──▶ masks ──▶ masked text ──border──▶ answer ──restoring──▶ answer

`kinds` names what is recognised, `shapes` holds the table that a new kind is added to.
"""
